"""Numbers of checks: they sort by time and contain the time.

42 bits of milliseconds since 1970, then 21 random bits. With 63 bits it can be SQLite's row number,
and every index stays small. People and programs see 13 letters of Crockford's base 32, which sort
in the same order.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from secrets import token_bytes

from antifake.core.i18n import _

from .database import NotThereError

Randomness = Callable[[int], bytes]
"""Returns that many random bytes."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LETTERS = 13
RANDOM_BITS = 21
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LARGEST = 2**63 - 1


def new_number(now: datetime, random: Randomness = token_bytes) -> int:
    return first_number(now) | int.from_bytes(random(3)) >> (24 - RANDOM_BITS)


def first_number(moment: datetime) -> int:
    """Returns the smallest number that a check of that millisecond can have."""
    return min(max(0, to_ms(moment)) << RANDOM_BITS, _LARGEST)


def time_of(number: int) -> datetime:
    """Returns when it was made, in UTC, to the millisecond."""
    return from_ms(number >> RANDOM_BITS)


def to_ms(moment: datetime) -> int:
    """Returns whole milliseconds since 1970. `moment` must have a time zone."""
    return (moment - EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    return EPOCH + ms * _MS


def to_text(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LETTERS)))


def to_number(text: str) -> int:
    """Parses an id. Raises NotThereError if no check can have it."""
    values = [ALPHABET.find(letter) for letter in text]
    number = reduce(lambda sum_, value: sum_ << 5 | value, values, 0)
    if len(text) != LETTERS or -1 in values or number > _LARGEST:
        raise NotThereError(_("{text!r} is not the name of a check.", text=text[:40]))
    return number
