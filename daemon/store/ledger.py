"""The ledger: which files of the watched folders were handled, and their stamps at that time.

A file with an unchanged stamp is not read again. Events can get lost; the ledger together with a
walk over the folder finds what they have missed.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .database import changed, in_parts
from .history import in_folder
from .ids import to_number, to_text
from .tables import FileRow


@dataclass(frozen=True)
class Stamp:
    """What changes when a file changes."""

    path: str
    size: int
    mtime_ns: int
    identity: str
    """Device and inode, which stay the same when a file is moved."""

    @classmethod
    def of(cls, path: str, info: os.stat_result) -> "Stamp":
        # As text, because an inode may have more bits than an integer of the database.
        return cls(path, info.st_size, info.st_mtime_ns, f"{info.st_dev:x}-{info.st_ino:x}")


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
            identity=stamp.identity,
            sha256=sha256,
            check_id=None if check_id is None else to_number(check_id),
            waits_in=waits_in,
        )
    )


def unknown(session: Session, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
    """Yields the stamps that are new or changed. Queries some hundred at a time."""
    for some in in_parts(stamps):
        columns = FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.identity
        wanted = select(*columns).where(FileRow.path.in_([stamp.path for stamp in some]))
        noted = {row.path: Stamp(*row) for row in session.execute(wanted)}
        yield from (stamp for stamp in some if noted.get(stamp.path) != stamp)


def known(session: Session, path: str) -> Known | None:
    row = session.get(FileRow, path)
    return _known(row) if row else None


def known_elsewhere(session: Session, stamp: Stamp) -> Known | None:
    """Returns the same unchanged file under its path before it was moved, or None."""
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


def _stamp(row: FileRow) -> Stamp:
    return Stamp(row.path, row.size, row.mtime_ns, row.identity)


def _known(row: FileRow) -> Known:
    check_id = None if row.check_id is None else to_text(row.check_id)
    return Known(_stamp(row), row.sha256, check_id, row.waits_in)
