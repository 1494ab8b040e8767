"""Sampling weights, and folds that leave whole sources and generator families out of training.

The recipe measures itself on these folds. `unseen` is stricter: whole owners of sources.
"""

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antifake.trainer.examples import Example, from_manifest


def read_index(data: Path, part: str) -> list[Example]:
    """Returns the rows of one part ("train" or "test") of a data folder."""
    return from_manifest(data / "index.csv", f"{part}/*")


def group(example: Example) -> tuple[bool, str, str]:
    """Returns the group of an example. Pictures of one group are likely to resemble each other."""
    return example.is_fake, example.source, example.family


def sampling_weights(examples: Sequence[Example], chosen: np.ndarray) -> np.ndarray:
    """Returns how often to draw each of the indices `chosen` [n], as weights [n] that sum to 1.

    Both classes are drawn equally often, groups in proportion to the root of their size.
    """
    groups = Counter(group(examples[i]) for i in chosen)
    totals: dict[bool, float] = {}
    for (is_fake, *_), count in groups.items():
        totals[is_fake] = totals.get(is_fake, 0) + count**0.5
    weights = [
        0.5 / totals[examples[i].is_fake] / groups[group(examples[i])] ** 0.5 for i in chosen
    ]
    total = sum(weights)
    return np.array([weight / total for weight in weights])


@dataclass(frozen=True)
class Fold:
    """Sources and families that are left out of training together."""

    name: str
    fake_sources: frozenset[str]
    families: frozenset[str]
    real_sources: frozenset[str]

    def trains_on(self, example: Example) -> bool:
        if example.is_fake:
            return example.source not in self.fake_sources and example.family not in self.families
        return example.source not in self.real_sources

    def validates_on(self, example: Example) -> bool:
        """A left-out source may hold a generator that training saw elsewhere: that is left out."""
        if example.is_fake:
            return example.family in self.families
        return example.source in self.real_sources

    def split(self, examples: Sequence[Example], most: int = 150) -> tuple[np.ndarray, np.ndarray]:
        """Returns indices to train on and to validate on, the latter at most `most` of a group."""
        train = [i for i, example in enumerate(examples) if self.trains_on(example)]
        held = [
            i
            for i, example in enumerate(examples)
            if self.validates_on(example) and not self.trains_on(example)
        ]
        return np.array(train), at_most(most, held, [group(examples[i]) for i in held])


def at_most(most: int, indices: Sequence[int], groups: Sequence[Hashable]) -> np.ndarray:
    """Returns the first `most` of the indices [n] of each group [n], in their order, int [m]."""
    seen = Counter[Hashable]()
    kept = []
    for i, one in zip(indices, groups, strict=True):
        seen[one] += 1
        if seen[one] <= most:
            kept.append(i)
    return np.array(kept, int)


def folds(examples: Sequence[Example], count: int, seed: int) -> list[Fold]:
    """Splits the sources into `count` disjoint sets, each with fakes and reals of many kinds.

    A family belongs to the fold that holds most of its pictures. So no generator of a
    left-out fold was seen in training, from any source.
    """
    shuffled = random.Random(seed)  # noqa: S311 - not for secrets
    by_label = {}
    for label in (True, False):
        sources = Counter(e.source for e in examples if e.is_fake == label)
        bins: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
        names = sorted(sources)
        shuffled.shuffle(names)
        for name in sorted(names, key=lambda one: -sources[one]):
            size, held = min(bins, key=lambda one: one[0])
            bins[bins.index((size, held))] = (size + sources[name], [*held, name])
        by_label[label] = [held for _, held in bins]
    homes = {}
    for family in {e.family for e in examples if e.is_fake}:
        where = Counter(e.source for e in examples if e.is_fake and e.family == family)
        homes[family] = where.most_common(1)[0][0]
    return [
        Fold(
            f"fold {i + 1}",
            frozenset(fakes),
            frozenset(family for family, home in homes.items() if home in fakes),
            frozenset(reals),
        )
        for i, (fakes, reals) in enumerate(zip(by_label[True], by_label[False], strict=True))
    ]
