"""Turns a picture upright by its EXIF orientation, by the rules of Chromium.

Browsers look in one place for each format, and there for one number of one type. What other
programs also believe (XMP, EXIF of WebP, EXIF after the pixels, other types) does not turn.
"""

import struct
from contextlib import suppress

from PIL import Image

from .png_chunks import chunks

# EXIF orientation -> the transposition that turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = [_TURNS[n] for n in (5, 6, 7, 8)]
TURNED_TO_END = [_TURNS[n] for n in (3, 4, 6, 7)]
"""Turns that bring the first rows to the bottom or the right."""

TAG = 0x0112
_SHORT = 3


def turn_of(image: Image.Image, data: bytes) -> Image.Transpose | None:
    """Returns what turns a picture, opened from `data`, upright; None if it is.

    TIFF and HEIC are turned while they are read. An AVIF file has boxes for it, which Pillow
    tells as if they were EXIF.
    """
    if image.format == "AVIF":
        return _TURNS.get(_told_by_reader(image))
    exif = b""
    if image.format == "JPEG":
        exif = _of_jpeg(image)
    elif image.format == "PNG":
        exif = _of_png(data)
    return _TURNS.get(orientation(exif) or 1)


def orientation(exif: bytes) -> int | None:
    """Returns the orientation in EXIF data, 1 to 8; None if there is none of the right type."""
    byte_order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if byte_order is None:
        return None
    with suppress(struct.error):  # it ends early
        (at,) = struct.unpack_from(f"{byte_order}I", exif, 4)
        (count,) = struct.unpack_from(f"{byte_order}H", exif, at)
        for number in range(count):
            entry = struct.unpack_from(f"{byte_order}HHIH", exif, at + 2 + 12 * number)
            if entry[:3] == (TAG, _SHORT, 1) and 1 <= entry[3] <= 8:
                return int(entry[3])
    return None


def _told_by_reader(image: Image.Image) -> int:
    exif = Image.Exif()
    with suppress(Exception):  # as in decode(); the picture itself is good
        exif.load(image.info.get("exif", b""))
        return int(exif.get(TAG, 1))
    return 1


def _of_jpeg(image: Image.Image) -> bytes:
    """Returns the first EXIF block."""
    segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
    # Chromium takes any byte before the data.
    blocks = (data[6:] for name, data in segments if name == "APP1" and data[:5] == b"Exif\0")
    return next(blocks, b"")


def _of_png(data: bytes) -> bytes:
    """Returns the first EXIF chunk before the pixels."""
    for one in chunks(data):
        if one.name == b"eXIf":
            return one.body(data)
        if one.name == b"IDAT":
            break
    return b""
