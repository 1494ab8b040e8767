"""What files say of themselves, by the hash of their bytes. See core.evidence.

It outlives the verdicts of a model, and is read again only for a newer `VERSION` of what is looked
for. Rows live as long as a check of their picture.
"""

import json
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, or_, select
from sqlalchemy.orm import Session

from antifake.core.evidence.file_evidence import SAYS_AI, VERSION, FileEvidence

from .ids import to_ms, to_text
from .tables import CheckRow, EvidenceRow, table_of

INCOMPLETE = -1
"""The version of evidence that may be complete next time."""
_TRY_AGAIN = ("not_installed", "timeout", "crashed")


def version_of(file: FileEvidence) -> int:
    """Returns `VERSION`, or INCOMPLETE if its Content Credentials could not be read this time."""
    return INCOMPLETE if file.provenance.why_not in _TRY_AGAIN else VERSION


def keep(session: Session, sha256: str, file: FileEvidence, now: datetime) -> None:
    """Stores what a file says, unless as much is known of it."""
    version = version_of(file)
    known = session.scalar(_VERSION, {"picture": sha256})
    if known is not None and known >= version:
        return
    if known is not None:
        session.execute(_DROP, {"picture": sha256})
    values = {"sha256": sha256, "version": version, "basis": file.basis, "at": to_ms(now)}
    text = json.dumps(file.to_dict(), separators=(",", ":"))
    session.execute(_INSERT, values | {"file": text})


def is_wanting(session: Session, sha256: str) -> bool:
    """Whether a file was not looked at yet, or for less than is looked for now."""
    known = session.scalar(_VERSION, {"picture": sha256})
    return known is None or INCOMPLETE < known < VERSION


def read_of(session: Session, sha256s: Collection[str]) -> set[str]:
    """Returns those of these pictures of which as much is known as is looked for now."""
    wanted = EvidenceRow.sha256.in_(sha256s), EvidenceRow.version >= VERSION
    return set(session.scalars(select(EvidenceRow.sha256).where(*wanted)))


class Wanting(NamedTuple):
    """A picture of the history whose file is to be looked at."""

    sha256: str
    check: str
    """The id of its last check."""


def count_wanting(session: Session, *, again: bool = False) -> int:
    """Returns how many pictures of the history have a file that `is_wanting`.

    `again`: with those whose evidence may be complete this time, as `wanting` lists them.
    """
    unread = _is_unread() if again else _is_unread(INCOMPLETE)
    return session.scalar(select(func.count(CheckRow.sha256.distinct())).where(unread)) or 0


def wanting(session: Session, after: str, limit: int) -> list[Wanting]:
    """Returns pictures whose file is unread, and whose hash comes after another, in their order.

    Those whose evidence may be complete this time are among them; what is no picture is not.
    """
    last = func.max(CheckRow.id)
    found = select(CheckRow.sha256, last).where(_is_unread()).group_by(CheckRow.sha256)
    if after:
        found = found.where(CheckRow.sha256 > after)
    rows = session.execute(found.order_by(CheckRow.sha256).limit(limit))
    return [Wanting(sha256, to_text(number)) for sha256, number in rows if sha256]


def _is_unread(*but: int) -> ColumnElement[bool]:
    """Whether the file of a CheckRow is not known as `VERSION` has it, nor as one of the others."""
    read = select(EvidenceRow.sha256).where(
        EvidenceRow.sha256 == CheckRow.sha256,
        or_(EvidenceRow.version >= VERSION, EvidenceRow.version.in_(but)),
    )
    is_picture = or_(CheckRow.code.is_(None), CheckRow.code.not_in(_NO_PICTURE))
    return and_(CheckRow.sha256.is_not(None), is_picture, ~read.exists())


def of_pictures(session: Session, sha256s: Collection[str]) -> dict[str, FileEvidence]:
    """Returns what is known of these files. Those of which nothing is known are missing."""
    rows = session.execute(_FILES, {"some": sorted(sha256s)})
    read = ((sha256, _read(text)) for sha256, text in rows)
    return {sha256: file for sha256, file in read if file is not None}


def says_ai() -> Select[str]:
    """Selects the hashes of files that say of themselves that AI made them."""
    return select(EvidenceRow.sha256).where(EvidenceRow.basis.in_(SAYS_AI))


def _read(text: str) -> FileEvidence | None:
    """Returns what `keep` has stored. None for what another version stored that is unknown now."""
    try:
        return FileEvidence.from_dict(json.loads(text))
    except (ValueError, TypeError, LookupError):
        return None


_NO_PICTURE = ("unknown_format", "empty", "too_large_bytes")
"""Codes of checks of what has no marks that could be read."""
_INSERT = table_of(EvidenceRow).insert()
_DROP = delete(table_of(EvidenceRow)).where(EvidenceRow.sha256 == bindparam("picture"))
_VERSION = select(EvidenceRow.version).where(EvidenceRow.sha256 == bindparam("picture"))
_FILES = select(EvidenceRow.sha256, EvidenceRow.file).where(
    EvidenceRow.sha256.in_(bindparam("some", expanding=True))
)
