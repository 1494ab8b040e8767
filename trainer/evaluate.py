"""Metrics of a detector on labelled pictures.

Folders are evaluated as in the official test, without its bugs: a folder of fakes alone counts
as fakes, every picture is converted to RGB, and file endings may be in capitals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.pipeline import judge_all
from antifake.core.results import Result

from .examples import Example

THRESHOLD = 0.5


@dataclass(frozen=True)
class Judged:
    """One labelled picture and its result."""

    row: Result
    example: Example

    @property
    def is_fake(self) -> bool:
        return self.example.is_fake


def judge_labelled(
    detector: Detector, decoder: Decoder, examples: Sequence[Example]
) -> Iterator[Judged]:
    """Judges all in their order. Unreadable pictures give a result with an error."""
    rows = judge_all(detector, decoder, [example.path for example in examples])
    for row, example in zip(rows, examples, strict=True):
        yield Judged(row, example)


@dataclass(frozen=True)
class Metrics:
    """What `antifake evaluate` prints. Shares are in [0, 1]; None where a class is missing."""

    n_real: int
    n_fake: int
    n_failed: int
    """Pictures that could not be judged. They count nowhere else."""
    accuracy: float | None
    balanced_accuracy: float | None
    auc: float | None
    real_accuracy: float | None
    fake_accuracy: float | None
    unsure: float | None
    """Share of verdicts in the unsure band. The figures above count them by the threshold."""
    threshold: float
    confusion: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def metrics(judged: Sequence[Judged]) -> Metrics:
    """Returns the metrics at p_fake > 0.5, the official decision. A tie counts as real."""
    scored = [one for one in judged if one.row.p_fake is not None]
    truth = np.array([one.is_fake for one in scored], bool)
    scores = np.array([one.row.p_fake for one in scored], float)
    called = scores > THRESHOLD
    both = len(set(truth.tolist())) == 2
    table = confusion_matrix(truth, called, labels=[False, True]) if scored else np.zeros((2, 2))
    (real_real, real_fake), (fake_real, fake_fake) = table.astype(int).tolist()
    return Metrics(
        n_real=int((~truth).sum()),
        n_fake=int(truth.sum()),
        n_failed=len(judged) - len(scored),
        accuracy=_share(truth == called),
        balanced_accuracy=float(balanced_accuracy_score(truth, called)) if both else None,
        auc=float(roc_auc_score(truth, scores)) if both else None,
        real_accuracy=_share(~called[~truth]),
        fake_accuracy=_share(called[truth]),
        unsure=_share(np.array([one.row.label == "unsure" for one in scored], bool)),
        threshold=THRESHOLD,
        confusion={
            "real_called_real": real_real,
            "real_called_fake": real_fake,
            "fake_called_real": fake_real,
            "fake_called_fake": fake_fake,
        },
    )


def _share(hits: np.ndarray) -> float | None:
    return float(hits.mean()) if len(hits) else None
