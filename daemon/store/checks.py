"""The table of checks: one row for each judgement of a picture."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from secrets import token_bytes
from typing import Any

from sqlalchemy import Subquery, bindparam, delete, func, select
from sqlalchemy.orm import Session

from antifake.core import Label
from antifake.core.i18n import _
from antifake.core.parts import JudgedPart

from . import groups
from .database import NotThereError, in_parts
from .ids import Randomness, new_number, time_of, to_ms, to_number, to_text
from .tables import CheckRow, Source, ThumbnailRow, table_of

MAX_THUMBNAIL_BYTES = 20_000
GIVEN_UP = ("too_much_work", "timeout", "crashed")
"""Codes of pictures that took too long, or ended the process that worked on them."""
NOT_TRIED_AGAIN = ("too_much_work", "crashed")
"""Those of them that are the picture's fault: a timeout may be that of a busy computer."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result for one picture: a label, or the reason why there is none."""

    source: Source
    """Which client or part of antifake asked for the check."""
    label: Label | None = None
    p_fake: float | None = None
    """Calibrated probability, in [0, 1], that a generator made the picture."""
    model: str = ""
    prompt: str = ""
    """Versions of both, as in a Verdict."""
    sha256: str | None = None
    """Of the file's bytes, 64 hex digits; None if they could not be read."""
    phash: int | None = None
    """Perceptual hash, 64 bits."""
    width: int | None = None
    height: int | None = None
    """In pixels, of the original file."""
    format: str | None = None
    path: str | None = None
    page: str | None = None
    """Where the picture was, as far as the settings allow it to be kept."""
    name: str | None = None
    """What a picture is called that came as bytes, without a path."""
    ms: float = 0.0
    """Milliseconds it took."""
    error: str | None = None
    """Why there is no label, in a sentence. `code` is the same for programs."""
    code: str | None = None
    parts: tuple[JudgedPart, ...] | None = None
    """The parts of the picture that were judged. None if only its middle was, by an old version."""
    note: str | None = None
    """What a person should know of what was judged, such as that rows are missing: a sentence."""

    @property
    def shown_name(self) -> str | None:
        """The name that people know it by: of its file, or the one it was sent with."""
        return file_name(self.path) if self.path else self.name


@dataclass(frozen=True, kw_only=True)
class Check(Finding):
    """A finding that is in the history."""

    id: str
    """Its name for people and programs. Ids sort by time."""

    @property
    def at(self) -> datetime:
        """When it was made, in UTC, to the millisecond."""
        return time_of(to_number(self.id))


_COLUMNS = [field.name for field in fields(Finding)]


def add(
    session: Session, finding: Finding, now: datetime, random: Randomness = token_bytes
) -> Check:
    """Adds a check under a new id."""
    return insert(session, finding, free_number(session, new_number(now, random)))


def insert(session: Session, finding: Finding, number: int) -> Check:
    """Adds a check under a free number."""
    insert_many(session, [(number, finding)])
    return Check(id=to_text(number), **{name: getattr(finding, name) for name in _COLUMNS})


def insert_many(session: Session, found: Sequence[tuple[int, Finding]]) -> None:
    """Adds checks under free numbers."""
    if not found:
        return
    of_group = groups.join(session, [finding.phash for _number, finding in found])
    rows = [_values(*one, group) for one, group in zip(found, of_group, strict=True)]
    session.execute(_INSERT, rows)


def _values(number: int, finding: Finding, group: int | None) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in _COLUMNS} | {
        "id": number,
        "name_key": name_key(finding.shown_name),
        "certainty": certainty(finding.p_fake),
        "group_phash": group,
    }


def certainty(p_fake: float | None) -> float | None:
    """Returns how far a probability is from an even chance, 0 .. 0.5."""
    return None if p_fake is None else abs(p_fake - 0.5)


def free_number(session: Session, number: int) -> int:
    """Returns the next free number: two checks of one millisecond may have drawn the same."""
    while session.scalar(_THAT, {"id": number}) is not None:
        number += 1
    return number


def findings(session: Session, numbers: Collection[int]) -> dict[int, Finding]:
    """Returns what was found, by the numbers of checks that are there."""
    rows = session.execute(_FINDINGS.where(CheckRow.id.in_(numbers)))
    return {row.id: _finding(row) for row in rows}


def with_endings(
    session: Session, sha256s: Collection[str], endings: Collection[int], mask: int
) -> set[Finding]:
    """Returns what was found of these pictures by checks whose numbers end like this.

    It reads only those rows, but looks through the numbers of all checks of these pictures.
    """
    ending = CheckRow.id.bitwise_and(mask).in_(endings)
    rows = session.execute(_FINDINGS.where(CheckRow.sha256.in_(sha256s), ending))
    return {_finding(row) for row in rows}


def latest_findings(session: Session, sha256s: Collection[str], most: int) -> set[Finding]:
    """Returns what the last `most` checks of each of these pictures found."""
    found: set[Finding] = set()
    for sha256 in sha256s:
        of_it = {"picture": sha256, "most": most}
        found.update(_finding(row) for row in session.execute(_LATEST_FINDINGS, of_it))
    return found


