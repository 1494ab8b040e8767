"""Numbers with 95 % intervals.

Pictures of one source resemble each other, so 500 of them are worth less than
500 of as many sources. Where sources are known it is they that are drawn again.

Shapes: n pictures, R resamples at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Ids = np.ndarray[Any, np.dtype[np.int64]]

TIMES = 1000
MOST_WEIGHTS = 4_000_000
"""In memory at once: 32 MB."""
MIN_SOURCES = 5
"""Of each class. With fewer, drawing sources again would say more of luck than of spread."""

Statistic = Callable[[Numbers], Numbers]
"""Weights [R, n], how often each picture counts, to numbers [R]; NaN where there is none."""


@dataclass(frozen=True)
class Estimate:
    """A number and where it lies with 95 % confidence; all NaN where it is not defined."""

    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        return not np.isnan(self.value)

    def widened(self, other: "Estimate") -> "Estimate":
        """The same number; the interval holds both."""
        return Estimate(self.value, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Groups:
    """What may be drawn again, or left out, only as a whole."""

    ids: Ids
    """[n], numbered from 0."""
    are_sources: bool
    """False: every picture is a group of its own."""


def groups_of(truth: Flags, sources: Sequence[str]) -> Groups:
    """Sources, if all are named and each class has at least five; single pictures otherwise."""
    per_class = [
        {source for source, is_fake in zip(sources, truth, strict=True) if is_fake == kind}
        for kind in set(truth.tolist())
    ]
    if all(sources) and per_class and min(map(len, per_class)) >= MIN_SOURCES:
        return Groups(np.unique(np.array(sources), return_inverse=True)[1].astype(np.int64), True)
    return Groups(np.arange(len(truth)), False)


def resamples(truth: Flags, groups: Groups, seed: int = 0) -> Iterator[Numbers]:
    """Weights [R, n], some resamples at a time and TIMES in all.

    Groups that hold the same classes are drawn among themselves, so that no draw
    lacks a class.
    """
    random = np.random.default_rng(seed)
    n_groups = int(groups.ids.max(initial=-1)) + 1
    fakes = np.bincount(groups.ids[truth], minlength=n_groups) > 0
    reals = np.bincount(groups.ids[~truth], minlength=n_groups) > 0
    strata = [np.flatnonzero((fakes + 2 * reals) == holds) for holds in (1, 2, 3)]
    at_once = max(1, min(TIMES, MOST_WEIGHTS // len(truth)))
    for first in range(0, TIMES, at_once):
        counts = np.zeros((min(at_once, TIMES - first), n_groups))  # [R, groups]
        for row in range(len(counts)):
            drawn = [random.choice(stratum, len(stratum)) for stratum in strata if len(stratum)]
            counts[row] = np.bincount(np.concatenate(drawn), minlength=n_groups)
        yield counts[:, groups.ids]


def estimates(
    statistics: Mapping[str, Statistic], truth: Flags, groups: Groups
) -> dict[str, Estimate]:
    """Each statistic of the pictures as they are, and its spread over the same resamples."""
    if not len(truth):
        return {name: Estimate(np.nan, np.nan, np.nan) for name in statistics}
    everything = np.ones((1, len(truth)))
    draws: dict[str, list[Numbers]] = {name: [] for name in statistics}
    for weights in resamples(truth, groups):
        for name, statistic in statistics.items():
            draws[name].append(statistic(weights))
    return {
        name: _estimate(float(statistic(everything)[0]), np.concatenate(draws[name]))
        for name, statistic in statistics.items()
    }


def _estimate(value: float, draws: Numbers) -> Estimate:
    defined = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(defined):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(defined, (0.025, 0.975)).tolist()
    # Skewed statistics can lie beyond the quantiles of their draws; the interval
    # then reaches to them.
    return Estimate(value, min(low, value), max(high, value))


def wilson(hits: float, n: float) -> Estimate:
    """A share with Wilson's interval, which is honest at 0, at 1 and for few pictures."""
    if not n:
        return Estimate(np.nan, np.nan, np.nan)
    z, share = 1.96, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, min(share, float(middle - reach)), max(share, float(middle + reach)))
