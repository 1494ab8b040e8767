"""What one look has found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    sentence: str
    fix: str | None = None
    """What to do about it, for people; where it is ok, what could still be done."""
