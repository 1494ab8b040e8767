"""Which pictures the recipe learns from, and how often each of them is drawn."""

from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from antifake.trainer.examples import Example, from_manifest, owners_of_each_class

PARTS = "train*"
"""Folders of the data that the recipe reads."""
LEFT_OUT = slice(4, None, 6)
"""Which owners are not learned from, of those of one class by their size: one in six. With those of
MODEL_CARD.md no family of generators is lost."""


def read_index(data: Path, part: str) -> list[Example]:
    """Returns the rows of the parts of a data folder that match, such as "test" or "train*"."""
    return from_manifest(data / "index.csv", f"{part}/*")


def learned_from(data: Path) -> list[Example]:
    """Returns the rows of a data folder that `mini` is trained on.

    Some owners of PARTS are left to the base set, which shows what another word does to pictures
    that the model never saw. It judges its own too well for that.
    """
    every = read_index(data, PARTS)
    left_out = {name for owners in owners_of_each_class(every) for name in owners[LEFT_OUT]}
    return [one for one in every if one.owner not in left_out]


def which_are_learned(examples: Sequence[Example], data: Path) -> np.ndarray:
    """Returns which of the examples [n] are among those of `learned_from`, indices [k]."""
    learned = {one.path for one in learned_from(data)}
    return np.flatnonzero([one.path in learned for one in examples])


def sampling_weights(examples: Sequence[Example], chosen: np.ndarray) -> np.ndarray:
    """Returns how often to draw each of the indices `chosen` [n], as weights [n] that sum to 1.

    Both classes are drawn equally often, and in each class all owners: with sources by their
    size the largest few would be most of what is learned.
    """
    owners = [(examples[i].is_fake, examples[i].owner) for i in chosen]
    sizes = Counter(owners)
    per_class = Counter(is_fake for is_fake, _ in sizes)
    weights = np.array([1 / (sizes[one] * per_class[one[0]]) for one in owners])
    normed: np.ndarray = weights / weights.sum()
    return normed


def at_most(most: int, indices: Sequence[int], groups: Sequence[Hashable]) -> np.ndarray:
    """Returns the first `most` of the indices [n] of each group [n], in their order, int [m]."""
    seen = Counter[Hashable]()
    kept = []
    for i, one in zip(indices, groups, strict=True):
        seen[one] += 1
        if seen[one] <= most:
            kept.append(i)
    return np.array(kept, int)
