"""What is counted, on scores whose truth is known.

Every measure takes weights, how often a picture counts, so that the same code
gives the figure and its interval. Shapes: n pictures, R resamples; every
measure turns weights [R, n] into [R].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from antifake.core.verdict import Bands
from antifake.trainer.evaluate import THRESHOLD

from .estimates import Estimate, Flags, Groups, Ids, Numbers, Statistic, estimates, wilson

BINS = 10
"""Of p_fake, for calibration."""


@dataclass(frozen=True)
class Scores:
    """One classifier's p_fake of n pictures, beside the truth."""

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
        """[n]: the tenth of [0, 1] that each score lies in, 0 .. 9."""
        return np.minimum((self.p_fake * BINS).astype(np.int64), BINS - 1)

    def where(self, kept: Flags | Ids) -> "Scores":
        return Scores(self.truth[kept], self.p_fake[kept], self.bands)


def share(hits: Flags, among: Flags, weights: Numbers) -> Numbers:
    return _ratio(weights @ (hits & among), weights @ among)


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    """[R]; NaN where there is nothing to have a part of."""
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def auc(scores: Scores, weights: Numbers) -> Numbers:
    """How often an AI-made picture scores above a real one; a tie is half."""
    order = np.argsort(scores.p_fake, kind="stable")
    # Where each different score begins; what ties is summed up before it is compared.
    starts = np.flatnonzero(np.diff(scores.p_fake[order], prepend=-1.0))
    made = np.add.reduceat((weights * scores.truth)[:, order], starts, axis=1)
    real = np.add.reduceat((weights * ~scores.truth)[:, order], starts, axis=1)
    below = np.cumsum(real, axis=1) - real
    return _ratio((made * (below + real / 2)).sum(axis=1), made.sum(axis=1) * real.sum(axis=1))


def balanced_accuracy(scores: Scores, weights: Numbers) -> Numbers:
    real = share(scores.is_right, ~scores.truth, weights)
    return (real + share(scores.is_right, scores.truth, weights)) / 2


def brier(scores: Scores, weights: Numbers) -> Numbers:
    """Mean squared distance of p_fake from the truth: 0 is perfect, an even chance gives 0.25."""
    return _ratio(weights @ (scores.p_fake - scores.truth) ** 2, weights.sum(axis=1))


def calibration_error(scores: Scores, weights: Numbers) -> Numbers:
    """ECE: how far p_fake lies from the share of AI-made pictures, on average over ten bins."""
    gaps = np.zeros((len(scores.truth), BINS))  # [n, bins], each picture's in its own
    gaps[np.arange(len(gaps)), scores.bins] = scores.p_fake - scores.truth
    return _ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


Measure = Callable[[Scores, Numbers], Numbers]
Share = Callable[[Scores], tuple[Flags, Flags]]
"""Of the second pictures [n], those that are also among the first."""

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
    """One measure of these scores, of which only the weights are left open."""
    if name in OTHERS:
        return lambda weights: OTHERS[name](scores, weights)
    hits, among = SHARES[name](scores)
    return lambda weights: share(hits, among, weights)


def measured(
    scores: Scores, groups: Groups, names: Sequence[str] = MEASURES
) -> dict[str, Estimate]:
    """Measures with their intervals; a share's is never narrower than Wilson's.

    Drawing the same few pictures again cannot know that a share of 0 or 1 might
    be another one.
    """
    found = estimates({name: bound(name, scores) for name in names}, scores.truth, groups)
    for name in set(names) & set(SHARES):
        hits, among = SHARES[name](scores)
        if found[name].is_known:
            alone = wilson(int((hits & among).sum()), int(among.sum()))
            found[name] = found[name].widened(alone)
    return found
