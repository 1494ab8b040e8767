"""Finds similar perceptual hashes without comparing with each one.

A hash of 64 bits is split into four quarters. If two hashes differ in at most 7 bits, at least one
quarter differs in at most one bit. So a similar hash has one of 4 x 17 keys. For near-copies alone,
which differ in at most four bits, five bands are enough: one of them is the same.
"""

from collections.abc import Iterator, Sequence

BITS = 64
QUARTER_BITS = 16
MAX_DISTANCE = 7
"""In bits. Beyond it, a similar pair may share no key."""
ALIKE = 4
"""In bits: a copy that was rescaled or recompressed. Unrelated photographs differ in about 32."""
_LEAST_DETAIL = 8
_QUARTER = (1 << QUARTER_BITS) - 1


def is_telling(phash: int) -> bool:
    """Returns whether the hash is distinctive: smooth pictures all have nearly the same hash."""
    return _LEAST_DETAIL <= phash.bit_count() <= BITS - _LEAST_DETAIL


def distance(a: int, b: int) -> int:
    """Returns the Hamming distance, 0 .. 64."""
    return (a ^ b).bit_count()


def nearest(phash: int, others: Sequence[int]) -> tuple[int, int]:
    """Returns the position of the first of the most similar hashes, and its distance.

    Of no hashes none is nearest: the distance is beyond what any two can differ in.

    >>> nearest(0b0111, [0b1000, 0b0110, 0b0101])
    (1, 1)
    """
    # Nothing is called in this loop, as it sees millions of pairs.
    distances = [(phash ^ other).bit_count() for other in others]
    least = min(distances, default=BITS + 1)
    return (distances.index(least) if distances else 0), least


def groups(phashes: Sequence[int | None]) -> list[list[int]]:
    """Returns the positions of the hashes, near-copies together, in the order of the first."""
    firsts: list[tuple[int, list[int]]] = []
    found: list[list[int]] = []
    for position, phash in enumerate(phashes):
        if phash is None or not is_telling(phash):
            found.append([position])
            continue
        alike = (group for first, group in firsts if distance(first, phash) <= ALIKE)
        group = next(alike, None)
        if group is None:
            group = []
            firsts.append((phash, group))
            found.append(group)
        group.append(position)
    return found


def bands(phash: int) -> list[int]:
    """Returns a number for each band; near-copies share one of them.

    Neighbouring bits of a picture's hash are much alike, so a band has every fifth bit: of real
    photographs a thousandth share one. Each number says which band it is, too.
    """
    bits = f"{phash:0{BITS}b}"
    return [n << QUARTER_BITS | int(bits[n :: ALIKE + 1], 2) for n in range(ALIKE + 1)]


def keys(phash: int) -> list[int]:
    """Returns a key for each quarter: 18 bits, of which the upper two say which quarter."""
    return [
        place << QUARTER_BITS | phash >> place * QUARTER_BITS & _QUARTER
        for place in range(BITS // QUARTER_BITS)
    ]


def keys_nearby(phash: int) -> Iterator[int]:
    """Yields these keys and all that differ from one of them in one bit."""
    for key in keys(phash):
        yield key
        for bit in range(QUARTER_BITS):
            yield key ^ 1 << bit
