"""The result of one check of the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    sentence: str
    fix: str | None = None
    """What to do about it, for people. If `ok`, something that could still be improved."""


def first_trouble(findings: Iterable[Finding]) -> Finding | None:
    """Returns the failure to fix first: it may be the cause of the later ones."""
    return next((finding for finding in findings if not finding.ok), None)
