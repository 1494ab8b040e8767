"""The chunks of a PNG: those that change how it looks, and the rows of one that is damaged."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from typing import NamedTuple

from PIL import PngImagePlugin

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_APPEARANCE = frozenset(
    (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"eXIf")
)
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
MAX_PROFILE = 4_000_000
"""Bytes of an unpacked color profile. Those of printers have 3 MB."""
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE  # its limit for profiles, too, which is 1 MB
_MAX_UNPACKED = 600_000_000
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by the color type."""
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of Adam7: first column, first row, step across, step down."""
_PIECE = 65_536
_FILTERS = bytes(range(5))


class Chunk(NamedTuple):
    name: bytes
    begin: int
    """Of its length field."""
    end: int
    """Behind its checksum; beyond the end of the file if that is cut."""

    def body(self, data: bytes) -> bytes:
        return data[self.begin + 8 : self.end - 4]


class Header(NamedTuple):
    width: int
    height: int
    depth: int
    color: int
    compression: int
    filtering: int
    interlacing: int

    @property
    def passes(self) -> list[tuple[int, int, int, int]]:
        """Rows and bytes a row, with the byte of the filter, then first row and step, by pass."""
        bits = self.depth * _SAMPLES[self.color]
        found = []
        for left, top, across, down in _PASSES if self.interlacing else ((0, 0, 1, 1),):
            width, height = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if width > 0 and height > 0:
                found.append((height, 1 + (width * bits + 7) // 8, top, down))
        return found

    @property
    def length(self) -> int:
        """Of all pixels, unpacked, in bytes."""
        return sum(rows * stride for rows, stride, _, _ in self.passes)

    def has_filters(self, piece: bytes, offset: int) -> bool:
        """Returns whether every row that begins in a piece of the pixels has a filter.

        Behind damage few rows do, as their bytes are moved.
        """
        begin = 0
        for rows, stride, _, _ in self.passes:
            end = begin + rows * stride
            first = begin - offset if begin >= offset else (begin - offset) % stride
            filters = piece[first : max(0, end - offset) : stride]
            if filters.translate(None, delete=_FILTERS):
                return False
            begin = end
        return True


def appearance(data: bytes) -> bytes:
    """Returns a PNG without text, unknown chunks and damaged ones that it can do without.

    Text is not even unpacked: it may be large, or made to fill the memory.
    """
    found = list(chunks(data))
    kept = [one for one in found if _is_critical(one) or _is_kept(data, one)]
    if len(kept) == len(found):
        return data
    view = memoryview(data)
    return b"".join([_SIGNATURE, *(view[one.begin : one.end] for one in kept)])


def with_all_rows(data: bytes) -> tuple[bytes, int] | None:
    """Returns a damaged PNG as a sound one, and how many of its rows are whole, from the top.

    The others are filled up. Of an animation that is the still picture. None if its header is bad.
    """
    view, found = memoryview(data), list(chunks(data))
    if not found or found[0].name != b"IHDR" or found[0].end > len(data):
        return None
    header = Header._make(struct.unpack(">IIBBBBB", view[16:29]))
    if header.color not in _SAMPLES:
        return None
    if header.length > _MAX_UNPACKED:
        return None
    packed = [one for one in found if one.name == b"IDAT"]
    pixels, unpacked = _packed_again(_bodies(data, packed), header)
    if unpacked < header.length:
        # Damage may begin before it shows. A chunk that is cut has no checksum to ask.
        trusted = takewhile(lambda one: one.end > len(data) or is_sound(data, one), packed)
        pixels, unpacked = _packed_again(_bodies(data, list(trusted)), header)
    before = [
        view[one.begin : one.end]
        for one in found
        if one.end <= len(data) and one.name not in {b"IDAT", b"IEND", *_ANIMATION}
    ]
    sound = b"".join([_SIGNATURE, *before, _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")])
    return sound, _whole_rows(header, unpacked)


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yields the chunks up to the end of the picture, or to what is no chunk."""
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if not name.isalpha():
            return
        yield Chunk(name, at, at + 12 + length)
        if name == b"IEND":
            return
        at += 12 + length


def _is_critical(chunk: Chunk) -> bool:
    return chunk.name[:1].isupper()


def _is_kept(data: bytes, chunk: Chunk) -> bool:
    if chunk.name in _ANIMATION:
        return True
    if chunk.name not in _APPEARANCE or not is_sound(data, chunk):
        return False
    return chunk.name != b"iCCP" or _is_profile(chunk.body(data))


def is_sound(data: bytes, chunk: Chunk) -> bool:
    """Returns whether a chunk is all there and its checksum fits."""
    if chunk.end > len(data):
        return False
    (checksum,) = struct.unpack_from(">I", data, chunk.end - 4)
    return bool(zlib.crc32(memoryview(data)[chunk.begin + 4 : chunk.end - 4]) == checksum)


def _is_profile(body: bytes) -> bool:
    """Returns whether a color profile unpacks to what one may have."""
    _, _, packed = body.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


def _bodies(data: bytes, packed: list[Chunk]) -> list[memoryview]:
    view = memoryview(data)
    return [view[one.begin + 8 : one.end - 4] for one in packed]


def _packed_again(packed: list[memoryview], header: Header) -> tuple[bytes, int]:
    """Returns what is there of the pixels, filled up and packed, and how many bytes are there."""
    packing, there, length = zlib.compressobj(1), 0, header.length
    found: list[bytes] = []
    with suppress(zlib.error):
        for piece in _unpacked(packed):
            used = piece[: length - there]
            if not header.has_filters(used, there):
                break
            found.append(packing.compress(used))
            there += len(used)
            if there == length:
                break
    rest = range(there, length, _PIECE)
    found += [packing.compress(bytes(min(_PIECE, length - at))) for at in rest]
    found.append(packing.flush())
    return b"".join(found), there


def _unpacked(packed: list[memoryview]) -> Iterator[bytes]:
    """Yields the bytes of a zlib stream up to its end. Raises zlib.error where it is damaged."""
    unpacking = zlib.decompressobj()
    for body in packed:
        for at in range(0, len(body), _PIECE):
            piece, before = body[at : at + _PIECE], unpacking.copy()
            try:
                yield unpacking.decompress(piece)
            except zlib.error:
                # It may be behind the last pixel.
                for one in range(len(piece)):
                    yield before.decompress(piece[one : one + 1])
            if unpacking.eof:
                return


def _whole_rows(header: Header, there: int) -> int:
    """Returns how many rows from the top are whole, given so many bytes of the pixels."""
    whole = header.height
    for rows, stride, top, down in header.passes:
        there_of_pass = min(rows, there // stride)
        there = max(0, there - rows * stride)
        if there_of_pass < rows:
            whole = min(whole, top + there_of_pass * down)
    return whole


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(body)), name, body, struct.pack(">I", checksum)))
