"""Reads Content Credentials (C2PA) in a child process that can be killed.

The library is native code on a hostile file, and it loads native code from the current folder. So
the child runs in a folder of the installation, without the variables that name other libraries,
with limits of memory and time. What it answers is not trusted.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal, Self, cast, get_args

from antifake.core import child_process
from antifake.core.child_process import Deadline, TimeLimit
from antifake.core.framing import receive, send

from .file_marks import FileMarks
from .manifests import Content, Says, Signer
from .marks import inert
from .trust_lists import dates

WhyNot = Literal["not_installed", "too_large", "timeout", "crashed"]

MAX_MANIFEST_BYTES = 8_000_000
TIME_LIMIT = TimeLimit.of_computing(5.0)
_START_S = 30.0
_MAX_ANSWER = 32_768
_CHILD = f"{__package__}.signed"
_FOLDER = Path(__file__).parent
_NAMING_LIBRARIES = ("C2PA_LIBRARY_NAME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Provenance:
    """What the credentials in a picture say, or why they were not read."""

    why_not: WhyNot | None = None
    """None if they were read, or if there are none."""
    content: Content = "none"
    signer: Signer | None = None
    says: Says | None = None
    by: Literal["source", "agent"] | None = None
    """Whether a declared source says it, or only the name of the program."""
    name: str | None = None
    """The organisation in the certificate of the signer, inert."""
    at: str | None = None
    lists: tuple[str, ...] = ()
    """The days, ISO 8601, of the lists that the signer was looked up in; empty if there is none."""

    @property
    def is_known(self) -> bool:
        """Whether the signer is on a list of those that are trusted."""
        return self.signer in ("known", "known_interim")


class ProvenanceReader:
    """Reads the credentials of pictures, in one child that starts when the first has some.

    A context manager, usable from several threads, one picture at a time.
    """

    def __init__(
        self, time_limit: TimeLimit = TIME_LIMIT, anchors: str = "", interim: str = ""
    ) -> None:
        """`anchors`: certificates in PEM that are as good as those of the shipped list.

        `interim`: those of the list that was in use before it. None is shipped, see trust/NOTICE.
        """
        self._time_limit = time_limit
        self._lists = anchors, interim
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child, even a busy one; the next picture starts another."""
        if process := self._process:
            process.kill()  # who waits for its answer has the lock
        with self._lock:
            self._end()

    def read(self, marks: FileMarks, picture: Callable[[], bytes | None]) -> Provenance:
        """Returns what the credentials say that were seen among the marks of a picture.

        `picture` is asked for the file's bytes only if there are some; None if it cannot be read.
        """
        if not marks.n_c2pa_bytes:
            return Provenance(content="elsewhere" if marks.is_c2pa_elsewhere else "none")
        if find_spec("c2pa") is None:
            return Provenance("not_installed", content="unreadable")
        if marks.n_c2pa_bytes > MAX_MANIFEST_BYTES:
            return Provenance("too_large", content="unreadable")
        data = picture()
        if data is None:
            return Provenance("crashed", content="unreadable")
        with self._lock:
            return self._ask(data)

    def _ask(self, picture: bytes) -> Provenance:
        process = self._process or self._start()
        answer: dict[str, Any] | None = None
        ended = suppress(OSError, EOFError, ValueError, TypeError, RecursionError)
        with Deadline(self._time_limit, process) as deadline, ended:
            send(cast(IO[bytes], process.stdin), b"B", picture)
            _, payload = receive(cast(IO[bytes], process.stdout), _MAX_ANSWER)
            answer = json.loads(payload)
        found = _checked(answer)
        if found is None or deadline.is_past:
            self._end()
            why_not: WhyNot = "timeout" if deadline.is_past else "crashed"
            return Provenance(why_not, content="unreadable")
        return replace(found, lists=dates()) if found.signer else found

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = self._time_limit.cpu_s, *self._lists
        process = child_process.start(
            f"from {_CHILD} import serve; serve(*{arguments!r})",
            environment={
                key: os.environ[key] for key in os.environ if key not in _NAMING_LIBRARIES
            },
            folder=_FOLDER,
        )
        with Deadline(TimeLimit(_START_S), process), suppress(OSError, EOFError, ValueError):
            receive(cast(IO[bytes], process.stdout), 0)
        self._process = process
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            child_process.end(process)


def _checked(answer: object) -> Provenance | None:
    """Returns an answer of the child; None for nonsense."""
    try:
        return checked(cast(dict[str, Any], answer))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def checked(values: dict[str, Any]) -> Provenance:
    """Returns provenance from its fields. Raises ValueError, TypeError or LookupError."""
    for key, words in _WORDS.items():
        if values.get(key) is not None and values[key] not in get_args(words):
            raise ValueError(f"{key} is {values[key]!r}")
    return Provenance(
        why_not=values.get("why_not"),
        content=values["content"] or "none",
        signer=values.get("signer"),
        says=values.get("says"),
        by=values.get("by"),
        name=_text(values.get("name")),
        at=_text(values.get("at")),
        lists=tuple(map(_day, values.get("lists") or ())),
    )


_WORDS = {
    "why_not": WhyNot,
    "content": Content,
    "signer": Signer,
    "says": Says,
    "by": Literal["source", "agent"],
}


def _day(value: str) -> str:
    return date.fromisoformat(value).isoformat()


def _text(value: object) -> str | None:
    return inert(str(value)) if value else None
