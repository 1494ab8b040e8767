"""Runs core.images in child processes that can be killed.

A hostile picture may hang a codec, exhaust memory or crash the process. In a child that costs
only this picture: the child has limits of memory and time, and a new child replaces it.

Parent and child exchange frames (see core.framing). The child is not trusted.

    parent   P path | N path that no link may be part of | B bytes
    child    R once when ready; then, for each picture,
             H {"sha256", "n_bytes"},
             M with the marks in the file, as FileMarks.to_dict, followed by
             E {"sentence", "code"}, or
             I {"width", "height", "format", "note", "parts": [[left, top, width, height, frame]]},
             C with a crop, uint8 [size, size, 3], for each of the parts, and
             V with the preview, uint8 [height, width, 3]; I has its "preview": [height, width]; or
             O if nothing was to be decoded
"""

import hashlib
import json
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Literal, Self, TypeVar, cast

import numpy as np

from . import child_process, images
from .child_process import Deadline, TimeLimit
from .errors import AntifakeError, UnreadableImageError
from .evidence.file_marks import FileMarks
from .evidence.reading import read_marks
from .files import PlainFile
from .framing import receive, send
from .i18n import _
from .images import Picture
from .parts import MAX_PARTS, Part
from .pixels import Pixels
from .resource_limits import limit_memory, limit_time

Source = TypeVar("Source", Path, bytes, Path | bytes, Path | PlainFile | bytes)

View = Literal["middle", "whole", "shown", "kept", "marks"]
"""What is cut out of a picture: its middle square, squares from all over it, those with a preview
to show, or nothing, as the file is a crop that was kept. For "marks" it is not even decoded."""

MEMORY_BYTES = 1_500_000_000
TIME_LIMIT = TimeLimit.of_computing(10.0)
"""For a picture."""
START_S = 60.0
_MAX_JSON = 65_536
_MOST_JOBS = 16
_FILES: dict[bytes, Callable[[bytes], Path | PlainFile]] = {
    b"P": lambda path: Path(os.fsdecode(path)),
    b"N": lambda path: PlainFile(Path(os.fsdecode(path))),
}
_READERS = {
    "middle": images.decode,
    "whole": images.decode_whole,
    "shown": images.decode_shown,
    "kept": images.kept_crop,
}


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def jobs_beside_gpu(cores: int | None = None) -> int:
    """Returns how many decoders suit a model on a GPU, which judges faster than many of them.

    Two cores are left to the thread that launches the model's kernels and to the system.
    """
    return max(1, min(_MOST_JOBS, (cores or usable_cores()) - 2))


@dataclass(frozen=True)
class Decoded:
    """The outcome of one source. `picture` or `error` is set, unless only marks are read."""

    sha256: str | None
    """Of the file's bytes, in hex, even if they do not decode; None if they cannot be read."""
    n_bytes: int
    picture: Picture | None
    error: UnreadableImageError | None
    marks: FileMarks | None = None
    """What the container says, also of a picture that does not decode; None if it was not read."""
    took_s: float = 0.0
    """How long it took by the clock."""


