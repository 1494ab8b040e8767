"""One database: short sessions, one writer at a time, errors that are sentences.

The settings for SQLite were chosen by measurement: WAL, so that readers never wait; BEGIN
IMMEDIATE for writers, because SQLite refuses a reader that becomes a writer without waiting;
secure_delete, so that deleted data is overwritten. PostgreSQL keeps its own settings. There, too,
one of all computers writes at a time, so that no two begin the same group or migration.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

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
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from antifake.core import AntifakeError
from antifake.core.i18n import _

from . import postgresql
from .fair_lock import FairLock

_T = TypeVar("_T")

BUSY_S = 10.0
ANSWER_S = 0.5
"""How long an answer waits for something to be written. After that it is given first."""
_BUSY_TIMEOUT = f"busy_timeout={BUSY_S * 1000:.0f}"
_PRAGMAS = (
    _BUSY_TIMEOUT,
    "journal_mode=WAL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "temp_store=MEMORY",  # sorted data may be private: keep it out of temporary files
    "trusted_schema=OFF",
)
# SQLSTATEs of PostgreSQL
_DISK_FULL, _LOCKED, _READ_ONLY, _NO_RIGHT = "53100", "55P03", "25006", "42501"
_AWAY = ("08", "28", "3D", "53", "57")  # and classes of them


class StoreError(AntifakeError):
    """The store cannot be read or written now. What was acknowledged before is still there."""

    status = 503
    code = "store"


class StorageFullError(StoreError):
    """The disk is full. Nothing of this write was kept; it works again once there is room."""

    status = 507
    code = "storage_full"


class StoreDamagedError(StoreError):
    """The file is not a sound database. Opening it again restores the newest backup."""


class StoreBusyError(StoreError):
    """Another program has been writing for too long. Trying again helps."""


class StoreAwayError(StoreError):
    """The database server does not answer, or does not let us in. It is asked again later."""


class StoreNewerError(StoreError):
    """The database was written by a newer version. Nothing was touched."""


class NotThereError(AntifakeError):
    """Nothing has this name (any more)."""

    status = 404
    code = "not_found"


class Database:
    """Engine and sessions of one URL. Thread-safe."""

    def __init__(self, url: URL, *, is_outbox: bool = False) -> None:
        """`is_outbox`: pictures that it is told of may be known to another database only."""
        self.url, self._about = url, {"is_outbox": is_outbox}
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _engine(url, is_sqlite=self.is_sqlite)
        self._lock = FairLock()
        self._was_busy = False
        self.was_damaged = False
        """Whether it has looked damaged since this was last set to False."""

    @property
    def name(self) -> str:
        """For messages, without a password."""
        if self.is_sqlite:
            return str(self.url.database)
        url, name = self.url, self.url.get_backend_name()
        plain = URL.create(name, url.username, None, url.host, url.port, url.database)
        return plain.render_as_string()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view of the store as it is now. Raises StoreError."""
        with self.translating_errors(), Session(self.engine, info=self._about) as session:
            yield session

    @contextmanager
    def writing(self, *, durable: bool = False, within_s: float = BUSY_S) -> Iterator[Session]:
        """A transaction: all of it is written or nothing. Raises StoreError.

        It survives a killed process. It survives a power cut only with `durable`, which syncs the
        disk. StoreBusyError is raised if others write for longer than `within_s`; a short wait is
        left out where the last writer waited in vain.
        """
        if within_s < BUSY_S and self._was_busy:
            within_s = 0.0
        writer = self._writer(durable=durable, within_s=within_s)
        try:
            with (
                self.alone(within_s),
                self.translating_errors(),
                Session(writer, info=self._about) as session,
                session.begin(),
            ):
                session.connection()  # begins, which waits for other programs
                self._was_busy = False
                yield session
        except StoreBusyError:
            self._was_busy = True
            raise

    @contextmanager
    def alone(self, within_s: float = BUSY_S) -> Iterator[None]:
        """Queues writers here: SQLite waits by sleeping, and a sleeper can miss its turn.

        They come in the order in which they asked, so that a long import holds nobody up.
        """
        if not self._lock.acquire(within_s):
            raise StoreBusyError(
                _("Another part of antifake has been writing to the history for too long.")
            )
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        """Turns errors of the database into StoreError."""
        try:
            yield
        except NoConnectionError as error:
            raise StoreBusyError(_("The database server has too much to do.")) from error
        except (DBAPIError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, sqlite3.Error) is not self.is_sqlite:
                raise  # it is of the other database, whose session is around this one
            is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
            said = (
                self._away(cause) if is_lost or _is_away(cause) else sentence_for(cause, self.name)
            )
            # A truncated file causes read errors, as a failing disk does.
            code = getattr(cause, "sqlite_errorname", "") or ""
            self.was_damaged |= isinstance(said, StoreDamagedError) or "IOERR" in code
            raise said from error

    def _away(self, cause: BaseException | None) -> StoreAwayError:
        return StoreAwayError(
            _(
                "The database server of {database} cannot be used now: {reason}.",
                database=self.name,
                reason=_first_line(cause),
            )
        )

    def run(self, *statements: str) -> list[Any]:
        """Runs statements outside a transaction. Returns the first row of the last. SQLite only."""
        connection = self.engine.raw_connection()
        try:
            with self.translating_errors():
                cursor = connection.cursor()
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchone() or ())
        finally:
            connection.close()

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection for changing tables. Raises StoreError.

        Foreign keys are off meanwhile: dropping an old table would count as deleting its rows.
        """
        with (
            self.alone(),
            self.translating_errors(),
            self._writer(durable=True).connect() as connection,
            _foreign_keys_off(connection) if self.is_sqlite else postgresql.alone(connection),
        ):
            yield connection

    def n_open(self) -> int:
        """Returns the number of idle connections in the pool."""
        return cast(QueuePool, self.engine.pool).checkedin()

    def close(self) -> None:
        """Closes all idle connections. A later session opens a new one."""
        self.engine.dispose()

    def _writer(self, *, durable: bool, within_s: float = BUSY_S) -> Engine:
        within_ms = round(1000 * within_s) if within_s < BUSY_S else None
        return self.engine.execution_options(
            writes="FULL" if durable else "NORMAL", within_ms=within_ms
        )


def changed(session: Session, statement: Update | Delete) -> int:
    """Executes the statement. Returns the number of rows that it changed."""
    return cast(CursorResult[Any], session.execute(statement)).rowcount


def sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    raw = connection.connection
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.cursor().execute("PRAGMA foreign_keys=ON")


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    if url.get_backend_name() == "postgresql":
        return postgresql.engine_of(url, BUSY_S)
    if not is_sqlite:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, pool_size=8, max_overflow=32)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "reset", _be_patient_again)
    return engine


def _is_away(error: BaseException | None) -> bool:
    """Whether a server did not answer or did not let us in. What it says of a statement is not."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_AWAY) and state != _DISK_FULL
    names = {one.__name__ for one in type(error).__mro__}
    return "OperationalError" in names and not isinstance(error, sqlite3.Error)


