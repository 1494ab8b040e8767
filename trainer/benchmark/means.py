"""Means over sets, which give each set the same weight as the papers do, with intervals.

An interval is that of sets drawn anew; where there are fewer than five of a kind, these sets stay
and their pictures vary. Sets of one class are drawn apart from those of both.

Shapes: k sets, R resamples. The last axis of [k, 2] is real, AI-made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antifake.trainer.report.estimates import MIN_SOURCES, TIMES, Estimate, Flags, Ids, Numbers

MIN_SETS = MIN_SOURCES


@dataclass(frozen=True)
class Means:
    """Means over sets. All are NaN where there is no set."""

    real: Estimate
    fake: Estimate
    balanced: Estimate
    """The mean of `real` and `fake`."""
    average: Estimate
    """The mean of each set's own accuracy: of its only class, or of both."""


def means(hits: Ids, counts: Ids) -> Means:
    """Returns the means of shares hits / counts, both [k, 2]; a count of 0: no such class."""
    random = np.random.default_rng(0)
    has = counts > 0
    shares = hits / np.maximum(counts, 1)
    kinds = has @ [1, 2]
    weights, drawn = np.ones((TIMES, len(hits))), np.zeros((TIMES, len(hits), 2))
    for kind in set(kinds.tolist()):
        places = np.flatnonzero(kinds == kind)
        if (n := len(places)) >= MIN_SETS:
            weights[:, places] = random.multinomial(n, [1 / n] * n, TIMES)
            drawn[:, places] = shares[places]
        else:
            # Jeffreys' interval: unlike pictures drawn anew it is not empty at a share of 0 or 1.
            misses = counts[places] - hits[places]
            drawn[:, places] = random.beta(hits[places] + 0.5, misses + 0.5, (TIMES, n, 2))
    values = _means(shares[None], has, np.ones((1, len(hits))))
    draws = _means(drawn, has, weights)
    return Means(
        *(_estimate(float(value[0]), those) for value, those in zip(values, draws, strict=True))
    )


def _means(shares: Numbers, has: Flags, weights: Numbers) -> tuple[Numbers, ...]:
    """Returns the four means [R] of shares [R, k, 2] with weights [R, k]."""
    weighed = weights[:, :, None] * has  # [R, k, 2]
    with np.errstate(invalid="ignore"):
        of_class = (weighed * shares).sum(axis=1) / weighed.sum(axis=1)  # [R, 2]
        own = (shares * has).sum(axis=2) / has.sum(axis=1)  # [R, k]
        kept = has.any(axis=1)
        average = (weights * np.where(kept, own, 0.0)).sum(axis=1) / (weights * kept).sum(axis=1)
    return of_class[:, 0], of_class[:, 1], of_class.mean(axis=1), average


def _estimate(value: float, draws: Numbers) -> Estimate:
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, (0.025, 0.975)).tolist()
    return Estimate(value, min(low, value), max(high, value))


def best_threshold(reals: Sequence[Numbers], fakes: Sequence[Numbers]) -> tuple[float, float]:
    """Returns the best mean of both classes' mean accuracies over sets, and its threshold.

    Takes the p_fake of each set's pictures. The threshold is chosen on the pictures that it is
    measured on, so this is an upper bound and no result. NaN where a class is missing.
    """
    every = np.unique(np.concatenate([*reals, *fakes, [0.5]]))
    called_real = [
        np.array(
            [np.searchsorted(np.sort(one), every, "right") / len(one) for one in those if len(one)]
        )
        for those in (reals, fakes)
    ]  # [k, thresholds]
    if not all(map(len, called_real)):
        return np.nan, np.nan
    balanced = (called_real[0].mean(axis=0) + 1 - called_real[1].mean(axis=0)) / 2
    at = int(balanced.argmax())
    return float(balanced[at]), float(every[at])
