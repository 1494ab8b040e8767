"""Opens the store: migrates and repairs it if necessary, or refuses with a sentence.

`Store.notices` tells the user about repairs.
"""

import re
import shutil
import sqlite3
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, inspect, make_url, text
from sqlalchemy.exc import ArgumentError

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.private_files import make_private, require_private

from .database import Database, StoreAwayError, StoreError, StoreNewerError, sqlite_url
from .files import Backups, Condition, examine, files_of, put_aside, sync
from .server import SharedStore
from .store import Store
from .tables import Base

HEAD = "0012"
"""The newest version in daemon/migrations. It is here so that opening does not import Alembic."""
KEEP_BACKUPS = 7
_STARTED_ANEW = _("There was no backup of it, so a new one was started.")


@dataclass(frozen=True)
class Migrations:
    """A folder of Alembic versions, and the version to migrate to."""

    folder: Path
    head: str

    def known(self) -> frozenset[str]:
        """Returns all versions, read from the files."""
        found = (
            re.search(r'^revision = "(\w+)"', path.read_text("utf-8"), re.MULTILINE)
            for path in (self.folder / "versions").glob("*.py")
        )
        return frozenset(match[1] for match in found if match)

    def run(self, database: Database) -> None:
        """Migrates a database to `head`, one transaction a version. Raises StoreError."""
        from alembic import command  # noqa: PLC0415  # a quarter of a second, once a release
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        with database.migrating() as connection:
            attributes: dict[Any, Any] = config.attributes
            attributes |= {"connection": connection, "metadata": Base.metadata}
            command.upgrade(config, self.head)


OURS = Migrations(Path(__file__).parents[1] / "migrations", HEAD)


def open_store(
    place: Path | str,
    now: datetime,
    *,
    keep_backups: int = KEEP_BACKUPS,
    migrations: Migrations = OURS,
    machine: Path | None = None,
) -> Store:
    """Opens the store at the path of an SQLite file or at any URL that SQLAlchemy accepts.

    With `machine`, a database server may be away: that file has what belongs to this computer, and
    what the server does not have yet.

    Raises StoreNewerError, and StoreError if it cannot be opened. Neither loses anything.
    """
    url = sqlite_url(place) if isinstance(place, Path) else _url(place)
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise UsageError(_("A history in memory would be lost with the program: name a file."))
        return _open_file(Path(str(url.database)), now, keep_backups, migrations)
    database = _database(url)
    if machine is None:
        _prepare(database, migrations)
        return Store(database)
    of_it = _open_file(machine, now, keep_backups, migrations, is_outbox=True)
    store = SharedStore(database, of_it, partial(_prepare, migrations=migrations))
    try:
        with suppress(StoreAwayError):
            store.connect()
    except BaseException:
        store.close()
        raise
    return store


def try_server(address: str) -> str:
    """Connects to a database and tries whether it can be written. Returns its name.

    Nothing is changed. Raises UsageError, and StoreError if it cannot be used.
    """
    url = _url(address)
    database = _database(url)
    try:
        version = _version(database)
        _refuse_newer(version, OURS, database.name)
        _try_to_write(database, is_new=version is None)
    finally:
        database.close()
    return database.name


def _try_to_write(database: Database, *, is_new: bool) -> None:
    """Raises StoreError if the server takes no changes from this role. Nothing is kept."""
    if database.engine.name != "postgresql":
        return
    statement = "CREATE TABLE trial (n integer)" if is_new else "DELETE FROM checks WHERE false"
    with database.translating_errors(), database.engine.connect() as connection:
        connection.execute(text(statement))
        connection.rollback()


def _database(url: URL) -> Database:
    try:
        return Database(url)
    except ImportError as error:
        if url.get_backend_name() == "postgresql":
            told = _(
                "The driver for PostgreSQL is missing. This installs it: {command}",
                command="pip install 'antifake[postgres]'",
            )
            raise UsageError(told) from error
        raise UsageError(_no_driver(url, error)) from error
    except ArgumentError as error:
        raise UsageError(_no_driver(url, error)) from error


def _no_driver(url: URL, error: Exception) -> str:
    name = url.get_backend_name()
    return _("The driver for {name} is missing: {reason}.", name=name, reason=error)


def _prepare(database: Database, migrations: Migrations) -> None:
    _migrate(database, _version(database), migrations)


def mend(store: Store, now: datetime, migrations: Migrations = OURS) -> tuple[str, ...]:
    """Repairs the file of an open store. Returns sentences to tell the user.

    Damage is repaired as at opening. If the file was removed, it is written again from what the
    open connections still see. Raises StoreError.
    """
    database, backups = store.database, store.backups
    if backups is None or (not (is_away := store.is_away()) and not database.was_damaged):
        return ()
    told: tuple[str, ...] = ()
    with database.alone():
        try:
            if is_away and _rescue(database, backups, now):
                told = (
                    _("The history had been removed while antifake ran; it was written again."),
                )
        except OSError as error:
            raise StoreError(
                _("The history cannot be repaired: {reason}.", reason=error.strerror or error)
            ) from error
        database.close()
        with _open_file(backups.database, now, backups.keep, migrations) as fresh:
            told += fresh.notices
        database.was_damaged = False
        store.note_place()
    return told


def _rescue(database: Database, backups: Backups, now: datetime) -> bool:
    """Writes what an open connection still sees of the lost file. Returns False if none does."""
    part = backups.database.with_suffix(".rescued")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    try:
        with database.translating_errors():
            if not _copy_what_is_open(database, part):
                return False
        sync(part)
        put_aside(backups.database, now)
        part.replace(backups.database)
    finally:
        part.unlink(missing_ok=True)
    return True


