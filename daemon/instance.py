"""Which daemon is running: there is one at a time, and it says where it is to be asked.

The lock is the truth: the system lets go of it whichever way a process ends. The file beside it
only says what whoever holds the lock has written.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

from filelock import FileLock, Timeout

from antifake.core.errors import AntifakeError
from antifake.core.files import write_atomically

from .places import Places


class AlreadyRunningError(AntifakeError):
    """Somebody else is the daemon."""

    exit_code = 5


@dataclass(frozen=True)
class Running:
    """The daemon that holds the lock."""

    pid: int
    port: int
    version: str
    started: str
    """When, in ISO 8601 with its zone."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def only_one(where: Places) -> Iterator[None]:
    """Be the daemon. Raises AlreadyRunningError where another one is."""
    lock = FileLock(where.lock, mode=0o600)
    try:
        # Not 0: a client that looks whether somebody is there holds it for a moment, too.
        lock.acquire(timeout=0.5)
    except Timeout:
        other = find(where)
        name = f"process {other.pid} on port {other.port}" if other else "it is just starting"
        raise AlreadyRunningError(f"antifake is running already: {name}.") from None
    try:
        where.running.unlink(missing_ok=True)
        yield
    finally:
        where.running.unlink(missing_ok=True)
        lock.release()


def announce(where: Places, port: int, version: str, now: datetime) -> Running:
    """Say where this process is to be asked; readable by this user only."""
    running = Running(os.getpid(), port, version, now.isoformat(timespec="seconds"))
    write_atomically(where.running, json.dumps(asdict(running)).encode())
    return running


def is_running(where: Places) -> bool:
    """Whether somebody holds the lock, ready to be asked or not."""
    if not where.lock.exists():
        return False
    lock = FileLock(where.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def find(where: Places) -> Running | None:
    """The daemon that can be asked now."""
    try:
        said = json.loads(where.running.read_bytes())
        found = Running(
            int(said["pid"]), int(said["port"]), str(said["version"]), str(said["started"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_running(where) else None
