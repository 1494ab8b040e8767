"""Which daemon is running. There is one at a time, and it writes down where it can be asked.

The lock is what counts: the system releases it however a process ends. The file beside it may be
left over from a daemon that was killed, so it is believed only while the lock is held and the
process that wrote it is alive.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from antifake.core.errors import AntifakeError
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.core.private_files import objection_to_file

from .places import Places

# What people read, wherever they meet it: the tray, the pages, the command line.
OFFLINE = _("antifake is not running")
"""A state, as the tray's menu begins with one."""
NOT_RUNNING = _("antifake is not running.")
START_IT = _("antifake is not running: start it with `antifake daemon start`.")
OTHER_VERSION = _("Another version of antifake is running: stop it, and start it again.")


class AlreadyRunningError(AntifakeError):
    """Another process is the daemon."""

    exit_code = 5


@dataclass(frozen=True)
class Running:
    """The daemon that holds the lock."""

    pid: int
    port: int
    version: str
    started: str
    """When, in ISO 8601 with its zone."""
    process_started: str = ""
    """When the system started its process; a later process with the same number has another."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def single_instance(where: Places) -> Iterator[None]:
    """Be the daemon. Raises AlreadyRunningError where another one is."""
    lock = FileLock(where.lock, mode=0o600)
    try:
        # Not 0: a client that probes the lock keeps others from it for a moment.
        lock.acquire(timeout=0.5)
    except Timeout:
        raise already_running(find(where)) from None
    try:
        where.running.unlink(missing_ok=True)
        yield
    finally:
        found = _written(where)
        # Where the home was lost, another daemon may be the one that is announced there by now.
        if found is None or found.pid == os.getpid():
            where.running.unlink(missing_ok=True)
        lock.release()


def already_running(found: Running | None) -> AlreadyRunningError:
    """Returns the error for a daemon that runs; None for one that is just starting."""
    if found is None:
        return AlreadyRunningError(_("antifake is running already: it is just starting."))
    return AlreadyRunningError(
        _(
            "antifake is running already: process {pid} on port {port}.",
            pid=found.pid,
            port=found.port,
        )
    )


def announce(where: Places, port: int, version: str, now: datetime) -> Running:
    """Write down where this process can be asked; readable by this user only."""
    pid = os.getpid()
    running = Running(
        pid, port, version, now.isoformat(timespec="seconds"), _start_of_process(pid) or ""
    )
    write_atomically(where.running, json.dumps(asdict(running)).encode())
    return running


def is_running(where: Places) -> bool:
    """Returns whether a daemon holds the lock, ready to be asked or not."""
    is_locked = _is_locked(where.lock)
    return _written(where) is not None if is_locked is None else is_locked


def find(where: Places) -> Running | None:
    """Returns the daemon that can be asked now."""
    # The file is read first: if the daemon changes in between, the process in it is not alive.
    found = _written(where)
    return found if found is not None and is_running(where) else None


def _written(where: Places) -> Running | None:
    """What the file says, if nobody else can write it and the process that wrote it is alive."""
    if objection_to_file(where.running):
        return None
    try:
        said = json.loads(where.running.read_bytes())
        found = Running(
            int(said["pid"]),
            int(said["port"]),
            str(said["version"]),
            str(said["started"]),
            str(said["process_started"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.process_started == _start_of_process(found.pid) else None


def _is_locked(path: Path) -> bool | None:
    """Returns whether a process holds the lock; None where that cannot be seen without taking it.

    The shared lock that this takes for a moment does not disturb others that look as well.
    """
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415  # Windows has none

    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(handle)
    return False


def ask_to_end(found: Running) -> None:
    """Sends SIGTERM to the process of a daemon, and never to a later one with its number."""
    with suppress(ProcessLookupError), ExitStack() as held:
        handle = None
        if sys.platform == "linux":
            with suppress(OSError):  # an old system
                # It names the process, whatever becomes of the number after the next line.
                handle = os.pidfd_open(found.pid)
                held.callback(os.close, handle)
        if _start_of_process(found.pid) != found.process_started:
            return
        if sys.platform == "linux" and handle is not None:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        else:
            os.kill(found.pid, signal.SIGTERM)


def _start_of_process(pid: int) -> str | None:
    """Returns when a process was started, in words that never change; None if it has ended."""
    with suppress(OSError, IndexError):
        # In ticks since boot: the time of day would change with the clock. Boots have names,
        # because another boot may start another process at the same tick. The name of the process,
        # which is in brackets, may have spaces.
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return f"{boot}:{stat.rpartition(')')[2].split()[19]}"
    import psutil  # noqa: PLC0415  # slow to import, and not needed on Linux

    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except (psutil.Error, ValueError, OverflowError):
        return None
