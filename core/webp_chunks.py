"""The chunks of a WebP that is damaged or ends too early."""

import struct
from collections.abc import Iterator

_STILL = (b"VP8 ", b"VP8L")
_PICTURES = (*_STILL, b"ANMF")
_HEADER = 12
_MAX_GROWTH = 4


def with_whole_chunks(data: bytes) -> bytes | None:
    """Returns a WebP of the chunks that are whole. None if no picture is among them."""
    whole = [(begin, end) for begin, end in _chunks(data) if end <= len(data)]
    if not any(data[begin : begin + 4] in _PICTURES for begin, _ in whole):
        return None
    return _riff(b"".join(data[begin:end] for begin, end in whole))


def filled_up(data: bytes, filler: bytes) -> bytes | None:
    """Returns a WebP whose only picture is short, with more bytes than are missing.

    None if there is no such picture, or if hardly anything of it is there.
    """
    found = ((begin, end) for begin, end in _chunks(data) if data[begin : begin + 4] in _STILL)
    begin, end = next(found, (0, 0))
    there = data[begin + 8 : end]
    # A chunk that is all there, but short, does not tell how much is missing.
    missing = end - len(data) if end > len(data) else len(there)
    if not end or missing >= (_MAX_GROWTH - 1) * len(data):
        return None
    # A decoder may take more bytes of filler for a row than it took of the picture.
    length = _MAX_GROWTH * missing + 65_536
    packed = there + (filler * (length // len(filler) + 1))[:length]
    packed += bytes(len(packed) % 2)
    before = data[_HEADER : begin + 4]
    return _riff(before + struct.pack("<I", len(packed)) + packed)


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where the chunks begin and end; the last may end beyond the file."""
    at = _HEADER
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + length % 2
        yield at, end
        at = end
