"""Accuracies of the sets of a suite, and means over them, with intervals.

Shapes: n pictures, k sets.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from antifake.core.verdict import Bands
from antifake.trainer.report.blind import blind_p_fake
from antifake.trainer.report.estimates import (
    Estimate,
    groups_of,
    wilson,
)
from antifake.trainer.report.measures import Scores, measured

from .means import Means, best_threshold, means
from .results import DELIVERED, OURS, Head, Judged, Row
from .suites import Suite, suite

MEASURES = ("real_accuracy", "fake_accuracy", "balanced_accuracy", "auc")
NONE = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True, order=True)
class Detector:
    """What judged, and how."""

    model: str
    prompt: str
    alignment: str = DELIVERED
    protocol: str = OURS

    @classmethod
    def of(cls, head: Head) -> "Detector":
        return cls(head.model, head.prompt, head.alignment, head.protocol)


@dataclass(frozen=True)
class SetFigures:
    """A set's figures by one detector. Estimates are NaN where a class is missing."""

    name: str
    scores: Scores
    rows: Sequence[Row]
    """Those with a score, in the order of `scores`."""
    n_failed: int

    @cached_property
    def n_real(self) -> int:
        return int((~self.scores.truth).sum())

    @cached_property
    def n_fake(self) -> int:
        return int(self.scores.truth.sum())

    @cached_property
    def _measured(self) -> Mapping[str, Estimate]:
        groups = groups_of(self.scores.truth, [row.source for row in self.rows])
        if groups.are_sources or (self.n_real and self.n_fake):
            return measured(self.scores, groups, MEASURES)
        return {
            "real_accuracy": wilson(self.hits(is_fake=False), self.n_real),
            "fake_accuracy": wilson(self.hits(is_fake=True), self.n_fake),
            "balanced_accuracy": NONE,
            "auc": NONE,
        }

    @property
    def real(self) -> Estimate:
        return self._measured["real_accuracy"]

    @property
    def fake(self) -> Estimate:
        return self._measured["fake_accuracy"]

    @property
    def balanced(self) -> Estimate:
        return self._measured["balanced_accuracy"]

    @property
    def auc(self) -> Estimate:
        return self._measured["auc"]

    @property
    def accuracy(self) -> Estimate:
        """What the papers print for a set: balanced, or of the only class that there is."""
        return next((one for one in (self.balanced, self.real, self.fake) if one.is_known), NONE)

    @cached_property
    def blind(self) -> float:
        """The balanced accuracy of the classifier that sees no pixels; NaN if there is none."""
        return blind_accuracy(self.rows)

    def hits(self, *, is_fake: bool) -> int:
        return int((self.scores.is_right & (self.scores.truth == is_fake)).sum())


def blind_accuracy(rows: Sequence[Row]) -> float:
    """Returns the balanced accuracy of the classifier of headers; NaN without both classes."""
    truth = np.array([row.is_fake for row in rows], bool)
    groups = groups_of(truth, [row.source for row in rows])
    p_fake = blind_p_fake([row.header for row in rows], truth, groups) if len(rows) else None
    if p_fake is None:
        return np.nan
    right = np.equal(p_fake > 0.5, truth)
    return float((right[truth].mean() + right[~truth].mean()) / 2)


@dataclass(frozen=True)
class Mean:
    """A mean over sets."""

    estimate: Estimate
    n: int
    of: int
    """How many sets it would be over if all were there."""


@dataclass(frozen=True)
class SuiteFigures:
    """A suite's figures by one detector."""

    suite: Suite
    detector: Detector
    sets: Mapping[str, SetFigures]
    n_expected: int
    """Sets that there are, whether they were judged or not."""
    unfinished: Mapping[str, Judged]

    @cached_property
    def _means(self) -> Means:
        sets = self.sets.values()
        hits = [[one.hits(is_fake=kind) for kind in (False, True)] for one in sets]
        counts = [[one.n_real, one.n_fake] for one in sets]
        return means(np.array(hits).reshape(-1, 2), np.array(counts).reshape(-1, 2))

    @property
    def real(self) -> Mean:
        return self._mean(
            self._means.real, [one for one in self.sets.values() if one.n_real], is_fake=False
        )

    @property
    def fake(self) -> Mean:
        return self._mean(
            self._means.fake, [one for one in self.sets.values() if one.n_fake], is_fake=True
        )

    @property
    def balanced(self) -> Estimate:
        """The mean of `real` and `fake`."""
        return self._means.balanced

    @property
    def average(self) -> Mean:
        """What the papers print: the mean of the accuracies of sets, of one class or two."""
        there = [one for one in self.sets.values() if one.accuracy.is_known]
        return Mean(self._means.average, len(there), max(self.n_expected, len(there)))

    def _mean(self, estimate: Estimate, there: Sequence[SetFigures], *, is_fake: bool) -> Mean:
        expected = self.suite.n_expected(is_fake=is_fake) or self.n_expected
        return Mean(estimate, len(there), max(expected, len(there)))

    @property
    def always_fake(self) -> float:
        """The average of a detector that calls everything AI-made; 0.5 where sets have both."""
        shares = [1.0 if not one.n_real else 0.5 if one.n_fake else 0.0 for one in self._there]
        return float(np.mean(shares)) if shares else np.nan

    @property
    def _there(self) -> list[SetFigures]:
        return [one for one in self.sets.values() if one.n_real or one.n_fake]

    @cached_property
    def blind(self) -> float:
        """Of sets with both classes the mean; else of all pictures of the suite together."""
        if any(one.n_real and one.n_fake for one in self.sets.values()):
            known = [one.blind for one in self.sets.values() if not np.isnan(one.blind)]
            return float(np.mean(known)) if known else np.nan
        return blind_accuracy([row for one in self.sets.values() for row in one.rows])

    @cached_property
    def oracle(self) -> tuple[float, float]:
        """The best balanced accuracy that one threshold for all sets gives, and the threshold."""
        reals, fakes = (
            [one.scores.p_fake[one.scores.truth == kind] for one in self._there]
            for kind in (False, True)
        )
        return best_threshold(reals, fakes)


