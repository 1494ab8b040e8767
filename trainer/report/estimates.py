"""Numbers with 95 % bootstrap intervals.

Pictures of one source resemble each other, so 500 of them tell less than 500 pictures of as many
sources. Where sources are known, whole sources are resampled.

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
"""Weights in memory at once: 32 MB."""
MIN_SOURCES = 5
"""Sources needed of each class to resample them. With fewer, intervals would be unreliable."""

Statistic = Callable[[Numbers], Numbers]
"""Maps weights [R, n], how often each picture counts, to numbers [R]; NaN where undefined."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval. All are NaN where it is not defined."""

    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        return not np.isnan(self.value)

    def widened(self, other: "Estimate") -> "Estimate":
        """Returns the same number with an interval that contains both intervals."""
        return Estimate(self.value, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Groups:
    """Groups of pictures that are resampled, or left out, as a whole."""

    ids: Ids
    """[n], numbered from 0."""
    are_sources: bool
    """False: every picture is its own group."""


def groups_of(truth: Flags, sources: Sequence[str]) -> Groups:
    """Groups by source if all are named and each class has at least five, else by picture."""
    per_class = [
        {source for source, is_fake in zip(sources, truth, strict=True) if is_fake == kind}
        for kind in set(truth.tolist())
    ]
    if all(sources) and per_class and min(map(len, per_class)) >= MIN_SOURCES:
        return Groups(np.unique(np.array(sources), return_inverse=True)[1].astype(np.int64), True)
    return Groups(np.arange(len(truth)), False)


def resamples(truth: Flags, groups: Groups, seed: int = 0) -> Iterator[Numbers]:
    """Yields weights [R, n] of some resamples at a time, TIMES in all.

    Groups are resampled separately by the classes they contain, so that no resample lacks a
    class.
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
    """Returns each statistic with its interval, all over the same resamples."""
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
    # A skewed statistic can lie outside the quantiles of its resamples. The interval is then
    # extended to contain it.
    return Estimate(value, min(low, value), max(high, value))


def wilson(hits: float, n: float) -> Estimate:
    """Returns a share with Wilson's interval, which is accurate at 0, at 1 and for few pictures.

    >>> found = wilson(8, 10)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.8, 0.49, 0.94)
    """
    if not n:
        return Estimate(np.nan, np.nan, np.nan)
    z, share = 1.96, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, min(share, float(middle - reach)), max(share, float(middle + reach)))
