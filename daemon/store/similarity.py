"""Which hashes are alike, without comparing with each one.

A hash of 64 bits is cut into four quarters. Where two hashes differ in at most 7 bits, one
quarter differs in at most one; so whatever is alike shares a key with one of 4 x 17.
"""

from collections.abc import Iterator

BITS = 64
QUARTER_BITS = 16
MAX_DISTANCE = 7
"""In bits; from the next on a pair may share no quarter."""
ALIKE = 4
"""In bits: a copy that was scaled or compressed again. Unrelated photographs differ in about 32."""
_LEAST_DETAIL = 8
_QUARTER = (1 << QUARTER_BITS) - 1


def is_telling(phash: int) -> bool:
    """Whether the hash says anything: all smooth pictures have nearly the same few."""
    return _LEAST_DETAIL <= phash.bit_count() <= BITS - _LEAST_DETAIL


def distance(a: int, b: int) -> int:
    """Bits that differ, 0 .. 64."""
    return (a ^ b).bit_count()


def keys(phash: int) -> list[int]:
    """One for each quarter; 18 bits, the upper two say which."""
    return [
        place << QUARTER_BITS | phash >> place * QUARTER_BITS & _QUARTER
        for place in range(BITS // QUARTER_BITS)
    ]


def keys_nearby(phash: int) -> Iterator[int]:
    """Those, and all that differ from one of them in one bit."""
    for key in keys(phash):
        yield key
        for bit in range(QUARTER_BITS):
            yield key ^ 1 << bit