def figures_of(results: Sequence[Judged]) -> list[SuiteFigures]:
    """Returns the figures of every suite by every detector, sorted."""
    parted: dict[tuple[str, Detector], list[Judged]] = defaultdict(list)
    for judged in results:
        parted[judged.head.suite, Detector.of(judged.head)].append(judged)
    n_found: dict[str, set[str]] = defaultdict(set)
    sets: dict[tuple[str, Detector], dict[str, SetFigures]] = {}
    for (name, detector), those in parted.items():
        sets[name, detector] = _sets(suite(name), [one for one in those if one.is_finished])
        n_found[name] |= set(sets[name, detector])
        n_found[name] |= {one.head.set for one in those if not one.is_finished}
    return [
        SuiteFigures(
            suite(name),
            detector,
            sets[name, detector],
            suite(name).n_expected() or len(n_found[name]),
            {one.head.set: one for one in parted[name, detector] if not one.is_finished},
        )
        for name, detector in sorted(parted, key=_order)
    ]


def compute(of_suites: Sequence[SuiteFigures], progress: Callable[[int, int], None]) -> None:
    """Computes what takes long and is kept: intervals by resampling, classifiers of headers."""
    sets = [each for one in of_suites for each in one.sets.values()]
    every: list[SetFigures | SuiteFigures] = [*sets, *of_suites]
    for done, one in enumerate(every):
        progress(done, len(every))
        _kept = one.real, one.blind


def _order(part: tuple[str, Detector]) -> tuple[object, ...]:
    """Sorts ours before the official way, and files as delivered before aligned ones."""
    name, who = part
    return name, who.model, who.prompt, who.protocol != OURS, who.alignment != DELIVERED, part


def _sets(of: Suite, finished: Sequence[Judged]) -> dict[str, SetFigures]:
    """Returns figures by set, in the suite's order; sets of AI-made pictures borrow real ones."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for judged in finished:
        for row in judged.rows:
            rows[_set_of(of, judged.head, row)].append(row)
    order = {name: at for at, name in enumerate(of.sets)}
    found = {}
    for name in sorted(rows, key=lambda name: (order.get(name, len(order)), name)):
        if name in of.reals.values():
            continue
        lender = of.reals_of(name)
        borrows = all(row.is_fake for row in rows[name])
        borrowed = rows.get(lender, []) if lender and borrows else []
        found[name] = _set_figures(name, [*rows[name], *borrowed])
    return found


def _set_of(of: Suite, head: Head, row: Row) -> str:
    """Returns the set of a row. Files of Parquet hold many: one for each generator."""
    if of.parquet is None:
        return head.set
    return row.family if row.is_fake else "real"


def _set_figures(name: str, rows: Sequence[Row]) -> SetFigures:
    scored = [row for row in rows if row.p_fake is not None]
    truth = np.array([row.is_fake for row in scored], bool)
    p_fake = np.array([row.p_fake for row in scored], float)
    return SetFigures(name, Scores(truth, p_fake, Bands()), scored, len(rows) - len(scored))


def agreement(ours: Iterable[Judged], other: Iterable[Judged]) -> Estimate:
    """Returns on which share of pictures two ways of judging agree, with Wilson's interval."""
    first, second = (
        {
            (one.head.suite, one.head.set, row.name): row.p_fake > 0.5
            for one in those
            for row in one.rows
            if row.p_fake is not None
        }
        for those in (ours, other)
    )
    both = first.keys() & second.keys()
    return wilson(sum(first[name] == second[name] for name in both), len(both))
