"""The metrics of the detector and of the blind baseline on the same pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from antifake.core.verdict import Bands
from antifake.trainer.evaluate import Judged

from .blind import blind_p_fake
from .estimates import Estimate, Groups, groups_of
from .headers import read_header
from .measures import Scores, measured


@dataclass(frozen=True)
class Comparison:
    """Results on the n pictures that could be judged."""

    judged: Sequence[Judged]
    """Only these, in the order of the arrays [n]."""
    groups: Groups
    ours: Scores
    blind: Scores | None
    """None: a class is missing, or has a single picture."""
    figures: dict[str, Estimate]
    blind_figures: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Returns what `--json` adds to the metrics."""
        return {
            "intervals_over": "sources" if self.groups.are_sources else "pictures",
            "intervals": {
                name: [found.low, found.high] if found.is_known else None
                for name, found in self.figures.items()
            },
            "blind": {
                name: found.value if found.is_known else None
                for name, found in self.blind_figures.items()
            }
            or None,
        }


def compare(judged: Sequence[Judged], bands: Bands) -> Comparison:
    """Measures both. Opens the files again to read their headers."""
    scored = [one for one in judged if one.row.p_fake is not None]
    truth = np.array([one.is_fake for one in scored], bool)
    groups = groups_of(truth, [one.example.source for one in scored])
    ours = Scores(truth, np.array([one.row.p_fake for one in scored], float), bands)
    p_fake = blind_p_fake([read_header(one.example.path) for one in scored], truth, groups)
    blind = None if p_fake is None else Scores(truth, p_fake, bands)
    return Comparison(
        scored,
        groups,
        ours,
        blind,
        measured(ours, groups),
        measured(blind, groups) if blind else {},
    )
