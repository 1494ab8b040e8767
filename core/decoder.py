"""core.images in child processes that can be killed.

A picture from the web may be made to hang a codec, to fill the memory or to
crash it. In a child that costs one picture: the child has a limit of memory, a
deadline ends it, and a new one takes its place.

Parent and child talk in frames (see frames). The child is not trusted, so nothing of
its is unpickled.

    parent   P path | B bytes
    child    R (once, ready)   then per picture   H {"sha256", "n_bytes"}
             and after it      E {"sentence", "code"} | I {"width", "height", "format"}, C crop
"""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Self, TypeVar, cast

import numpy as np

from . import images
from .errors import AntifakeError, UnreadableImageError
from .framing import Deadline, receive, send
from .images import Picture

Source = TypeVar("Source", Path, bytes, Path | bytes)

MEMORY_BYTES = 1_500_000_000
START_S = 60.0
_MAX_JSON = 65_536


@dataclass(frozen=True)
class Decoded:
    """What became of one source; exactly one of picture and error is there."""

    sha256: str | None
    """Of the file's bytes, in hex, also if they do not decode; None: they could not be read."""
    n_bytes: int
    picture: Picture | None
    error: UnreadableImageError | None


class Decoder:
    """Decodes pictures in `jobs` children; a context manager, usable from several threads."""

    def __init__(
        self,
        jobs: int = 1,
        size: int = 224,
        timeout_s: float = 10.0,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._jobs = jobs
        self._limits = _Limits(size, timeout_s, memory_bytes)
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        self._children: set[_Child] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self) -> Self:
        """Start the children and return at once; they get ready while the caller goes on."""
        with self._lock:
            for _ in range(0 if self._children or self._is_closed else self._jobs):
                self._add_child()
        return self

    def fit(self, size: int) -> None:
        """Crop to size x size from now on. For whoever is alone in using it."""
        if size != self._limits.size:
            self._limits = replace(self._limits, size=size)
            self.rest()

    def rest(self) -> None:
        """Free the children's memory until the next picture. For whoever is alone in using it."""
        with self._lock:
            for child in self._children:
                child.close()

    def close(self) -> None:
        """End the children, busy or not."""
        with self._lock:
            self._is_closed = True
            for child in self._children:
                child.close()
            self._children.clear()
        self._idle.put(None)  # wakes whoever waits for a child

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(self, source: Path | bytes) -> Decoded:
        """Decode one file or its bytes; what is wrong with them is in the answer, not raised."""
        self.start()
        with self._child() as child:
            return child.decode(source)

    def decode_many(
        self, sources: Iterable[Source], ahead: int = 0
    ) -> Iterator[tuple[Source, Decoded]]:
        """Decode in the order of `sources`, which is read only a few pictures ahead.

        `ahead` is what whoever takes them takes at once: so many more are decoded meanwhile.
        """
        begun: deque[tuple[Source, Future[Decoded]]] = deque()
        most = max(2 * self._jobs, ahead)
        threads = ThreadPoolExecutor(self._jobs, thread_name_prefix="decoder")
        try:
            for source in sources:
                begun.append((source, threads.submit(self.decode, source)))
                while begun and (begun[0][1].done() or len(begun) > most):
                    first, decoded = begun.popleft()
                    yield first, decoded.result()
            for last, decoded in begun:
                yield last, decoded.result()
        finally:
            threads.shutdown(cancel_futures=True)

    def _add_child(self) -> None:
        child = _Child(self._limits)
        self._children.add(child)
        self._idle.put(child)

    @contextmanager
    def _child(self) -> Iterator["_Child"]:
        """Lend an idle child."""
        while not (child := self._take()).is_usable():
            self._give_back(child)  # it was killed from outside, while idle
        try:
            yield child
        finally:
            self._give_back(child)

    def _take(self) -> "_Child":
        child = self._idle.get()
        if child is None:
            self._idle.put(None)  # for the next who asks
            raise AntifakeError("The picture decoder has been closed.")
        return child

    def _give_back(self, child: "_Child") -> None:
        """Make a child available again, or another one if it did not survive."""
        with self._lock:
            if child.is_usable():
                self._idle.put(child)
                return
            child.close()
            self._children.discard(child)
            if not self._is_closed:
                self._add_child()


@dataclass(frozen=True)
class _Limits:
    size: int
    timeout_s: float
    memory_bytes: int


