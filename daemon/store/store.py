"""The open log. What is asked of it and written into it is in the modules beside this one:
functions of a session, so that several of them can be one transaction.

    with store.writing() as session:
        check = checks.add(session, finding, now)
        ledger.note(session, stamp, check)
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from .database import Database, StoreBusyError, StoreError
from .files import Backups, put_aside_before


class Store:
    """Usable from many threads; a context manager that closes the log."""

    def __init__(
        self,
        database: Database,
        backups: Backups | None = None,
        notices: tuple[str, ...] = (),
    ) -> None:
        self.database = database
        self.backups = backups
        """None where the database is a server's: its own backups are its owner's business."""
        self.notices = notices
        """What was done to put the log right at opening; the person must be told."""
        self.note_place()

    def note_place(self) -> None:
        """It is the file that lies there now."""
        self._file = self._lying()

    def is_away(self) -> bool:
        """Whether the file that was opened, or its log of writes, lies there no more."""
        return self._lying() != self._file or self._has_lost_writes()

    def _lying(self) -> tuple[int, int] | None:
        try:
            info = self.backups.database.stat() if self.backups else None
        except OSError:
            return None
        return (info.st_dev, info.st_ino) if info else None

    def _has_lost_writes(self) -> bool:
        """While somebody has the log open there is a second file beside it."""
        if self.backups is None or not self.database.n_open():
            return False
        path = self.backups.database
        return not path.with_name(f"{path.name}-wal").exists()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A view of the log as it is now. Raises StoreError."""
        with self.database.reading() as session:
            yield session

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Session]:
        """All of it is written, or nothing. `durable`: it survives a power cut, too.

        Keep it short, and never open a second one inside. Raises StoreError.
        """
        with self.database.writing(durable=durable) as session:
            yield session

    def back_up(self, now: datetime, *, even_if_not_due: bool = False) -> Path | None:
        """The daily copy; None where there is none to make. Raises StoreError."""
        if self.backups is None or not (even_if_not_due or self.backups.is_due(now)):
            return None
        return self.backups.make(now)

    def scrub(self, now: datetime) -> None:
        """After rows were forgotten: nor are they in free pages, the log or any copy.

        Raises StoreError; the rows are gone then all the same, and it can be called again.
        """
        if not self.database.is_sqlite:
            return
        with self.database.alone():
            # The new file is put together on disk: it may be larger than memory we may take.
            busy, *_ = self.database.run(
                "PRAGMA temp_store=FILE",
                "VACUUM",
                "PRAGMA temp_store=MEMORY",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            )
        if busy:
            raise StoreBusyError("Somebody is still reading what was forgotten; try again.")
        if self.backups is not None:
            self.backups.drop_all_but([self.backups.make(now)])
            for path in put_aside_before(self.backups.database):
                path.unlink()

    def close(self) -> None:
        """Put all of it into the one file and let go of it."""
        if self.database.is_sqlite:
            # On a full disk it cannot be; then the log of writes stays beside it, and counts.
            with suppress(StoreError):
                self.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