def get(session: Session, name: str) -> Check:
    """Returns a check by its id. Raises NotThereError."""
    row = session.get(CheckRow, to_number(name))
    if row is None:
        raise NotThereError(_("There is no check {name}.", name=name))
    return of_row(row)


def earlier(session: Session, sha256: str, model: str, prompt: str) -> Check | None:
    """Returns the last verdict on the same bytes by the same model and prompt, or None.

    A verdict on the middle of a picture alone does not count.
    """
    wanted = {"sha256": sha256, "model": model, "prompt": prompt}
    row = session.scalars(_EARLIER, wanted).first()
    return of_row(row) if row else None


def given_up(session: Session, sha256: str, since: datetime) -> Check | None:
    """Returns the last check of the same bytes if they were too much for it since then, or None."""
    row = session.scalars(_LAST, {"sha256": sha256}).first()
    found = of_row(row) if row else None
    return found if found and found.code in NOT_TRIED_AGAIN and found.at >= since else None


def last_of(session: Session, sha256s: Collection[str]) -> list[Check]:
    """Returns the last check of each of these pictures, in the same order."""
    found: dict[str, Check] = {}
    for some in in_parts(sorted(set(sha256s))):
        last = select(func.max(CheckRow.id)).where(CheckRow.sha256.in_(some))
        wanted = select(CheckRow).where(CheckRow.id.in_(last.group_by(CheckRow.sha256)))
        found |= {row.sha256 or "": of_row(row) for row in session.scalars(wanted)}
    return [found[sha256] for sha256 in dict.fromkeys(sha256s) if sha256 in found]


def last_verdicts() -> Subquery:
    """Selects the last verdict on each picture: its `number`, a CheckRow.id."""
    return (
        select(func.max(CheckRow.id).label("number"))
        .where(CheckRow.label.is_not(None), CheckRow.sha256.is_not(None))
        .group_by(CheckRow.sha256)
        .subquery()
    )


# Built once, because building a statement takes as long as running it. Statements that run for
# every picture bypass the ORM's mapper, which takes as long again.
_INSERT = table_of(CheckRow).insert()
_FINDINGS = select(CheckRow.id, *(getattr(CheckRow, name) for name in _COLUMNS))
_LATEST_FINDINGS = (
    _FINDINGS.where(CheckRow.sha256 == bindparam("picture"))
    .order_by(CheckRow.id.desc())
    .limit(bindparam("most"))
)
_THAT = select(CheckRow.id).where(CheckRow.id == bindparam("id"))
_KEEP_THUMBNAIL = table_of(ThumbnailRow).insert()
_DROP_THUMBNAIL = delete(table_of(ThumbnailRow)).where(ThumbnailRow.sha256 == bindparam("picture"))
_LAST = (
    select(CheckRow)
    .where(CheckRow.sha256 == bindparam("sha256"))
    .order_by(CheckRow.id.desc())
    .limit(1)
)
_EARLIER = (
    select(CheckRow)
    .where(*(getattr(CheckRow, name) == bindparam(name) for name in ("sha256", "model", "prompt")))
    .where(CheckRow.label.is_not(None), CheckRow.parts.is_not(None))
    .order_by(CheckRow.id.desc())
    .limit(1)
)


def moved(session: Session, name: str, path: str) -> None:
    """Updates the path of a file without a hash that was moved. See occurrences.moved."""
    row = session.get(CheckRow, to_number(name))
    if row is not None and row.path is not None:
        row.path, row.name_key = path, name_key(file_name(path))


def _finding(row: Any) -> Finding:
    return Finding(**{name: getattr(row, name) for name in _COLUMNS})


def of_row(row: CheckRow) -> Check:
    return Check(id=to_text(row.id), **{name: getattr(row, name) for name in _COLUMNS})


def name_key(*names: str | None) -> str | None:
    """Returns what searches look in: the names of a picture, case-folded, one a line."""
    keys = dict.fromkeys(name.casefold() for name in names if name is not None)
    return "\n".join(keys) if keys else None


def file_name(path: str) -> str:
    """Returns the name without its folders, for paths of any operating system."""
    return (PureWindowsPath if "\\" in path else PurePosixPath)(path).name


def keep_thumbnail(session: Session, sha256: str, webp: bytes, now: datetime) -> None:
    """Stores a thumbnail. Raises ValueError above MAX_THUMBNAIL_BYTES."""
    if len(webp) > MAX_THUMBNAIL_BYTES:
        raise ValueError(f"a thumbnail of {len(webp)} bytes is none")
    session.execute(_DROP_THUMBNAIL, {"picture": sha256})
    session.execute(_KEEP_THUMBNAIL, {"sha256": sha256, "at": to_ms(now), "webp": webp})


def thumbnail(session: Session, sha256: str) -> bytes | None:
    row = session.get(ThumbnailRow, sha256)
    return row.webp if row else None


def count_thumbnails(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ThumbnailRow)) or 0