def _first_line(error: BaseException | None) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removeprefix("connection failed: ").strip(" .")


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # By default, sqlite3 begins and commits by itself, and never around ALTER TABLE.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _be_patient_again(connection: sqlite3.Connection, *_: object) -> None:
    with suppress(sqlite3.Error):  # it is being closed
        connection.execute(f"PRAGMA {_BUSY_TIMEOUT}")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    sync = options.get("writes")
    if sync:
        connection.exec_driver_sql(f"PRAGMA synchronous={sync}")
    if (within_ms := options.get("within_ms")) is not None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={within_ms}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if sync else "BEGIN")


def sentence_for(error: BaseException | None, name: str) -> StoreError:
    """Returns the error of a database as a StoreError with a sentence for people."""
    code = getattr(error, "sqlite_errorname", "") or ""
    state = getattr(error, "sqlstate", "")
    if code.startswith("SQLITE_FULL") or state == _DISK_FULL:
        return StorageFullError(
            _("The disk with {file} is full: this was not saved. Nothing older is lost.", file=name)
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamagedError(_("The history {file} is damaged.", file=name))
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state == _LOCKED:
        return StoreBusyError(_("The history {file} is in use by another program.", file=name))
    if code.startswith("SQLITE_READONLY") or state in (_READ_ONLY, _NO_RIGHT):
        return StoreError(_not_writable(state, name, error))
    return StoreError(
        _("The history {file} cannot be used: {reason}.", file=name, reason=_first_line(error))
    )


def _not_writable(state: str, name: str, error: BaseException | None) -> str:
    if state == _READ_ONLY:
        return _(
            "The database server of {database} is set to read-only: nothing can be saved there "
            "now.",
            database=name,
        )
    if state == _NO_RIGHT:
        return _(
            "{database} does not let this role do what antifake needs: {reason}. Let the role own "
            "the database, or log in as the role that owns it.",
            database=name,
            reason=_first_line(error),
        )
    return _(
        "The history {file} cannot be written: it, its folder or its drive is read-only. "
        "This was not saved; nothing older is lost.",
        file=name,
    )


_AT_ONCE = 500
"""Values in one IN (...), which databases limit, and rows in one transaction."""


def in_parts(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yields the values in lists that one statement or transaction can take."""
    rest = iter(values)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
