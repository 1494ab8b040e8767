"""The ledger: which files of the watched folders were handled, and their stamps at that time.

A file with an unchanged stamp is not read again. Events can get lost; the ledger together with a
walk over the folder finds what they have missed.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import Session

from .database import changed, in_parts
from .history import in_folder
from .ids import to_number, to_text
from .tables import FileRow, table_of


@dataclass(frozen=True)
class Stamp:
    """What changes when a file changes."""

    path: str
    size: int
    mtime_ns: int
    identity: str
    """Device and inode, which stay the same when a file is moved."""
    ctime_ns: int | None = None
    """When its bytes, its name or its permissions were last changed. Unlike mtime_ns, no program
    can set it. None: not noted, as in rows from before it was kept, and on Windows, where the
    system calls the time of creation so."""

    @classmethod
    def of(cls, path: str, info: os.stat_result) -> "Stamp":
        # As text, because an inode may have more bits than an integer of the database.
        identity = f"{info.st_dev:x}-{info.st_ino:x}"
        ctime_ns = None if sys.platform == "win32" else info.st_ctime_ns
        return cls(path, info.st_size, info.st_mtime_ns, identity, ctime_ns)

    def is_as(self, noted: "Stamp") -> bool:
        """Whether the file is as it was noted. A time that was not noted is believed.

        So a new version judges no file again. `note_ctimes` notes it for the next time.
        """
        return self == noted or (None in (self.ctime_ns, noted.ctime_ns) and self.is_alike(noted))

    def is_alike(self, noted: "Stamp") -> bool:
        """Whether all but ctime is as noted: only its bytes tell whether it is the same picture."""
        return replace(self, ctime_ns=None) == replace(noted, ctime_ns=None)


@dataclass(frozen=True)
class Known:
    """A file that was handled."""

    stamp: Stamp
    sha256: str | None
    check_id: str | None
    waits_in: str | None = None
    """The watched folder that held it before it was watched, if it was not checked since."""


def note(
    session: Session,
    stamp: Stamp,
    *,
    sha256: str | None = None,
    check_id: str | None = None,
    waits_in: str | None = None,
) -> None:
    """Notes a file as handled. Call it in the transaction that writes the result."""
    session.merge(
        FileRow(
            path=stamp.path,
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            ctime_ns=stamp.ctime_ns,
            identity=stamp.identity,
            sha256=sha256,
            check_id=None if check_id is None else to_number(check_id),
            waits_in=waits_in,
        )
    )


def unknown(session: Session, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
    """Yields the stamps that are new or changed. Queries some hundred at a time."""
    for some in in_parts(stamps):
        noted = _noted(session, some)
        for stamp in some:
            if stamp.path not in noted or not stamp.is_as(noted[stamp.path]):
                yield stamp


def with_new_ctime(session: Session, stamps: Iterable[Stamp]) -> list[Stamp]:
    """Returns the stamps whose ctime can be noted without a look at the bytes of the file.

    All else is as noted, and there was no ctime, or there is no verdict that could be a wrong one.
    """
    found: list[Stamp] = []
    for some in in_parts(stamps):
        noted = _noted(session, some, FileRow.ctime_ns.is_(None) | FileRow.waits_in.is_not(None))
        for stamp in some:
            old = noted.get(stamp.path)
            if old and stamp.ctime_ns not in (None, old.ctime_ns) and stamp.is_alike(old):
                found.append(stamp)
    return found


def note_ctimes(session: Session, stamps: Iterable[Stamp]) -> None:
    """Notes the ctime of files that are otherwise as noted."""
    for some in in_parts(stamps):
        session.execute(_NOTE_CTIME, [{"of": one.path, "ctime_ns": one.ctime_ns} for one in some])


def known(session: Session, path: str) -> Known | None:
    row = session.get(FileRow, path)
    return _known(row) if row else None


def known_elsewhere(session: Session, stamp: Stamp) -> Known | None:
    """Returns what may be the same file under its path before it was moved, or None.

    Only the bytes tell: inodes are used again, and moving a file changes its ctime.
    """
    wanted = select(FileRow).where(
        FileRow.identity == stamp.identity,
        FileRow.size == stamp.size,
        FileRow.mtime_ns == stamp.mtime_ns,
        FileRow.path != stamp.path,
    )
    row = session.scalars(wanted.limit(1)).first()
    return _known(row) if row else None


def paths_in(session: Session, folder: str) -> Iterator[str]:
    """Returns the paths of all noted files in a folder and below it."""
    return iter(session.scalars(select(FileRow.path).where(in_folder(FileRow.path, folder))))


def drop(session: Session, paths: Iterable[str]) -> int:
    """Removes files that are gone. Returns how many were noted. Their checks stay."""
    dropped = 0
    for some in in_parts(paths):
        dropped += changed(session, delete(FileRow).where(FileRow.path.in_(some)))
    return dropped


_COLUMNS = FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.identity, FileRow.ctime_ns
_NOTE_CTIME = (
    update(table_of(FileRow))
    .where(FileRow.path == bindparam("of"))
    .values(ctime_ns=bindparam("ctime_ns"))
)


def _noted(
    session: Session, stamps: list[Stamp], *conditions: ColumnElement[bool]
) -> dict[str, Stamp]:
    """Returns how these files were noted, by path, of those whose rows meet the conditions."""
    named = FileRow.path.in_([stamp.path for stamp in stamps])
    wanted = select(*_COLUMNS).where(named, *conditions)
    return {row.path: Stamp(*row) for row in session.execute(wanted)}


def _stamp(row: FileRow) -> Stamp:
    return Stamp(row.path, row.size, row.mtime_ns, row.identity, row.ctime_ns)


def _known(row: FileRow) -> Known:
    check_id = None if row.check_id is None else to_text(row.check_id)
    return Known(_stamp(row), row.sha256, check_id, row.waits_in)
