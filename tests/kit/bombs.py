"""Small files that ask for far more memory or work than they have bytes, by format.

What test_evidence_hostile.py, test_tiff.py and test_truncation.py make themselves is not here.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kit.iso_bombs import LARGE, iso_bombs
from kit.iso_files import Item, Kind, box, coded, iso_file
from kit.pictures import chunk, picture, saved
from kit.profile_bombs import EXIF, PROFILES, Bombs, looped_exif, piled_exif
from PIL import Image

# --- PNG ------------------------------------------------------------------------------------


def png_with(*chunks: bytes) -> bytes:
    data = saved(picture(1), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def _large_png() -> bytes:
    header = struct.pack(">IIBBBBB", LARGE, LARGE, 16, 6, 0, 0, 1)
    rows = zlib.compress(bytes(LARGE * (8 * LARGE + 1) + 8 * LARGE), 1)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PNG: Bombs = {
    "64 megapixels of 64 bits": _large_png,
    "pixels behind 100,000 empty chunks": lambda: png_with(*[chunk(b"IDAT", b"")] * 100_000),
}


# --- WebP ----------------------------------------------------------------------------------


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _canvas(flags: int, side: int) -> bytes:
    size = struct.pack("<I", side - 1)[:3]
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + 2 * size)


def _inner(image: Image.Image) -> bytes:
    """Returns the chunk of a picture."""
    return saved(image, "WEBP")[12:]


def _animation(side: int, *frames: bytes) -> bytes:
    return webp(_canvas(2, side), webp_chunk(b"ANIM", bytes(6)), *frames)


def _frame(data: bytes, side: int = 1) -> bytes:
    size = struct.pack("<I", side - 1)[:3]
    return webp_chunk(b"ANMF", bytes(6) + 2 * size + b"\1\0\0\0" + data)


def _dot() -> bytes:
    return _frame(_inner(Image.new("RGB", (1, 1), "red")))


WEBP: Bombs = {
    "a canvas of 2^24 pixels": lambda: _animation(2**24, _dot()),
    "a canvas of 16,384 pixels": lambda: _animation(16_384, _dot()),
    "two dots on 64 megapixels": lambda: _animation(LARGE, _dot(), _dot()),
    "200,000 frames": lambda: _animation(96, _frame(_inner(picture(1)), 96), *[_dot()] * 200_000),
    "a million empty chunks": lambda: webp(
        _canvas(0, 96), _inner(picture(1)), b"JUNK\0\0\0\0" * 10**6
    ),
    "64 megapixels of one color": lambda: saved(
        Image.new("RGBA", (LARGE, LARGE)), "WEBP", lossless=True
    ),
}


# --- BMP, ICO, GIF, TIFF --------------------------------------------------------------------


def bmp(
    side: int = 96, *, size: int = 40, depth: int = 8, packing: int = 0, colors: int = 0,
    body: bytes = b"",
) -> bytes:  # fmt: skip
    header = struct.pack("<IiiHHIIiiII", size, side, side, 1, depth, packing, 0, 0, 0, colors, 0)
    header = header.ljust(min(size, 10**7), b"\0")
    file = struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header))
    return b"BM" + file + header + body


_PALETTE = bytes(1024)
BMP: Bombs = {
    "a header of 2^32 - 1 bytes": lambda: bmp(size=2**32 - 1),
    "a header of 10 MB": lambda: bmp(size=10**7),
    "2^31 colors": lambda: bmp(depth=1, colors=2**31),
    "64 megapixels that are not there": lambda: bmp(LARGE, depth=1),
    "jumps of no pixels": lambda: bmp(4000, packing=1, body=_PALETTE + b"\0\2\0\0" * 300_000),
    "jumps beyond the picture": lambda: bmp(packing=1, body=_PALETTE + b"\0\2\xff\xff" * 300_000),
    "jumps for OS/2": lambda: bmp(
        LARGE, size=64, packing=1, body=_PALETTE + b"\0\2\xff\xff" * 100_000
    ),
}
_ENTRY = "<BBBBHHII"
ICO: Bombs = {
    "65,535 pictures": lambda: (
        b"\0\0\1\0\xff\xff" + struct.pack(_ENTRY, 0, 0, 0, 0, 1, 32, 1000, 6) * 65_535
    ),
    "an icon in itself": lambda: b"\0\0\1\0\1\0" + struct.pack(_ENTRY, 0, 0, 0, 0, 1, 32, 22, 0),
    "2^32 - 1 bytes": lambda: (
        b"\0\0\1\0\1\0" + struct.pack(_ENTRY, 0, 0, 0, 0, 1, 32, 2**32 - 1, 2**32 - 1)
    ),
}


def _gif_with(extensions: bytes) -> bytes:
    data = saved(picture(1), "GIF")
    at = 13 + 3 * 256
    return data[:at] + extensions + data[at:]


def _pages(n: int) -> bytes:
    """Returns a TIFF whose later pages have one field each."""
    data = saved(picture(1).convert("L"), "TIFF")
    (first,) = struct.unpack_from("<I", data, 4)
    end = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    at = len(data)
    pages = (
        struct.pack("<HHHIII", 1, 0x8000, 3, 1, 0, at + 18 * (one + 1) if one < n - 1 else 0)
        for one in range(n)
    )
    return data[:end] + struct.pack("<I", at) + data[end + 4 :] + b"".join(pages)


GIF: Bombs = {
    "a frame of 65,535 pixels": lambda: (
        b"GIF89a"
        + struct.pack("<HHBBB", 96, 96, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
        + b"\2\2\x44\1\0;"
    ),
    "20 MB of comment": lambda: _gif_with(b"!\xfe" + (b"\xff" + b"a" * 255) * 80_000 + b"\0"),
    "300,000 comments": lambda: _gif_with(b"!\xfe\1a\0" * 300_000),
}
TIFF: Bombs = {
    "20,000 pages": lambda: _pages(20_000),
    "4,000 fields of 10 MB": lambda: piled_exif(4_000, 10**7),
    "pages in a ring": looped_exif,
}


# --- All --------------------------------------------------------------------------------------


def with_profile(kind: str, icc: bytes) -> bytes:
    """Returns a small picture of some format with a color profile."""
    if kind in ("AVIF", "HEIF"):
        of: Kind = "AVIF" if kind == "AVIF" else "HEIF"
        item = coded(of)
        properties = (*item.properties, box(b"colr", b"prof", icc))
        return iso_file(of, [replace(item, properties=properties)])
    return saved(picture(1), kind, icc_profile=icc)


def _jpeg_with_exif(block: bytes) -> bytes:
    """In as many segments as it takes, and with no density but that in them."""
    data = saved(picture(1), "JPEG")
    end = 4 + int.from_bytes(data[4:6], "big")
    parts = (b"Exif\0\0" + block[at : at + 65_000] for at in range(0, len(block), 65_000))
    segments = (b"\xff\xe1" + struct.pack(">H", len(one) + 2) + one for one in parts)
    return data[:2] + b"".join(segments) + data[end:]


def with_exif(kind: str, block: bytes) -> bytes:
    if kind == "JPEG":
        return _jpeg_with_exif(block)
    if kind == "PNG":
        return png_with(chunk(b"eXIf", block))
    if kind == "WEBP":
        return webp(_canvas(8, 96), _inner(picture(1)), webp_chunk(b"EXIF", block))
    of: Kind = "AVIF" if kind == "AVIF" else "HEIF"
    item = Item(b"Exif", bytes(4) + block, refs={b"cdsc": [1]})
    return iso_file(of, [coded(of), item])


def bombs() -> Bombs:
    """Returns all of them. Each begins with the name of its format."""
    found: Bombs = {}
    of_formats = {
        "PNG": PNG, "WebP": WEBP, "BMP": BMP, "ICO": ICO, "GIF": GIF, "TIFF": TIFF,
        "AVIF": iso_bombs("AVIF"), "HEIC": iso_bombs("HEIF"),
    }  # fmt: skip
    for name, some in of_formats.items():
        found |= {f"{name}: {what}": make for what, make in some.items()}
    for what, make_profile in PROFILES.items():
        found[f"PNG, ICC: {what}"] = partial(_made, with_profile, "PNG", make_profile)
    for kind in ("JPEG", "WEBP", "TIFF", "AVIF", "HEIF"):
        for what in ("a table of 60,000 steps", "a curve of 2^31 entries"):
            found[f"{kind}, ICC: {what}"] = partial(_made, with_profile, kind, PROFILES[what])
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        for what, make_exif in EXIF.items():
            found[f"{kind}, EXIF: {what}"] = partial(_made, with_exif, kind, make_exif)
    return found


def _made(into: Callable[[str, bytes], bytes], kind: str, make: Callable[[], bytes]) -> bytes:
    return into(kind, make())