class _Child:
    """The parent's end of one child process."""

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits
        self._is_ready = False
        self._is_asked = False
        # -c, as -m would import this module twice. Not -I: it hides what is installed
        # for one user. -P: files in the current folder shadow nothing.
        code = f"from {__name__} import serve, _Limits; serve({limits})"
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # codecs complain there about every broken file
            # A child does no linear algebra, and each of its threads would reserve memory.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)

    def is_usable(self) -> bool:
        return not self._is_asked and self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._requests, self._answers):
            with suppress(OSError):  # what was not sent yet has nobody to go to
                pipe.close()
        with suppress(subprocess.TimeoutExpired):  # it hangs in a dead network disk
            self._process.wait(5)

    def decode(self, source: Path | bytes) -> Decoded:
        self._wait_until_ready()
        self._is_asked = True  # until all is answered: else frames would be out of step
        read: dict[str, Any] = {}
        picture, error = None, None
        nonsense = suppress(
            OSError, EOFError, ValueError, LookupError, TypeError, OverflowError, RecursionError
        )
        with Deadline(self._limits.timeout_s, self._process) as deadline, nonsense:
            self._ask(source)
            picture, error = self._hear(read)
        if picture is None and error is None:
            error = _too_slow(self._limits.timeout_s) if deadline.is_past else _crashed()
        else:
            self._is_asked = deadline.is_past  # it was killed all the same
        return Decoded(read.get("sha256"), read.get("n_bytes", 0), picture, error)

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        with Deadline(START_S, self._process), suppress(OSError, EOFError, ValueError):
            self._is_ready = receive(self._answers, 0) == (b"R", b"")
        if not self._is_ready:
            raise AntifakeError("The process that decodes pictures does not start.")

    def _ask(self, source: Path | bytes) -> None:
        if isinstance(source, bytes):
            send(self._requests, b"B", source)
        else:  # absolute: the child may have been started in another folder
            send(self._requests, b"P", os.fsencode(source.absolute()))

    def _hear(self, read: dict[str, Any]) -> tuple[Picture | None, UnreadableImageError | None]:
        """Take in the answer; `read` gets its first part as soon as that is there."""
        kind, said = self._hear_json()
        if kind == b"H":
            read.update(sha256=str(said["sha256"]), n_bytes=int(said["n_bytes"]))
            kind, said = self._hear_json()
        if kind == b"E":
            return None, UnreadableImageError(str(said["sentence"]), str(said["code"]))
        shape = self._limits.size, self._limits.size, 3
        _, crop = receive(self._answers, math.prod(shape))
        pixels = np.frombuffer(crop, np.uint8).reshape(shape).copy()  # torch wants it writable
        return Picture(pixels, int(said["width"]), int(said["height"]), str(said["format"])), None

    def _hear_json(self) -> tuple[bytes, dict[str, Any]]:
        kind, payload = receive(self._answers, _MAX_JSON)
        said: dict[str, Any] = json.loads(payload)
        return kind, said


def _too_slow(timeout_s: float) -> UnreadableImageError:
    return UnreadableImageError(
        f"This picture takes more than {timeout_s:g} seconds to decode, so it was given up.",
        "timeout",
    )


def _crashed() -> UnreadableImageError:
    return UnreadableImageError("This picture could not be decoded safely.", "crashed")


# --- In the child -------------------------------------------------------------------------


def serve(limits: _Limits) -> None:
    """Answer until the parent closes the pipe or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a codec that prints must not print into the answers
    _limit_memory(limits.memory_bytes)
    send(answers, b"R")
    with suppress(EOFError, BrokenPipeError):
        while True:
            kind, payload = receive(sys.stdin.buffer, sys.maxsize)
            _limit_time(limits.timeout_s)
            _answer(answers, kind, payload, limits.size)


def _answer(answers: IO[bytes], kind: bytes, payload: bytes, size: int) -> None:
    try:
        data = payload if kind == b"B" else images.read_file(Path(os.fsdecode(payload)))
        # Sent before decoding, so that a file that ends this process is known by its hash.
        _send_json(answers, b"H", sha256=hashlib.sha256(data).hexdigest(), n_bytes=len(data))
        picture = images.decode(data, size)
    except UnreadableImageError as error:
        _send_json(answers, b"E", sentence=str(error), code=error.code)
        return
    _send_json(answers, b"I", width=picture.width, height=picture.height, format=picture.format)
    send(answers, b"C", picture.crop.tobytes())


def _send_json(pipe: IO[bytes], kind: bytes, **said: str | int) -> None:
    send(pipe, kind, json.dumps(said).encode())


def _limit_memory(n_bytes: int) -> None:
    """Let this process have n_bytes of address space, and leave no core file of a picture."""
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - Windows has none; there the deadline is all

        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_AS, n_bytes)


def _limit_time(timeout_s: float) -> None:
    """End by ourselves a picture that the parent, being dead, cannot end any more.

    Counted in time of all threads together, of which AVIF and HEIC use several.
    """
    with suppress(ImportError):
        import resource  # noqa: PLC0415

        _lower(resource.RLIMIT_CPU, math.ceil(time.process_time() + 8 * timeout_s))


def _lower(limit: int, value: int) -> None:
    import resource  # noqa: PLC0415

    _, hard = resource.getrlimit(limit)
    # macOS refuses some limits of memory.
    with suppress(OSError, ValueError):
        resource.setrlimit(limit, (value, hard))
