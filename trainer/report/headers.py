"""Metadata of a picture file, read without decoding a pixel.

A few lines for each format read it, and no codec, so a hostile file can do no harm here. At most
the first 256 KB are read. What is not understood counts as missing.
"""

import math
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CAP = 256 * 1024
UNKNOWN = math.nan


@dataclass
class Header:
    """Metadata of a file. Numbers are NaN where the file does not have them."""

    format: str = ""
    n_bytes: float = UNKNOWN
    width: float = UNKNOWN
    height: float = UNKNOWN
    has_exif: bool = False
    has_icc: bool = False
    quantisation: float = UNKNOWN
    """Sum of a JPEG's quantisation tables. A coarser JPEG has a larger one."""


def read_header(path: Path) -> Header:
    """Reads the header of a file. Never raises, even if the file is missing."""
    try:
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            data = file.read(CAP)
    except OSError:
        return Header()
    header = parse_header(data)
    header.n_bytes = n_bytes
    return header


def parse_header(data: bytes) -> Header:
    """Returns the header of a file that starts with `data`, without its length."""
    for magic, at, name, parse in _FORMATS:
        if data[at : at + len(magic)] == magic:
            header = Header(name)
            # Keeps what was found before the data ended or made no sense.
            with suppress(struct.error, IndexError):
                parse(data, header)
            return header
    return Header()


def _jpeg(data: bytes, header: Header) -> None:
    at = 2
    while data[at] == 0xFF and (marker := data[at + 1]) != 0xDA:  # DA: the scan begins
        length = struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + length]
        if marker == 0xDB:
            header.quantisation = _table_sum(body) + (
                0 if math.isnan(header.quantisation) else header.quantisation
            )
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            header.height, header.width = struct.unpack_from(">HH", body, 1)
        header.has_exif |= marker == 0xE1 and body.startswith(b"Exif")
        header.has_icc |= marker == 0xE2 and body.startswith(b"ICC_PROFILE")
        at += 2 + length


def _table_sum(body: bytes) -> int:
    """Returns the sum of all tables in a segment: a byte with their width, then 64 numbers."""
    total = at = 0
    while at < len(body):
        is_wide = body[at] >> 4
        total += sum(struct.unpack_from(">64H" if is_wide else ">64B", body, at + 1))
        at += 129 if is_wide else 65
    return total


def _png(data: bytes, header: Header) -> None:
    header.width, header.height = struct.unpack_from(">II", data, 16)
    at, name = 8, b""
    while name != b"IDAT":
        length, name = struct.unpack_from(">I4s", data, at)
        header.has_exif |= name == b"eXIf"
        header.has_icc |= name == b"iCCP"
        at += 12 + length


def _webp(data: bytes, header: Header) -> None:
    kind = data[12:16]
    if kind == b"VP8X":
        header.has_icc, header.has_exif = bool(data[20] & 0x20), bool(data[20] & 0x08)
        header.width = 1 + int.from_bytes(data[24:27], "little")
        header.height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        header.width, header.height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        header.width, header.height = width & 0x3FFF, height & 0x3FFF


def _gif(data: bytes, header: Header) -> None:
    header.width, header.height = struct.unpack_from("<HH", data, 6)


def _bmp(data: bytes, header: Header) -> None:
    width, height = struct.unpack_from("<ii", data, 18)
    header.width, header.height = width, abs(height)


def _tiff(_data: bytes, _header: Header) -> None:
    """Reads nothing: the directory may be anywhere in the file."""


def _iso(data: bytes, header: Header) -> None:
    """Reads AVIF and HEIC: the size of the first item, found by its box's name."""
    header.has_exif, header.has_icc = b"Exif" in data, b"colrprof" in data
    if (at := data.find(b"ispe")) >= 0:
        header.width, header.height = struct.unpack_from(">II", data, at + 8)


_FORMATS: list[tuple[bytes, int, str, Callable[[bytes, Header], None]]] = [
    (b"\xff\xd8\xff", 0, "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, "PNG", _png),
    (b"WEBP", 8, "WEBP", _webp),
    (b"GIF8", 0, "GIF", _gif),
    (b"BM", 0, "BMP", _bmp),
    (b"II", 0, "TIFF", _tiff),
    (b"MM", 0, "TIFF", _tiff),
    (b"ftypavif", 4, "AVIF", _iso),
    (b"ftyp", 4, "HEIF", _iso),
]
FORMATS = ("", *dict.fromkeys(name for _, _, name, _ in _FORMATS))