class Decoder:
    """Decodes pictures in `jobs` children; a context manager, usable from several threads."""

    def __init__(
        self,
        jobs: int = 1,
        size: int = 224,
        time_limit: TimeLimit = TIME_LIMIT,
        memory_bytes: int = MEMORY_BYTES,
        *,
        view: View = "middle",
    ) -> None:
        self._jobs = jobs
        self._limits = _Limits(size, time_limit, memory_bytes, view)
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        self._children: set[_Child] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self) -> Self:
        """Starts the children and returns at once, before they are ready."""
        with self._lock:
            for _ in range(0 if self._children or self._is_closed else self._jobs):
                self._add_child()
        return self

    def grow(self, jobs: int) -> None:
        """Adds children until there are `jobs`. Must not be called while another thread decodes."""
        with self._lock:
            for _ in range(jobs - len(self._children) if self._children else 0):
                self._add_child()
            self._jobs = max(self._jobs, jobs)

    def fit(self, size: int) -> None:
        """Sets the crop size. Must not be called while another thread decodes."""
        if size != self._limits.size:
            self._limits = replace(self._limits, size=size)
            self.rest()

    def rest(self) -> None:
        """Ends the children until the next picture, which frees their memory.

        Must not be called while another thread decodes.
        """
        with self._lock:
            for child in self._children:
                child.close()

    def close(self) -> None:
        """Ends the children, even busy ones."""
        with self._lock:
            self._is_closed = True
            for child in self._children:
                child.close()
            self._children.clear()
        self._idle.put(None)  # wakes threads that wait for a child

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def decode(self, source: Path | PlainFile | bytes) -> Decoded:
        """Decodes one file or its bytes. Errors of the picture are returned, not raised."""
        self.start()
        with self._child() as child:
            return child.decode(source)

    def decode_many(
        self, sources: Iterable[Source], ahead: int = 0
    ) -> Iterator[tuple[Source, Decoded]]:
        """Decodes in the order of `sources`, of which only a few are read in advance.

        `ahead` is the batch size of the consumer: as many pictures are decoded in advance.
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
            threads.shutdown(wait=False, cancel_futures=True)  # close() ends what they wait for

    def _add_child(self) -> None:
        child = _Child(self._limits)
        self._children.add(child)
        self._idle.put(child)

    @contextmanager
    def _child(self) -> Iterator["_Child"]:
        """Lends an idle child."""
        while not (child := self._take()).is_usable():
            self._give_back(child)  # it was killed from outside while idle
        try:
            yield child
        finally:
            self._give_back(child)

    def _take(self) -> "_Child":
        child = self._idle.get()
        if child is None:
            self._idle.put(None)  # for the next thread that waits
            raise AntifakeError(_("The picture decoder has been closed."))
        return child

    def _give_back(self, child: "_Child") -> None:
        """Makes a child available again, or a new one if it is dead."""
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
    time: TimeLimit
    memory_bytes: int
    view: View


@dataclass
class _Read:
    """What a child has said of a file so far."""

    sha256: str | None = None
    n_bytes: int = 0
    marks: FileMarks | None = None


class _Child:
    """The parent's end of one child process."""

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits
        self._is_ready = False
        self._is_busy = False
        self._process = child_process.start(
            f"from {__name__} import TimeLimit, _Limits, serve; serve({limits})",
            # A child does no linear algebra, and each thread would reserve address space.
            environment=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)

    def is_usable(self) -> bool:
        return not self._is_busy and self._process.poll() is None

    def close(self) -> None:
        child_process.end(self._process)

    def decode(self, source: Path | PlainFile | bytes) -> Decoded:
        self._wait_until_ready()
        self._is_busy = True  # until all is answered: otherwise frames would be out of step
        read, began = _Read(), time.monotonic()
        picture, error, is_done = None, None, False
        invalid_answer = suppress(
            OSError, EOFError, ValueError, LookupError, TypeError, OverflowError, RecursionError
        )
        with Deadline(self._limits.time, self._process) as deadline, invalid_answer:
            self._send_request(source)
            picture, error = self._receive_answer(read)
            is_done = True
        if not is_done:
            error = _given_up(deadline, self._limits.time)
        else:
            self._is_busy = deadline.is_past  # it was killed nevertheless
        took_s = time.monotonic() - began
        return Decoded(read.sha256, read.n_bytes, picture, error, read.marks, took_s)

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        with Deadline(TimeLimit(START_S), self._process), suppress(OSError, EOFError, ValueError):
            self._is_ready = receive(self._answers, 0) == (b"R", b"")
        if not self._is_ready:
            raise AntifakeError(_("The process that decodes pictures does not start."))

    def _send_request(self, source: Path | PlainFile | bytes) -> None:
        if isinstance(source, bytes):
            send(self._requests, b"B", source)
        elif isinstance(source, PlainFile):
            send(self._requests, b"N", os.fsencode(source.path))
        else:  # absolute: the child may have been started in another folder
            send(self._requests, b"P", os.fsencode(source.absolute()))

    def _receive_answer(self, read: "_Read") -> tuple[Picture | None, UnreadableImageError | None]:
        """Reads the answer. `read` gets its first parts as soon as they arrive."""
        kind, said = self._receive_json()
        if kind == b"H":
            read.sha256, read.n_bytes = str(said["sha256"]), int(said["n_bytes"])
            kind, said = self._receive_json()
        if kind == b"M":
            read.marks = FileMarks.from_dict(said)
            kind, said = self._receive_json()
        if kind == b"O":
            return None, None
        if kind == b"E":
            return None, UnreadableImageError(str(said["sentence"]), str(said["code"]))
        parts = tuple(Part.from_list(one) for one in said["parts"][:MAX_PARTS])
        shape = len(parts), self._limits.size, self._limits.size, 3
        _, crops = receive(self._answers, math.prod(shape))
        pixels = np.frombuffer(crops, np.uint8).reshape(shape).copy()  # torch needs it writable
        width, height, kind_of_file = int(said["width"]), int(said["height"]), str(said["format"])
        note = None if said["note"] is None else str(said["note"])
        preview = self._receive_preview(said["preview"])
        return Picture(pixels, parts, width, height, kind_of_file, preview, note), None

    def _receive_preview(self, shape: list[int]) -> Pixels | None:
        _, data = receive(self._answers, 3 * math.prod(images.PREVIEW))
        if not data:
            return None
        height, width = shape
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    def _receive_json(self) -> tuple[bytes, dict[str, Any]]:
        kind, payload = receive(self._answers, _MAX_JSON)
        said: dict[str, Any] = json.loads(payload)
        return kind, said


