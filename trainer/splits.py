"""The split into training and validation. Near-duplicates always stay together.

Two pictures are near-duplicates if their 64-bit dhashes differ in at most 4 bits and their
thumbnails by at most 3 grey levels on average: copies that were scaled or compressed again.
"""

from collections.abc import Sequence

import numpy as np

from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext

from .samples import Sample

VALIDATION_SHARE = 0.2
MAX_BITS = 4
"""Of 64. Two unrelated photographs differ in about 32."""
MAX_LEVELS = 3.0
"""Of 255."""
BLOCK = 1024
"""Pictures compared at a time with all others: 8 MB of distances a thousand others."""


def near_duplicates(a: Sequence[Sample], b: Sequence[Sample]) -> list[tuple[int, int]]:
    """Returns pairs of positions (in a, in b) that show the same picture."""
    hashes_b = np.array([one.dhash for one in b], np.uint64)
    thumbs_a, thumbs_b = _thumbs(a), _thumbs(b)
    found: list[tuple[int, int]] = []
    for start in range(0, len(a), BLOCK):
        hashes_a = np.array([one.dhash for one in a[start : start + BLOCK]], np.uint64)
        bits = np.bitwise_count(hashes_a[:, None] ^ hashes_b[None])  # [block, len(b)]
        rows, columns = np.nonzero(bits <= MAX_BITS)
        differ = np.abs(thumbs_a[rows + start] - thumbs_b[columns]).mean(axis=1)
        near = differ <= MAX_LEVELS
        found += zip((rows[near] + start).tolist(), columns[near].tolist(), strict=True)
    return found


def _thumbs(pictures: Sequence[Sample]) -> np.ndarray:
    """Returns thumbnails, int16 [n, 192]."""
    raw = np.frombuffer(b"".join(one.thumb for one in pictures), np.uint8)
    return raw.reshape(len(pictures), -1).astype(np.int16)


def without_leaks(
    learn: Sequence[Sample], validate: Sequence[Sample]
) -> tuple[list[Sample], list[str]]:
    """Returns the validation pictures that training does not see, and notes on the others."""
    known = {one.sha256 for one in learn}
    near = {pair[0] for pair in near_duplicates(validate, learn)} if learn else set()
    kept = [
        one
        for position, one in enumerate(validate)
        if position not in near and one.sha256 not in known
    ]
    lost = len(validate) - len(kept)
    note = ngettext(
        "{n} validation picture, or a near-copy of it, is also learned from; it is left out of "
        "the validation.",
        "{n} validation pictures, or near-copies of them, are also learned from; they are left "
        "out of the validation.",
        lost,
    )
    return kept, [note] if lost else []


def split(pictures: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample], list[str]]:
    """Holds back a fifth of each class for validation, in whole sources if possible.

    Near-duplicates stay together. Returns both parts and notes. Raises UsageError where a part
    would lack a class.
    """
    pairs = near_duplicates(pictures, pictures)
    by_source = [(i, j) for i, j in _same_source(pictures)]
    for links, notes in (
        (pairs + by_source, []),
        (pairs, [_("There are too few sources to hold some back whole: validation knows all.")]),
    ):
        chosen = _choose(pictures, connected(len(pictures), links), seed)
        learn = [one for i, one in enumerate(pictures) if i not in chosen]
        validate = [pictures[i] for i in sorted(chosen)]
        if all({one.is_fake for one in part} == {True, False} for part in (learn, validate)):
            return learn, validate, notes if by_source else []
    raise UsageError(
        _(
            "These pictures cannot be divided into some to learn from and some to validate on: "
            "at least two real and two AI-made ones that are not copies of each other are needed."
        )
    )


def _same_source(pictures: Sequence[Sample]) -> list[tuple[int, int]]:
    """Returns a link from each picture of a known source to the first of that source."""
    first: dict[str, int] = {}
    sources = [(i, one.example.source) for i, one in enumerate(pictures) if one.example.source]
    return [(first.setdefault(source, i), i) for i, source in sources]


def connected(n: int, links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Returns the connected components of 0 .. n - 1, linked by pairs."""
    leader = list(range(n))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for i, j in links:
        leader[find(i)] = find(j)
    members: dict[int, list[int]] = {}
    for i in range(n):
        members.setdefault(find(i), []).append(i)
    return list(members.values())


def folds(is_fake: np.ndarray, groups: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Returns a fold in 0 .. n - 1 for each picture, int [n]. Groups of near-duplicates stay whole.

    `is_fake` bool [n]; `groups` int [n], each of one label. The groups of either class are dealt
    out in random order, so the folds have as many of each class as possible.
    """
    random = np.random.default_rng(seed)
    dealt = np.zeros(len(groups), int)
    for label in (False, True):
        numbers = np.unique(groups[is_fake == label])
        for place, number in enumerate(random.permutation(numbers)):
            dealt[groups == number] = place % n
    return dealt


def _choose(pictures: Sequence[Sample], groups: list[list[int]], seed: int) -> set[int]:
    """Takes groups in random order as long as neither class gets more than its share."""
    fakes = np.array([one.is_fake for one in pictures])
    room = {is_fake: _share(int((fakes == is_fake).sum())) for is_fake in (False, True)}
    chosen: set[int] = set()
    for number in np.random.default_rng(seed).permutation(len(groups)):
        group = groups[number]
        n_fake = int(fakes[group].sum())
        if n_fake <= room[True] and len(group) - n_fake <= room[False]:
            room[True] -= n_fake
            room[False] -= len(group) - n_fake
            chosen.update(group)
    return chosen


def _share(n: int) -> int:
    """Returns how many of n pictures to hold back, at least one."""
    return max(1, round(VALIDATION_SHARE * n))
