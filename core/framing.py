"""How a parent and the child process it started talk: frames over the child's stdin and stdout.

A frame is a letter, a length and that many bytes. What the bytes mean is up to the two; they
are never unpickled, so a child that a hostile picture has taken over can say nonsense and no more.
"""

import struct
import subprocess
import threading
from typing import IO, Self

_HEADER = struct.Struct(">cQ")


def send(pipe: IO[bytes], kind: bytes, payload: bytes = b"") -> None:
    pipe.write(_HEADER.pack(kind, len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes], limit: int) -> tuple[bytes, bytes]:
    """The next frame's letter and bytes; EOFError where the other side has gone."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    kind, length = _HEADER.unpack(header)
    if length > limit:
        raise ValueError(f"a frame of {length} bytes, where {limit} are allowed")
    payload = pipe.read(length)
    if len(payload) < length:
        raise EOFError
    return kind, payload


class Deadline:
    """Kills a process unless the block ends in time; a pending read then sees the end.

    A thread and not select(), which knows no pipes on Windows.
    """

    def __init__(self, seconds: float, process: subprocess.Popen[bytes]) -> None:
        self.is_past = False
        self._process = process
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()  # or it could still kill while the next picture is worked on

    def _pass(self) -> None:
        self.is_past = True
        self._process.kill()
