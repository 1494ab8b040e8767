"""Figures of other detectors, as they were published, with the source of each.

Nobody has measured them again here. "second-hand" ones were not read in their own paper.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from .suites import Suite


@dataclass(frozen=True)
class Published:
    """One figure, in percent unless the text says otherwise."""

    suite: str
    """Empty: of none that `antifake benchmark run` knows."""
    set: str
    """Empty: of the whole suite."""
    measure: str
    """accuracy, real, fake, balanced, ap or average, which is what the paper averages; or other."""
    method: str
    trained_on: str
    dataset: str
    metric: str
    value: str
    source: str
    read: str
    """"read" where it stands, "read (abstract)", or "second-hand"."""


@dataclass(frozen=True)
class Peer:
    """A published detector on one suite, out of one source."""

    method: str
    trained_on: str
    source: str
    is_second_hand: bool
    figures: Sequence[Published]

    @property
    def reference(self) -> str:
        """The source, and of what its figures are where they are of the whole suite."""
        whole = dict.fromkeys(one.dataset for one in self.figures if not one.set)
        return "; ".join([self.source, *(name for name in whole if name[:7] != "Average")])

    def of_set(self, name: str) -> str:
        """Returns what was printed for a set; "" if nothing was."""
        return next((one.value for one in self.figures if one.set == name), "")

    def of_suite(self, measure: str) -> str:
        """Returns what was printed for the whole suite; "" if nothing was."""
        found = (one.value for one in self.figures if not one.set and one.measure == measure)
        return next(found, "")

    def mean(self, suite: Suite, *, is_fake: bool) -> tuple[float, int] | None:
        """Returns the mean over the sets of one class that were printed, and of how many."""
        only = {name for one in suite.folders if one.is_fake == is_fake for name in one.only}
        values = [float(one.value) for one in self.figures if one.set in only]
        return (sum(values) / len(values), len(values)) if values else None


@cache
def published() -> Sequence[Published]:
    """Returns all figures."""
    text = files(__package__).joinpath("published.csv").read_text("utf-8")
    return [Published(**row) for row in csv.DictReader(text.splitlines())]


def peers(suite: Suite) -> list[Peer]:
    """Returns the published detectors of a suite, in the order of the file."""
    found: dict[tuple[str, str, str], list[Published]] = {}
    for one in published():
        if one.suite == suite.name:
            found.setdefault((one.method, one.trained_on, one.source), []).append(one)
    return [
        Peer(method, trained_on, source, all(one.read == "second-hand" for one in those), those)
        for (method, trained_on, source), those in found.items()
    ]
