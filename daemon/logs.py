"""The daemon's log files: five of at most one megabyte each, one line for each message.

File names appear in them at level debug only, pictures and secrets never. The callers are
responsible for that; as a second line of defence, secrets and the file names in tracebacks are
removed here.
"""

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import islice
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from antifake.core.errors import AntifakeError
from antifake.core.private_files import make_private

from .places import Places
from .redaction import message_without_files, traceback_without_files, without_secrets

MAX_BYTES = 1_000_000
FILES = 5
LEVELS = ("debug", "info", "warning", "error")
DEFAULT = "info"

log = logging.getLogger(__name__)
_OURS = logging.getLogger("antifake")
_LINE = re.compile(r"(\S+Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\S+): (.*)")


def set_up(
    where: Places, level: str | None = None, max_bytes: int = MAX_BYTES
) -> Callable[[], None]:
    """Writes all log records to the log files from now on. Returns a function that undoes this.

    `level` is one of LEVELS; None takes the level of the settings. Raises OSError.
    """
    make_private(where.logs)
    handler = _PrivateFile(where.log, maxBytes=max_bytes, backupCount=FILES - 1, encoding="utf-8")
    handler.setFormatter(_Lines())
    # If the disk is full, do not print a traceback for every record to standard error.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    # A request that waits a moment for a free thread is no reason for a warning.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    set_level(level or level_of_settings(where))
    forget_hooks = _hook_uncaught()

    def undo() -> None:
        forget_hooks()
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()

    return undo


def set_level(level: str) -> None:
    """Sets the level of our loggers. Libraries only get to log warnings and errors."""
    _OURS.setLevel(level.upper())
    logging.getLogger().setLevel("WARNING" if level != "error" else "ERROR")


def level_of_settings(where: Places) -> str:
    from .config import load  # noqa: PLC0415  # slow to import

    try:
        return str(load(where.config).logs.level)
    except AntifakeError:
        return DEFAULT  # the error is reported where the settings are used


def reopen_lost() -> None:
    """Begins a new log file where the present one was removed or moved. Raises OSError."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _PrivateFile):
            handler.reopen_if_lost()


class _PrivateFile(RotatingFileHandler):
    """Readable by this user only. Keeps growing if the system cannot rename an open file."""

    def _open(self) -> TextIOWrapper:
        handle = _private(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if hasattr(os, "fchmod"):
            os.fchmod(handle, 0o600)  # an older version may have created it
        return os.fdopen(handle, "a", encoding="utf-8")

    def reopen_if_lost(self) -> None:
        self.acquire()
        try:
            if self.stream is not None and not self._is_at_its_place(self.stream):
                self.stream.close()
                self.stream = self._open()
        finally:
            self.release()

    def _is_at_its_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(stream.fileno()))
        except FileNotFoundError:
            return False

    def rotate(self, source: str, dest: str) -> None:
        try:
            super().rotate(source, dest)
        except PermissionError:
            return  # on Windows, while another program has it open


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Lines(logging.Formatter):
    """One line: time in UTC, level, logger, message. A traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        name = record.name.removeprefix("antifake.daemon.").removeprefix("antifake.")
        message = one_line(_message(record))
        text = f"{at.replace('+00:00', 'Z')} {record.levelname} {name}: {message}"
        if record.exc_info:
            text += "\n" + _indented(self.formatException(record.exc_info))
        return without_secrets(text)

    def formatException(self, ei: "ExcInfo") -> str:  # noqa: N802  # overrides the library's name
        text = super().formatException(ei)
        if ei[1] is None or _OURS.isEnabledFor(logging.DEBUG):
            return text
        return traceback_without_files(ei[1], text)


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _message(record: logging.LogRecord) -> str:
    """Returns the message, above level debug without the file names in its exceptions."""
    if isinstance(record.args, tuple) and not _OURS.isEnabledFor(logging.DEBUG):
        args = tuple(
            message_without_files(arg) if isinstance(arg, BaseException) else arg
            for arg in record.args
        )
        return str(record.msg) % args if args else str(record.msg)
    return record.getMessage()


def one_line(text: str) -> str:
    """Escapes unprintable characters, so that a line break cannot forge a second message."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _hook_uncaught() -> Callable[[], None]:
    """Logs uncaught exceptions of all threads. Returns a function that undoes this."""
    former = sys.excepthook, threading.excepthook, sys.unraisablehook

    def log_main_exception(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            log.critical("uncaught exception", exc_info=(kind, error, trace))
        former[0](kind, error, trace)

    def log_thread_exception(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit or args.exc_value is None:
            return
        name = args.thread.name if args.thread else "a thread"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        log.critical("uncaught exception in thread %s", name, exc_info=trace)

    def log_unraisable(args: "sys.UnraisableHookArgs") -> None:
        error = args.exc_value
        trace = (args.exc_type, error, args.exc_traceback) if error else None
        log.error("ignored: %s", args.err_msg or args.exc_type.__name__, exc_info=trace)

    sys.excepthook, threading.excepthook, sys.unraisablehook = (
        log_main_exception,
        log_thread_exception,
        log_unraisable,
    )

    def undo() -> None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = former

    return undo


# --- Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """Position up to which the newest file was read."""

    bytes: int = 0
    inode: int = 0


def last_lines(where: Places, n: int) -> tuple[list[str], End]:
    """Returns the last `n` lines of all files, oldest first, and the position after them."""
    found: deque[str] = deque()
    end = End()
    for path in _files(where):
        lines, its_end = _read(path)
        found.extendleft(islice(reversed(lines), n - len(found)))
        if path == where.log:
            end = its_end
        if len(found) >= n:
            break
    return list(found), end


def _files(where: Places) -> list[Path]:
    """Returns the paths of all log files, newest first."""
    older = (where.log.with_name(f"{where.log.name}.{n}") for n in range(1, FILES))
    return [where.log, *older]


def follow(
    where: Places, end: End, pause: Callable[[], None] = lambda: time.sleep(0.3)
) -> Iterator[str]:
    """Yields new lines after `end` for ever, also across a rotation of the files."""
    former = where.log.with_name(f"{where.log.name}.1")
    while True:
        lines, now = _read(where.log, end)
        if now.inode != end.inode:
            rest, of = _read(former, end)
            yield from rest if of.inode == end.inode else ()
        end = now
        yield from lines
        pause()


def _read(path: Path, after: End | None = None) -> tuple[list[str], End]:
    """Returns the complete lines after `after` and the new position.

    If `after` belongs to another file, the whole file is read.
    """
    start = 0
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            if after and info.st_ino == after.inode and info.st_size >= after.bytes:
                start = file.seek(after.bytes)
            data = file.read()
    except FileNotFoundError:
        return [], End()
    data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8", "replace").splitlines(), End(start + len(data), info.st_ino)


def to_records(lines: list[str]) -> list[dict[str, str]]:
    """Returns {at, level, logger, message} for each message; a traceback joins its message."""
    found: list[dict[str, str]] = []
    for line in lines:
        if match := _LINE.fullmatch(line):
            at, level, name, message = match.groups()
            found.append({"at": at, "level": level.lower(), "logger": name, "message": message})
        elif found:
            found[-1]["message"] += f"\n{line}"
    return found
