"""Length-prefixed frames between a parent and its child process, over stdin and stdout.

A frame is one letter, a length and that many bytes. The bytes are never unpickled, so a child
that a hostile picture has taken over can send nonsense but cannot run code in the parent.
"""

import struct
from typing import IO

_HEADER = struct.Struct(">cQ")


def send(pipe: IO[bytes], kind: bytes, payload: bytes = b"") -> None:
    """Writes one frame and flushes it."""
    pipe.write(_HEADER.pack(kind, len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes], limit: int) -> tuple[bytes, bytes]:
    """Returns the letter and the bytes of the next frame.

    Raises EOFError if the other side has closed the pipe, ValueError if the frame is longer than
    `limit`.
    """
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