def _copy_what_is_open(database: Database, target: Path) -> bool:
    """Connections older than the loss see the old file; newer ones see a new, empty file."""
    with ExitStack() as held:
        for _ in range(database.n_open()):
            connection = held.enter_context(closing(database.engine.raw_connection()))
            if connection.cursor().execute("SELECT 1 FROM sqlite_schema").fetchone():
                with closing(sqlite3.connect(target)) as copy:
                    cast(sqlite3.Connection, connection.driver_connection).backup(copy)
                    copy.execute("PRAGMA journal_mode=DELETE")
                return True
    return False


def _url(text_: str) -> URL:
    try:
        url = make_url(text_)
    except (ArgumentError, ValueError):
        # The text is not repeated, and neither is the error: there may be a password in them.
        raise UsageError(
            _(
                "history.database is not the address of a database, such as {example}.",
                example="postgresql://anna@server/antifake",
            )
        ) from None
    # As others write it, and psql understands it.
    is_plain = url.drivername in ("postgres", "postgresql")
    return url.set(drivername="postgresql+psycopg") if is_plain else url


def _open_file(
    path: Path,
    now: datetime,
    keep_backups: int,
    migrations: Migrations,
    *,
    is_outbox: bool = False,
) -> Store:
    backups = Backups(path, keep_backups)
    for file in files_of(path):
        require_private(file, StoreError)
    try:
        make_private(path.parent)
        condition, notices = _put_right(backups, now, migrations)
        _accept(condition, migrations, path)
        version = condition.version
        if version not in (None, migrations.head):
            backups.make(now)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(
            _("{file} cannot be used: {reason}.", file=path, reason=error.strerror or error)
        ) from error
    database = Database(sqlite_url(path), is_outbox=is_outbox)
    _migrate(database, version, migrations)
    return Store(database, backups, notices)


def _put_right(
    backups: Backups, now: datetime, migrations: Migrations
) -> tuple[Condition, tuple[str, ...]]:
    """Repairs the file if possible. Returns its condition then, and sentences for the user."""
    path = backups.database
    told: tuple[str, ...] = ()
    if not path.exists() and not backups.restoring.exists():
        return Condition(), _note_missing(backups)
    if path.exists():
        condition = examine(path)
        if condition.damage is None:
            backups.restoring.unlink(missing_ok=True)
            return condition, ()
        if path.stat().st_size == 0 and not backups.all():
            # There is nothing to put aside, and another process may be about to write it.
            return Condition(), (f"{_damaged(condition.damage)} {_STARTED_ANEW}",)
        told = (_repair(backups, condition.damage, now, migrations),)
    elif backups.restoring.exists():
        backups.restoring.replace(path)
        told = (_("The history was damaged; its newest backup is in its place."),)
    return examine(path) if path.exists() else Condition(), told


def _accept(condition: Condition, migrations: Migrations, path: Path) -> None:
    """Raises StoreError if a sound file belongs to another program or to a newer version."""
    if condition.is_foreign:
        raise StoreError(
            _("{file} is a database of another program; nothing was touched.", file=path)
        )
    _refuse_newer(condition.version, migrations, str(path))


def _refuse_newer(version: str | None, migrations: Migrations, name: str) -> None:
    if version not in (None, migrations.head) and version not in migrations.known():
        raise StoreNewerError(
            _(
                "{file} was written by a newer antifake (its schema is {theirs}, this one knows"
                " {ours}). Update antifake; nothing was touched.",
                file=name,
                theirs=version,
                ours=migrations.head,
            )
        )


def _migrate(database: Database, version: str | None, migrations: Migrations) -> None:
    try:
        while version != migrations.head:
            _refuse_newer(version, migrations, database.name)
            version = _run(database, version, migrations)
    except BaseException:
        database.close()
        raise


def _run(database: Database, version: str | None, migrations: Migrations) -> str | None:
    """Returns the version afterwards, which is older if another process has migrated in between."""
    try:
        migrations.run(database)
    except StoreError:
        there = _version(database)
        if there == version:
            raise
        return there
    return migrations.head


def _version(database: Database) -> str | None:
    with database.translating_errors(), database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def _note_missing(backups: Backups) -> tuple[str, ...]:
    if not backups.all():
        return ()
    return (
        _(
            "The history {file} was not there, so a new one was started. Copies of an older one are"
            " in {folder}.",
            file=backups.database,
            folder=backups.folder,
        ),
    )


def _repair(backups: Backups, damage: str, now: datetime, migrations: Migrations) -> str:
    """Replaces a damaged file by the best backup. Returns a sentence for the user."""
    path, best = backups.database, backups.best(migrations.known())
    if best is not None:
        # Before anything is moved, so that a process killed later can complete this.
        shutil.copy2(best, backups.restoring)
        sync(backups.restoring)
    told = _(
        "The history was damaged ({damage}) and is kept as {file}.",
        damage=damage,
        file=put_aside(path, now).name,
    )
    if best is None:
        return f"{told} {_STARTED_ANEW}"
    backups.restoring.replace(path)
    made = _("The backup of {time:%Y-%m-%d %H:%M} UTC is in its place.", time=backups.made(best))
    return f"{told} {made}"


def _damaged(why: str) -> str:
    return _("The history was damaged ({damage}).", damage=why)
