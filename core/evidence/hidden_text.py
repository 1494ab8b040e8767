"""Reads the text that some generators hide in the lowest bits of a picture's transparency.

From the top of the first column downwards, then column by column: a name of 15 characters, the
number of bits that follow (32 bits, the highest first), and the text in UTF-8, or compressed by
gzip. NovelAI and the extension "stealth pnginfo" of Stable Diffusion WebUI write so. Only PNG and
WebP keep it. A whole picture is decoded only if its first column begins with the name.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from antifake.core.file_formats import opened
from antifake.core.png_chunks import chunks
from antifake.core.upright import MAX_PIXELS

_NAMES = {b"stealth_pnginfo": False, b"stealth_pngcomp": True}
"""And whether the text is compressed."""
_NAME_BITS = 8 * 15
_HEAD_BITS = _NAME_BITS + 32
MAX_PACKED = 262_144
MAX_TEXT = 262_144
"""Bytes of the text, also when it is unpacked."""
_RGBA, _RGBA_BYTES = 6, 4
_END_OF_HEADER = 29
_PLACES = ("parameters", "Comment", "Software", "Source", "Description")


def hidden_text(data: bytes) -> Iterator[tuple[str, str]]:
    """Yields place and text, as if each were in a chunk of a PNG; nothing if none is hidden."""
    bits = _alpha_bits(data)
    text = None if bits is None else _text(bits)
    if text is None:
        return
    try:
        found = json.loads(text, parse_int=float) if text.startswith("{") else None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and "Comment" in found:  # NovelAI hides all its chunks so
        named = [(name, found[name]) for name in _PLACES if isinstance(found.get(name), str)]
        yield from ((f"PNG {name}", value) for name, value in named)
    else:
        yield "PNG parameters", text
        yield "PNG Comment", text


def _alpha_bits(data: bytes) -> np.ndarray | None:
    """Returns the lowest bits of alpha, column by column; None if they begin with no name."""
    is_png = data.startswith(b"\x89PNG\r\n\x1a\n")
    if is_png and not _may_begin_with_name(data):
        return None
    if not is_png and not _is_lossless_webp(data):
        return None
    # A damaged file makes codecs raise nearly anything, and hides nothing that can be read.
    with suppress(Exception):
        image = opened(data, "PNG" if is_png else "WEBP")
        if image.mode == "RGBA" and image.width * image.height <= MAX_PIXELS:
            return (np.asarray(image.getchannel("A")) & 1).T.reshape(-1)
    return None


def _is_lossless_webp(data: bytes) -> bool:
    """Whether it is a WebP with alpha whose pixels are as they were written."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and b"VP8L" in data[12:65_536]


def _may_begin_with_name(data: bytes) -> bool:
    """Whether the first column of a PNG begins with a name, for which few rows are unpacked.

    In the first column every filter but None and Sub takes the pixel above as its prediction,
    Average half of it (PNG specification, 3rd edition, 9.2).
    """
    if len(data) < _END_OF_HEADER:
        return False
    width, height, depth, color, _, _, interlacing = struct.unpack_from(">IIBBBBB", data, 16)
    if (depth, color) != (8, _RGBA):
        return False
    if interlacing or height < _NAME_BITS:
        return True  # it takes other columns, and such pictures are small or rare
    stride = 1 + _RGBA_BYTES * width
    rows = _first_bytes(data, stride * _NAME_BITS)
    above, bits = 0, []
    for at in range(0, len(rows) - stride + 1, stride):
        how, raw = rows[at], rows[at + _RGBA_BYTES]
        above = (raw + (0 if how < 2 else above // 2 if how == 3 else above)) & 255
        bits.append(above & 1)
    return len(bits) == _NAME_BITS and np.packbits(bits).tobytes() in _NAMES


def _first_bytes(data: bytes, n_bytes: int) -> bytes:
    """Returns the beginning of a PNG's unpacked pixels, at most so many bytes."""
    unpacking, found = zlib.decompressobj(), bytearray()
    with suppress(zlib.error):
        for one in chunks(data):
            if len(found) >= n_bytes:
                break
            if one.name == b"IDAT":
                found += unpacking.decompress(one.body(data), n_bytes - len(found))
    return bytes(found)


def _text(bits: np.ndarray) -> str | None:
    if len(bits) < _HEAD_BITS:
        return None
    head = np.packbits(bits[:_HEAD_BITS]).tobytes()
    is_packed = _NAMES.get(head[:15])
    (n_bits,) = struct.unpack(">I", head[15:])
    if is_packed is None or n_bits > min(8 * MAX_PACKED, len(bits) - _HEAD_BITS):
        return None
    content = np.packbits(bits[_HEAD_BITS : _HEAD_BITS + n_bits]).tobytes()
    if is_packed:
        try:
            content = zlib.decompressobj(31).decompress(content, MAX_TEXT)
        except zlib.error:
            return None
    return content.decode("utf-8", "replace")
