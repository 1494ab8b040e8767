"""What the user said, as something to learn from: how many, how different, changed since when."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from antifake.core import Label
from antifake.daemon.store import similarity
from antifake.daemon.store.corrections import Word


def fingerprint(words: Sequence[Word], one_in: int) -> str:
    """Returns a hash of all that a training depends on, besides the model."""
    lines = sorted(f"{word.sha256} {word.label}" for word in words)
    return hashlib.sha256("\n".join([*lines, str(one_in)]).encode()).hexdigest()


def counted(words: Sequence[Word]) -> Counter[Label]:
    return Counter(word.label for word in words)


def grouped(words: Sequence[Word]) -> Counter[Label]:
    """Counts near-copies once. The trainer looks closer, so it may count fewer."""
    found: Counter[Label] = Counter()
    for label in ("real", "fake"):
        hashes = [word.phash for word in words if word.label == label]
        telling = {one for one in hashes if one is not None and similarity.is_telling(one)}
        others = sum(one is None or not similarity.is_telling(one) for one in hashes)
        found[label] = _groups(frozenset(telling)) + others
    return found


# Of 100,000 words it takes a second or two, and they are counted for each look at the page.
@lru_cache(maxsize=4)
def _groups(hashes: frozenset[int]) -> int:
    """Returns how many groups of near-copies these perceptual hashes make."""
    bands = {one: similarity.bands(one) for one in hashes}
    by_band: dict[int, set[int]] = {}
    for one in hashes:
        for band in bands[one]:
            by_band.setdefault(band, set()).add(one)
    left, n = set(hashes), 0
    while left:
        n += 1
        near = [left.pop()]
        while near:
            one = near.pop()
            for band in bands[one]:
                by_band[band].discard(one)
            alike = {
                other
                for band in bands[one]
                for other in by_band[band]
                if (other ^ one).bit_count() <= similarity.ALIKE
            }
            near += alike & left
            left -= alike
    return n
