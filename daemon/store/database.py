"""One database: short sessions, one writer at a time, errors that are sentences.

SQLite gets the settings that were measured to be right: WAL, so readers never wait; BEGIN
IMMEDIATE for whoever writes, since a reader that turns writer is refused at once, however long
it would wait; secure_delete, so what is forgotten is overwritten. Other databases keep theirs.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Delete,
    Engine,
    Update,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from antifake.core import AntifakeError

BUSY_S = 10.0
_PRAGMAS = (
    f"busy_timeout={BUSY_S * 1000:.0f}",
    "journal_mode=WAL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "temp_store=MEMORY",  # what is sorted may be private: no copy of it in a temporary file
    "trusted_schema=OFF",
)
_DISK_FULL = "53100"  # as PostgreSQL says it


class StoreError(AntifakeError):
    """The log cannot be read or written now. What was acknowledged before is still there."""

    status = 503
    code = "store"


class StorageFullError(StoreError):
    """No room on the disk: nothing of this write was kept; it works again when there is room."""

    status = 507
    code = "storage_full"


class StoreDamagedError(StoreError):
    """The file is not a sound database. Opening it again restores the newest backup."""


class StoreBusyError(StoreError):
    """Somebody else has been writing for too long; trying again helps."""


class StoreNewerError(StoreError):
    """Written by a newer version; nothing was touched."""


class NotThereError(AntifakeError):
    """Asked for by a name that nothing has, or nothing has any more."""

    status = 404
    code = "not_found"


class Database:
    """Engine and sessions of one URL; usable from many threads."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _engine(url, is_sqlite=self.is_sqlite)
        self._turn = threading.Lock()
        self.was_damaged = False
        """It looked so to somebody since this was last set to False."""

    @property
    def name(self) -> str:
        """For sentences; without a password."""
        return str(self.url.database) if self.is_sqlite else self.url.render_as_string()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A view of the log as it is now. Raises StoreError."""
        with self.in_words(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Session]:
        """All of what is done in it, or nothing. Raises StoreError.

        After a killed process everything is still there; after a power cut only what was
        written with `durable`, which takes a sync of the disk.
        """
        writer = self._writer(durable=durable)
        with self.alone(), self.in_words(), Session(writer) as session, session.begin():
            yield session

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait in line here: SQLite's own waiting is a sleep, and who sleeps loses its turn."""
        if not self._turn.acquire(timeout=BUSY_S):
            raise StoreBusyError("Another part of antifake is writing to the log for too long.")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def in_words(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            said = sentence_for(cause, self.name)
            # A file that was cut short gives errors of reading, like a disk that fails.
            code = getattr(cause, "sqlite_errorname", "") or ""
            self.was_damaged |= isinstance(said, StoreDamagedError) or "IOERR" in code
            raise said from error

    def run(self, *statements: str) -> list[Any]:
        """Statements that no transaction may be around; the last one's first row. SQLite only."""
        connection = self.engine.raw_connection()
        try:
            with self.in_words():
                cursor = connection.cursor()
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchone() or ())
        finally:
            connection.close()

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection on which tables can be put together anew. Raises StoreError.

        Foreign keys sleep meanwhile: dropping the old table would count as deleting its rows.
        """
        with self.alone(), self.in_words(), self._writer(durable=True).connect() as connection:
            raw = connection.connection
            if self.is_sqlite:
                raw.cursor().execute("PRAGMA foreign_keys=OFF")
            try:
                yield connection
            finally:
                if self.is_sqlite:
                    raw.cursor().execute("PRAGMA foreign_keys=ON")

    def n_open(self) -> int:
        """Connections that are kept for whoever comes next."""
        return cast(QueuePool, self.engine.pool).checkedin()

    def close(self) -> None:
        """Whoever comes later opens it anew."""
        self.engine.dispose()

    def _writer(self, *, durable: bool) -> Engine:
        return self.engine.execution_options(writes="FULL" if durable else "NORMAL")


def changed(session: Session, statement: Update | Delete) -> int:
    """Carry it out; gives how many rows it met."""
    return cast(CursorResult[Any], session.execute(statement)).rowcount


def sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, pool_size=8, max_overflow=32)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # sqlite3 would begin and commit where it thinks right, and around no ALTER TABLE at all.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    sync = connection.get_execution_options().get("writes")
    if sync:
        connection.exec_driver_sql(f"PRAGMA synchronous={sync}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if sync else "BEGIN")


def sentence_for(error: BaseException | None, name: str) -> StoreError:
    """What the person is told of a database's own error."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL") or getattr(error, "sqlstate", "") == _DISK_FULL:
        return StorageFullError(
            f"The disk with {name} is full: this was not written down. Nothing older is lost."
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamagedError(f"The log {name} is damaged.")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(f"The log {name} is held by another program.")
    return StoreError(f"The log {name} cannot be used: {str(error).strip()}.")
