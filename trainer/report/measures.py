"""Metrics of scores with known truth.

Every metric takes weights, how often each picture counts, so that the same code gives the
figure and its interval. Shapes: n pictures, R resamples; a metric maps weights [R, n] to [R].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from antifake.core.verdict import Bands
from antifake.trainer.evaluate import THRESHOLD

from .estimates import Estimate, Flags, Groups, Ids, Numbers, Statistic, estimates, wilson

BINS = 10
"""Bins of p_fake for the calibration error."""


@dataclass(frozen=True)
class Scores:
    """The p_fake of one classifier for n pictures, and the truth."""

    truth: Flags
    """[n]: made by a generator."""
    p_fake: Numbers
    """[n], in [0, 1]."""
    bands: Bands

    @cached_property
    def is_right(self) -> Flags:
        return np.equal(self.p_fake > THRESHOLD, self.truth)

    @cached_property
    def called_fake(self) -> Flags:
        return self.p_fake > self.bands.fake_above

    @cached_property
    def called_real(self) -> Flags:
        return self.p_fake < self.bands.real_below

    @cached_property
    def is_unsure(self) -> Flags:
        return ~(self.called_fake | self.called_real)

    @cached_property
    def bins(self) -> Ids:
        """The tenth of [0, 1] that each score is in, [n] in 0 .. 9."""
        return np.minimum((self.p_fake * BINS).astype(np.int64), BINS - 1)

    def where(self, kept: Flags | Ids) -> "Scores":
        """Returns the scores of some pictures only."""
        return Scores(self.truth[kept], self.p_fake[kept], self.bands)


def share(hits: Flags, among: Flags, weights: Numbers) -> Numbers:
    """Returns the share [R] of `among` [n] that is also in `hits` [n], with weights [R, n]."""
    return _ratio(weights @ (hits & among), weights @ among)


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    """Returns part / whole, [R]; NaN where the whole is 0."""
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def auc(scores: Scores, weights: Numbers) -> Numbers:
    """Returns how often an AI-made picture scores above a real one, [R]. A tie counts half."""
    order = np.argsort(scores.p_fake, kind="stable")
    # Where each distinct score starts: ties are summed before they are compared.
    starts = np.flatnonzero(np.diff(scores.p_fake[order], prepend=-1.0))
    made = np.add.reduceat((weights * scores.truth)[:, order], starts, axis=1)
    real = np.add.reduceat((weights * ~scores.truth)[:, order], starts, axis=1)
    below = np.cumsum(real, axis=1) - real
    return _ratio((made * (below + real / 2)).sum(axis=1), made.sum(axis=1) * real.sum(axis=1))


def balanced_accuracy(scores: Scores, weights: Numbers) -> Numbers:
    """Returns the mean of the accuracies on both classes, [R]."""
    real = share(scores.is_right, ~scores.truth, weights)
    return (real + share(scores.is_right, scores.truth, weights)) / 2


def brier(scores: Scores, weights: Numbers) -> Numbers:
    """Returns the mean squared error of p_fake, [R]: 0 is perfect, always 0.5 gives 0.25."""
    return _ratio(weights @ (scores.p_fake - scores.truth) ** 2, weights.sum(axis=1))


def calibration_error(scores: Scores, weights: Numbers) -> Numbers:
    """Returns the expected calibration error over ten bins, [R]."""
    gaps = np.zeros((len(scores.truth), BINS))  # [n, bins], zero outside a picture's own bin
    gaps[np.arange(len(gaps)), scores.bins] = scores.p_fake - scores.truth
    return _ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


Measure = Callable[[Scores, Numbers], Numbers]
Share = Callable[[Scores], tuple[Flags, Flags]]
"""Returns hits [n] and the pictures [n] among which they are counted."""

SHARES: dict[str, Share] = {
    "real_accuracy": lambda scores: (scores.is_right, ~scores.truth),
    "fake_accuracy": lambda scores: (scores.is_right, scores.truth),
    "false_alarms": lambda scores: (scores.called_fake, ~scores.truth),
    "unsure": lambda scores: (scores.is_unsure, np.ones_like(scores.truth)),
    "sure_accuracy": lambda scores: (scores.is_right, ~scores.is_unsure),
    "accuracy": lambda scores: (scores.is_right, np.ones_like(scores.truth)),
}
OTHERS: dict[str, Measure] = {
    "auc": auc,
    "balanced_accuracy": balanced_accuracy,
    "brier": brier,
    "calibration_error": calibration_error,
}
MEASURES = (*SHARES, *OTHERS)


def bound(name: str, scores: Scores) -> Statistic:
    """Returns a metric of these scores as a function of the weights."""
    if name in OTHERS:
        return lambda weights: OTHERS[name](scores, weights)
    hits, among = SHARES[name](scores)
    return lambda weights: share(hits, among, weights)


def measured(
    scores: Scores, groups: Groups, names: Sequence[str] = MEASURES
) -> dict[str, Estimate]:
    """Returns metrics with their intervals. A share's is never narrower than Wilson's.

    Resampling a few pictures cannot show that a share of 0 or 1 might be different.
    """
    found = estimates({name: bound(name, scores) for name in names}, scores.truth, groups)
    for name in set(names) & set(SHARES):
        hits, among = SHARES[name](scores)
        if found[name].is_known:
            alone = wilson(int((hits & among).sum()), int(among.sum()))
            found[name] = found[name].widened(alone)
    return found
