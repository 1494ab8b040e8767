"""What the daemon writes about itself: five files of a megabyte, one line for each thing told.

Names of files stand in it at level debug only, pictures and secrets never. That is kept where
things are told; what slips into the text of an error is taken out here once more.
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

from .places import Places

MAX_BYTES = 1_000_000
FILES = 5
LEVELS = ("debug", "info", "warning", "error")
DEFAULT = "info"

log = logging.getLogger(__name__)
_OURS = logging.getLogger("antifake")
_SECRETS = re.compile(
    r"(?i)(\bbearer\s+|\bcode=|\b(?:token|secret|password|session|authorization|cookie)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)[^\s\"'&,;)}\]]+"
)
_LINE = re.compile(r"(\S+Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\S+): (.*)")


def set_up(where: Places, level: str | None = None) -> Callable[[], None]:
    """Let everything that is told from now on go to the log; gives what undoes it.

    `level` is one of LEVELS, the one of the settings for None. Raises OSError.
    """
    where.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = _PrivateFile(where.log, maxBytes=MAX_BYTES, backupCount=FILES - 1, encoding="utf-8")
    handler.setFormatter(_Lines())
    # On a full disk nobody is helped by a trace on a standard error that nobody reads.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    # That somebody waits a moment for a thread is no warning.
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
    """From now on. Of others' loggers only what went wrong is of interest."""
    _OURS.setLevel(level.upper())
    logging.getLogger().setLevel("WARNING" if level != "error" else "ERROR")


def level_of_settings(where: Places) -> str:
    from .config import load  # noqa: PLC0415  # the command line starts without it

    try:
        return str(load(where.config).logs.level)
    except AntifakeError:
        return DEFAULT  # whoever reads the settings next says what is wrong with them


class _PrivateFile(RotatingFileHandler):
    """Of this user alone. Where the system does not let an open file be renamed, it grows on."""

    def _open(self) -> TextIOWrapper:
        handle = _private(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if hasattr(os, "fchmod"):
            os.fchmod(handle, 0o600)  # it may be of an older version
        return os.fdopen(handle, "a", encoding="utf-8")

    def rotate(self, source: str, dest: str) -> None:
        try:
            super().rotate(source, dest)
        except PermissionError:
            return  # on Windows, while somebody reads it


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Lines(logging.Formatter):
    """Time in UTC, level, logger, message: one line; below it, indented, a trace."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        name = record.name.removeprefix("antifake.daemon.").removeprefix("antifake.")
        message = one_line(record.getMessage())
        text = f"{at.replace('+00:00', 'Z')} {record.levelname} {name}: {message}"
        if record.exc_info:
            text += "\n" + _indented(self.formatException(record.exc_info))
        return redacted(text)

    def formatException(self, ei: "ExcInfo") -> str:  # noqa: N802  # its name in the library
        text = super().formatException(ei)
        if _OURS.isEnabledFor(logging.DEBUG):
            return text
        for error in _chain(ei[1]):
            for name in filter(None, (error.filename, error.filename2)):
                text = text.replace(repr(name), "(a file)").replace(str(name), "(a file)")
        return text


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _chain(error: BaseException | None) -> Iterator[OSError]:
    """Every OSError that a trace tells of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError):
            yield error
        error = error.__cause__ or error.__context__


def redacted(text: str) -> str:
    """Without the secrets that a header or an address may hold."""
    return _SECRETS.sub(r"\1***", text)


def one_line(text: str) -> str:
    """A name in it with a line end must not look like a second message."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _hook_uncaught() -> Callable[[], None]:
    """What nobody caught, in main and in threads, is told with its trace; gives what undoes it."""
    main, of_threads, unraisable = sys.excepthook, threading.excepthook, sys.unraisablehook

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            log.critical("nobody caught this", exc_info=(kind, error, trace))
        main(kind, error, trace)

    def told_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit or args.exc_value is None:
            return
        name = args.thread.name if args.thread else "a thread"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        log.critical("the thread %s ended, nobody caught this", name, exc_info=trace)

    def told_of_end(args: "sys.UnraisableHookArgs") -> None:
        error = args.exc_value
        trace = (args.exc_type, error, args.exc_traceback) if error else None
        log.error("ignored: %s", args.err_msg or args.exc_type.__name__, exc_info=trace)

    sys.excepthook, threading.excepthook, sys.unraisablehook = told, told_of_thread, told_of_end

    def undo() -> None:
        sys.excepthook, threading.excepthook, sys.unraisablehook = main, of_threads, unraisable

    return undo


# --- Reading it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """How far the newest file was read."""

    bytes: int = 0
    inode: int = 0


def last_lines(where: Places, n: int) -> tuple[list[str], End]:
    """The newest, oldest of them first, out of as many files as that takes; and where they end."""
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
    """Newest first."""
    older = (where.log.with_name(f"{where.log.name}.{n}") for n in range(1, FILES))
    return [where.log, *older]


def follow(
    where: Places, end: End, pause: Callable[[], None] = lambda: time.sleep(0.3)
) -> Iterator[str]:
    """Lines behind that end as they come, for ever; also across the change to a new file."""
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
    """The whole lines behind that end, or all of them where it is of another file; and theirs."""
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
    """For programs: {at, level, logger, message}, a trace with the message above it."""
    found: list[dict[str, str]] = []
    for line in lines:
        if match := _LINE.fullmatch(line):
            at, level, name, message = match.groups()
            found.append({"at": at, "level": level.lower(), "logger": name, "message": message})
        elif found:
            found[-1]["message"] += f"\n{line}"
    return found
