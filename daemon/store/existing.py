"""The files that a watched folder held before it was watched. The ledger knows them as waiting.

They are checked only if the user wants that. A file that changes later counts as new.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from .database import changed, in_parts
from .ids import from_ms, to_ms
from .ledger import Stamp
from .tables import ExistingRow, ExistingState, FileRow, table_of

_OLDER = ""
"""The row that the migration leaves: the folders of the settings were watched before it."""


@dataclass(frozen=True)
class Existing:
    """One watched folder."""

    folder: str
    at: datetime
    state: ExistingState
    wish: ExistingState
    """The state that follows the counting."""
    total: int
    others: int


def everything(session: Session) -> list[Existing]:
    """Returns all folders, in the order in which they were added."""
    rows = session.scalars(select(ExistingRow).order_by(ExistingRow.at, ExistingRow.folder))
    return [
        Existing(row.folder, from_ms(row.at), row.state, row.wish, row.total, row.others)
        for row in rows
        if row.folder != _OLDER
    ]


def add(session: Session, folder: str, now: datetime, wish: ExistingState) -> None:
    """Adds a folder whose files are to be counted."""
    _put(session, folder, to_ms(now), "counting", wish)


def adopt_older(session: Session, folders: Iterable[str]) -> None:
    """After the migration: these folders were watched before it, so nothing in them is older."""
    if session.get(ExistingRow, _OLDER) is None:
        return
    drop(session, _OLDER)
    for folder in folders:
        _put(session, folder, 0, "done", "done")


def _put(session: Session, folder: str, at: int, state: ExistingState, wish: ExistingState) -> None:
    session.merge(ExistingRow(folder=folder, at=at, state=state, wish=wish, total=0, others=0))


def drop(session: Session, folder: str) -> None:
    """Removes a folder that is no longer watched. The ledger still knows its files."""
    session.execute(delete(ExistingRow).where(ExistingRow.folder == folder))


def change(session: Session, folder: str, state: ExistingState) -> bool:
    """Changes the state. Returns False if there is no such folder."""
    row = session.get(ExistingRow, folder)
    if row is not None:
        row.state = state
    return row is not None


def counted(session: Session, folder: str, others: int) -> None:
    """All files of the folder are entered: it takes the state that was wished for."""
    row = session.get(ExistingRow, folder)
    if row is not None:
        row.total, row.others = waiting(session, folder), others
        row.state = row.wish if row.total else "done"


def enter(session: Session, folder: str, stamps: Iterable[Stamp]) -> None:
    """Notes files as waiting, unless they are known and unchanged. In parts, each soon done."""
    for some in in_parts(stamps):
        found = session.scalars(
            select(FileRow).where(FileRow.path.in_([stamp.path for stamp in some]))
        )
        handled = {
            (row.path, row.size, row.mtime_ns, row.identity)
            for row in found
            if row.waits_in in (None, folder)
        }
        new = [
            one for one in some if (one.path, one.size, one.mtime_ns, one.identity) not in handled
        ]
        if new:
            session.execute(delete(FileRow).where(FileRow.path.in_([one.path for one in new])))
            session.execute(table_of(FileRow).insert(), [_row(one, folder) for one in new])


def waiting(session: Session, folder: str) -> int:
    """Returns how many files still wait."""
    wanted = select(func.count()).select_from(FileRow).where(FileRow.waits_in == folder)
    return session.scalar(wanted) or 0


def left(session: Session, folder: Existing) -> int:
    """Returns how many of the counted files still wait."""
    return 0 if folder.state == "done" else waiting(session, folder.folder)


def next_waiting(session: Session, folder: str, after: str, limit: int) -> list[Stamp]:
    """Returns the next files in the order of their paths, beginning after the path `after`."""
    columns = FileRow.path, FileRow.size, FileRow.mtime_ns, FileRow.identity
    wanted = (
        select(*columns)
        .where(FileRow.waits_in == folder, FileRow.path > after)
        .order_by(FileRow.path)
        .limit(limit)
    )
    return [Stamp(*row) for row in session.execute(wanted)]


def drop_waiting(session: Session, paths: Iterable[str]) -> int:
    """Removes waiting files that are gone or have changed. Returns how many."""
    dropped = 0
    for some in in_parts(paths):
        is_that = FileRow.path.in_(some) & FileRow.waits_in.is_not(None)
        dropped += changed(session, delete(FileRow).where(is_that))
    return dropped


def _row(stamp: Stamp, folder: str) -> dict[str, object]:
    return {
        "path": stamp.path,
        "size": stamp.size,
        "mtime_ns": stamp.mtime_ns,
        "ctime_ns": stamp.ctime_ns,
        "identity": stamp.identity,
        "waits_in": folder,
    }
