"""What a daemon has acknowledged under load, and the contents that were sent to it."""

from collections import Counter
from dataclasses import dataclass, field

from kit.pictures import chunk, picture, saved

_KINDS = ("PNG", "JPEG", "WEBP")
_CREDENTIALS = chunk(b"caBX", b"junk")
"""A chunk with credentials that cannot be read: another process has to look at them."""
_PNG_HEADER_END = 33


def picture_of(number: int) -> bytes:
    """Returns a picture of a kind of its own; every seventh PNG claims Content Credentials."""
    data = saved(picture(number, 72), _KINDS[number % 3])
    if number % 21 == 0:
        return data[:_PNG_HEADER_END] + _CREDENTIALS + data[_PNG_HEADER_END:]
    return data


def broken_of(number: int) -> bytes:
    """Returns the beginning of a picture: nothing that could be judged."""
    return saved(picture(number, 72), "PNG")[:60] + number.to_bytes(8, "big")


@dataclass
class Sent:
    """One content that was sent, and what was answered."""

    number: int
    ids: set[str] = field(default_factory=set)
    """All under which it was acknowledged."""
    p_fake: float | None = None
    """Of the first verdict that was answered."""
    label: str | None = None
    """The last correction that was answered."""
    attempts: int = 0
    paths: set[str] = field(default_factory=set)
    """Files of the watched folder with this content."""


@dataclass
class Acknowledged:
    """What the daemon owes. For many threads: each content belongs to the client that made it."""

    pictures: dict[str, Sent] = field(default_factory=dict)
    """By SHA-256: they are to be in the history, once."""
    broken: dict[str, Sent] = field(default_factory=dict)
    """To be in the history, with a reason."""
    left: set[str] = field(default_factory=set)
    """Sent by clients that went away: in the history once or not at all."""
    private: set[str] = field(default_factory=set)
    """Not to be in the history."""
    answered: Counter[str] = field(default_factory=Counter)
    """Requests with a final answer, by what was asked."""
    again: Counter[str] = field(default_factory=Counter)
    """Attempts without one, by the reason."""
    wrong: list[str] = field(default_factory=list)
    """Answers that must not be given."""
