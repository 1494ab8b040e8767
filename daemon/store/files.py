"""The database file: whether it is sound, its backups, and damaged files that were put aside.

Backups are made by SQLite itself, because the bare file without its write-ahead log may lack the
last hours. Every backup is verified before it counts as one.
"""

import os
import re
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from antifake.core.i18n import _

from .database import StoreError, sentence_for
from .tables import APPLICATION_ID

BACKUP_EVERY = timedelta(days=1)
_SIDES = ("-wal", "-shm", "-journal")
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_HALF = re.compile(r"\.part(\d+)")
"""A partial backup, with the number of the process that writes it."""


@dataclass(frozen=True)
class Condition:
    """What kind of file is at a path."""

    damage: str | None = None
    """Why it cannot be used, in words; None if it is sound."""
    version: str | None = None
    """Of the schema; None if it has no tables."""
    is_foreign: bool = False
    """Whether it is a sound database of another program."""


def examine(path: Path, *, at_rest: bool = False) -> Condition:
    """Verifies a whole file without changing it. `at_rest`: it is a copy that nobody writes.

    Raises StoreError if it cannot be read at all, for example without permission.
    """
    if path.stat().st_size == 0:
        return Condition(damage=_("it is empty"))
    return _look(path, "immutable=1" if at_rest else "mode=ro")


def _look(path: Path, mode: str) -> Condition:
    try:
        return _look_into(path, mode)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "")
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Condition(damage=str(error))
        if code.startswith("SQLITE_READONLY") and mode == "mode=ro":
            # A writer was killed; SQLite must roll its transaction back before it can read.
            return _look(path, "mode=rw")
        raise sentence_for(error, str(path)) from error


def _look_into(path: Path, mode: str) -> Condition:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    try:
        return _condition(connection)
    finally:
        connection.close()


def _condition(connection: sqlite3.Connection) -> Condition:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        return Condition(damage=str(found[0]))
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    tables = {name for (name,) in rows}
    if not tables - {"alembic_version"}:
        return Condition()  # Alembic creates its own table first; it was killed right after that
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID or "alembic_version" not in tables:
        return Condition(is_foreign=True)
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return Condition(version=row[0]) if row else Condition(damage=_("its version is missing"))


@dataclass(frozen=True)
class Backups:
    """The backups of one database file. Their names sort by age."""

    database: Path
    keep: int

    @property
    def folder(self) -> Path:
        return self.database.parent / "backups"

    def all(self) -> list[Path]:
        """Returns all backups, oldest first, but no other files that a user has put there."""
        found = self.folder.glob(f"{self.database.stem}-*.db")
        return sorted(path for path in found if self.made(path) is not None)

    def newest(self, now: datetime) -> datetime | None:
        """Returns when the last one was made. Backups from the future have a wrong clock."""
        times = (self.made(path) for path in self.all())
        return max((moment for moment in times if moment and moment <= now), default=None)

    def is_due(self, now: datetime) -> bool:
        newest = self.newest(now)
        return newest is None or now - newest >= BACKUP_EVERY

    def make(self, now: datetime) -> Path:
        """Makes and verifies a backup and deletes the oldest beyond `keep`. Raises StoreError."""
        target = self.folder / f"{self.database.stem}-{now.astimezone(UTC):{_STAMP}}.db"
        part = target.with_suffix(f".part{os.getpid()}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._copy_to(part)
            part.replace(target)
        except sqlite3.Error as error:
            raise sentence_for(error, str(target)) from error
        except OSError as error:
            raise StoreError(
                _("No backup could be made: {reason}.", reason=error.strerror or error)
            ) from error
        finally:
            with suppress(OSError):  # as where the folder is a file: there is no part then
                part.unlink(missing_ok=True)
        self.drop_all_but([*self.all()[-self.keep :], target])
        return target

    def _copy_to(self, part: Path) -> None:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        source, target = sqlite3.connect(self.database), sqlite3.connect(part)
        try:
            source.backup(target)
            # A single file that can be read without creating others beside it.
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
            source.close()
        sync(part)
        if (damage := examine(part, at_rest=True).damage) is not None:
            raise StoreError(
                _("The backup is not sound ({damage}), so it was not kept.", damage=damage)
            )

    @property
    def restoring(self) -> Path:
        """Holds the backup while the damaged file is put aside. Complete once that is gone."""
        return self.database.with_suffix(".restoring")

    def drop_all_but(self, kept: list[Path]) -> None:
        """Deletes other backups, and partial ones that a killed process has left."""
        halves = self.folder.glob(f"{self.database.stem}-*.part*")
        for path in (*self.all(), *(half for half in halves if not _is_being_written(half))):
            if path not in kept:
                path.unlink(missing_ok=True)  # another process may do the same

    def best(self, versions: frozenset[str]) -> Path | None:
        """Returns the newest sound backup whose schema is one of `versions`, or None."""
        for path in reversed(self.all()):
            try:
                condition = examine(path, at_rest=True)
            except (StoreError, OSError):
                continue
            if condition.damage is None and condition.version in versions:
                return path
        return None

    def made(self, path: Path) -> datetime | None:
        """Returns when it was made, from its name. None if it is not one of our backups."""
        stamp = path.stem.removeprefix(f"{self.database.stem}-")
        try:
            return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None


def _is_being_written(half: Path) -> bool:
    """Returns whether the process that began a partial backup still runs, as at two starts."""
    import psutil  # noqa: PLC0415 - slow to import, and seldom needed

    by = _HALF.search(half.name)
    try:
        return by is not None and (psutil.Process(int(by[1])).create_time() <= half.stat().st_mtime)
    except (psutil.Error, OSError, OverflowError):
        return False


def put_aside(path: Path, now: datetime) -> Path:
    """Moves a damaged database out of the way, with its write-ahead log. Returns its new path."""
    aside = path.with_name(f"{path.stem}.damaged-{now.astimezone(UTC):{_STAMP}}{path.suffix}")
    # The database goes last: a write-ahead log must never lie beside another database.
    for source in reversed(files_of(path)):
        if source.exists():
            source.replace(aside.with_name(aside.name + source.name.removeprefix(path.name)))
    return aside


def files_of(path: Path) -> list[Path]:
    """Returns the paths of a database: its file, and those that SQLite may keep beside it."""
    return [path.with_name(path.name + side) for side in ("", *_SIDES)]


def put_aside_before(path: Path) -> list[Path]:
    """Returns the files that `put_aside` has left beside a database."""
    return sorted(path.parent.glob(f"{path.stem}.damaged-*"))


def sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
