"""The open store. The modules beside this one read and write it.

Their functions take a session, so that several of them can share one transaction:

    >>> from datetime import UTC, datetime
    >>> from antifake.daemon.places import places
    >>> from antifake.daemon.store import checks, history, open_store
    >>> now = datetime(2026, 1, 31, tzinfo=UTC)
    >>> finding = checks.Finding(source="cli", label="real", p_fake=0.25)
    >>> with open_store(places().database, now) as store:
    ...     with store.writing() as session:
    ...         check = checks.add(session, finding, now)
    ...     with store.reading() as session:
    ...         history.count(session)
    1
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from antifake.core.i18n import _

from .database import BUSY_S, Database, StoreBusyError, StoreError
from .files import Backups, put_aside_before


class Store:
    """Thread-safe. A context manager that closes the database."""

    def __init__(
        self,
        database: Database,
        backups: Backups | None = None,
        notices: tuple[str, ...] = (),
    ) -> None:
        self.database = database
        self.backups = backups
        """None for a database server, whose backups are its administrator's concern."""
        self.notices = notices
        """What was repaired at opening, in sentences for the user."""
        self.note_place()

    def note_place(self) -> None:
        """Remembers which file is at its path now."""
        self._file = self._file_there()

    def is_away(self) -> bool:
        """Returns whether the opened file or its write-ahead log is no longer at its path."""
        return self._file_there() != self._file or self._has_lost_writes()

    def _file_there(self) -> tuple[int, int] | None:
        try:
            info = self.backups.database.stat() if self.backups else None
        except OSError:
            return None
        return (info.st_dev, info.st_ino) if info else None

    def _has_lost_writes(self) -> bool:
        """As long as a connection is open, there is a write-ahead log beside the database."""
        if self.backups is None or not self.database.n_open():
            return False
        path = self.backups.database
        return not path.with_name(f"{path.name}-wal").exists()

    @property
    def machine(self) -> "Store":
        """Where that is which belongs to this computer alone: jobs, ledger, tokens, trainings.

        It is this store itself, unless several computers share the history.
        """
        return self

    @property
    def places(self) -> "tuple[Store, ...]":
        """Where a check can be, in the order in which it moves from one to the next."""
        return (self,) if self.machine is self else (self.machine, self)

    def post(self) -> None:
        """Has what waits in `machine` delivered soon. Nothing waits if the stores are one."""

    @contextmanager
    def reading_both(self) -> Iterator[tuple[Session, Session]]:
        """A view of the history and one of `machine`, which are one if the stores are.

        Raises StoreError.
        """
        with self.reading() as session:
            yield session, session

    @contextmanager
    def writing_both(self, *, durable: bool = False) -> Iterator[tuple[Session, Session]]:
        """A transaction of the history and one of `machine`, which are one if the stores are.

        If they are two, that of `machine` is committed first. Raises StoreError.
        """
        with self.writing(durable=durable) as session:
            yield session, session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view of the store as it is now. Raises StoreError."""
        with self.database.reading() as session:
            yield session

    @contextmanager
    def writing(self, *, durable: bool = False, within_s: float = BUSY_S) -> Iterator[Session]:
        """A transaction: all of it is written or nothing. `durable`: it survives a power cut.

        Keep it short, and never open a second one inside it. Raises StoreError; StoreBusyError if
        others write for longer than `within_s`, which is ANSWER_S where somebody waits for more.
        """
        with self.database.writing(durable=durable, within_s=within_s) as session:
            yield session

    def back_up(self, now: datetime, *, even_if_not_due: bool = False) -> Path | None:
        """Makes the daily backup. Returns None if none is due. Raises StoreError."""
        if self.backups is None or not (even_if_not_due or self.backups.is_due(now)):
            return None
        return self.backups.make(now)

    def scrub(self, now: datetime) -> None:
        """Removes deleted rows from free pages, the write-ahead log and all backups.

        Raises StoreError. The rows are deleted all the same, and it can be called again.
        """
        if not self.database.is_sqlite:
            return
        with self.database.alone():
            # The new file is built on disk, since it may be larger than the memory we may use.
            busy = self.database.run(
                "PRAGMA temp_store=FILE",
                "VACUUM",
                "PRAGMA temp_store=MEMORY",
                "PRAGMA wal_checkpoint(TRUNCATE)",
            )[0]
        if busy:
            raise StoreBusyError(
                _("Another process is still reading what was forgotten; try again.")
            )
        if self.backups is not None:
            self.backups.drop_all_but([self.backups.make(now)])
            for path in put_aside_before(self.backups.database):
                path.unlink()

    def close(self) -> None:
        """Writes everything into the one file and closes it."""
        if self.database.is_sqlite:
            # This fails on a full disk. The write-ahead log then stays beside it, and still counts.
            with suppress(StoreError):
                self.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
