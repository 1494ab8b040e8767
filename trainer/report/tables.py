"""Results by source, by generator and by kind.

Each row has pictures of one class only. An accuracy over both would look too good where one
class is larger.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from antifake.core.i18n import _
from antifake.trainer.examples import Example

from .comparison import Comparison
from .estimates import Estimate, Ids, wilson
from .measures import Scores

MOST_ROWS = 60


@dataclass(frozen=True)
class Part:
    """The pictures of one class in one source, family or kind."""

    name: str
    is_fake: bool
    n: int
    accuracy: Estimate
    """At the threshold, with Wilson's interval, which assumes independent pictures."""
    mean: float
    """Mean p_fake."""
    unsure: float
    blind: float
    """Accuracy of the baseline without pixels; NaN if there is none."""


@dataclass(frozen=True)
class PartTable:
    """The largest parts first. Empty if nothing is known."""

    title: str
    column: str
    parts: list[Part]
    n_left_out: int
    """Number of parts that are not shown."""


def part_tables(comparison: Comparison) -> list[PartTable]:
    return [
        _table(comparison, _("By source"), _("Source"), lambda at: _example(comparison, at).source),
        _table(
            comparison,
            _("By generator"),
            _("Generator family"),
            lambda at: _family(comparison, at),
        ),
        _table(
            comparison, _("By kind of picture"), _("Kind"), lambda at: _example(comparison, at).kind
        ),
    ]


def confusion(ours: Scores) -> list[tuple[str, int, list[Estimate]]]:
    """Returns of each class its name, its size, and the share with each of the three verdicts."""
    verdicts = (ours.called_real, ours.is_unsure, ours.called_fake)
    return [
        (
            name,
            int(members.sum()),
            [wilson(int((members & said).sum()), int(members.sum())) for said in verdicts],
        )
        for name, members in ((_("real"), ~ours.truth), (_("AI-made"), ours.truth))
    ]


def _example(comparison: Comparison, at: int) -> Example:
    return comparison.judged[at].example


def _family(comparison: Comparison, at: int) -> str:
    """Returns the generator's family. Real pictures have none, and no row in this table."""
    example = _example(comparison, at)
    return example.family if example.is_fake else ""


def _table(
    comparison: Comparison, title: str, column: str, name_of: Callable[[int], str]
) -> PartTable:
    members: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for at, one in enumerate(comparison.judged):
        if name := name_of(at):
            members[name, one.is_fake].append(at)
    parts = [
        _part(comparison, name, np.array(places))
        for (name, _is_fake), places in sorted(members.items())
    ]
    parts.sort(key=lambda part: (part.is_fake, -part.n))
    return PartTable(title, column, parts[:MOST_ROWS], max(0, len(parts) - MOST_ROWS))


def _part(comparison: Comparison, name: str, places: Ids) -> Part:
    ours, blind = comparison.ours, comparison.blind
    return Part(
        name,
        bool(ours.truth[places[0]]),
        len(places),
        wilson(int(ours.is_right[places].sum()), len(places)),
        float(ours.p_fake[places].mean()),
        float(ours.is_unsure[places].mean()),
        float(blind.is_right[places].mean()) if blind else np.nan,
    )
