"""Notices when folders of a running daemon are removed, renamed or replaced.

The file that a daemon locks goes with its folder, and a second daemon would find none. So each
also locks the folder of the history: as long as that is there, no other daemon writes to it.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

from .instance import already_running, find
from .places import Places

LOOK_EVERY_S = 5.0


class HomeLostError(AntifakeError):
    """The folders of a running daemon are no longer at their place."""

    exit_code = 2
    """So that systemd does not start it again, in a home that a person has removed."""


@dataclass
class HomeGuard:
    """Looks after the folders of the daemon that holds them. Used by one thread."""

    where: Places

    def __post_init__(self) -> None:
        self._folders = {path: _identity(path) for path in (self.where.home.root, self.where.data)}
        self._lock = _identity(self.where.lock)
        self._new_lock: FileLock | None = None

    def look(self) -> bool:
        """Makes lost folders of the running daemon again. Returns whether it had lost its lock.

        Raises HomeLostError if the home itself is away, or another daemon was faster;
        NotPrivateError if the folder in the place of a lost one is open to others; OSError.
        """
        for folder, identity in self._folders.items():
            if _identity(folder) != identity:
                raise HomeLostError(
                    _(
                        "The folder {folder} was removed, renamed or replaced while antifake ran, "
                        "so it has ended. Start it again with `antifake daemon start`.",
                        folder=folder,
                    )
                )
        has_lost_lock = _identity(self.where.lock) != self._lock
        if has_lost_lock or not all(map(Path.is_dir, (self.where.spool, self.where.logs))):
            self.where.make()
        if has_lost_lock:
            self._lock_again()
        return has_lost_lock

    def close(self) -> None:
        if self._new_lock is not None:
            self._new_lock.release()

    def _lock_again(self) -> None:
        lock = FileLock(self.where.lock, mode=0o600)
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            raise HomeLostError(str(already_running(find(self.where)))) from None
        self.close()
        self._new_lock, self._lock = lock, _identity(self.where.lock)


@contextmanager
def guarding(where: Places) -> Iterator[HomeGuard]:
    """Holds the folder of the history. Raises AlreadyRunningError if another daemon holds it."""
    handle = _locked(where.data)
    if handle is None:
        raise already_running(find(where))
    guard = HomeGuard(where)
    try:
        yield guard
    finally:
        guard.close()
        os.close(handle)


def _locked(folder: Path) -> int | None:
    """Returns a handle that holds a folder until it is closed; None if another process does."""
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)  # it removes no folder with a file that is open
    import fcntl  # noqa: PLC0415  # Windows has none

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(handle)
            return None
        # A network drive that locks no folders: there the lock's file alone counts.
    return handle


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