def _given_up(deadline: Deadline, limit: TimeLimit) -> UnreadableImageError:
    match None if deadline.was_stopped else deadline.passed:
        case "cpu":
            said = _(
                "This picture takes more than {seconds:g} seconds of computing to decode, so it "
                "was given up.",
                seconds=limit.cpu_s,
            )
            return UnreadableImageError(said, "too_much_work")
        case "clock":
            said = _(
                "This picture was not decoded within {seconds:g} seconds, so it was given up. "
                "Either this computer is very busy, or the disk with the file does not answer.",
                seconds=limit.clock_s,
            )
            return UnreadableImageError(said, "timeout")
        case None:
            said = _("This picture could not be decoded safely.")
            return UnreadableImageError(said, "crashed")


# --- In the child -------------------------------------------------------------------------


def serve(limits: _Limits) -> None:
    """Answers requests until the parent closes the pipe or ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a codec that prints must not write into the answers
    limit_memory(limits.memory_bytes)
    send(answers, b"R")
    with suppress(EOFError, BrokenPipeError):
        while True:
            kind, payload = receive(sys.stdin.buffer, sys.maxsize)
            limit_time(limits.time.cpu_s)
            _answer(answers, kind, payload, limits)


def _answer(answers: IO[bytes], kind: bytes, payload: bytes, limits: _Limits) -> None:
    try:
        data = payload if kind == b"B" else images.read_file(_FILES[kind](payload))
        # Sent before decoding, so that a file that kills this process is known by its hash.
        _send_json(answers, b"H", sha256=hashlib.sha256(data).hexdigest(), n_bytes=len(data))
        if limits.view != "kept":
            images.require_picture(data)
            _send_json(answers, b"M", **read_marks(data).to_dict())
        if limits.view == "marks":
            _send_json(answers, b"O")
            return
        picture = _READERS[limits.view](data, limits.size)
    except UnreadableImageError as error:
        _send_json(answers, b"E", sentence=str(error), code=error.code)
        return
    _send_json(
        answers,
        b"I",
        width=picture.width,
        height=picture.height,
        format=picture.format,
        note=picture.note,
        parts=[part.to_list() for part in picture.parts],
        preview=[] if picture.preview is None else list(picture.preview.shape[:2]),
    )
    send(answers, b"C", picture.crops.tobytes())
    send(answers, b"V", b"" if picture.preview is None else picture.preview.tobytes())


def _send_json(pipe: IO[bytes], kind: bytes, **said: object) -> None:
    send(pipe, kind, json.dumps(said).encode())
