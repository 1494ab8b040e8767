"""Reads the texts of an EXIF block by Pillow's parser, which needs no pixels."""

import warnings
from contextlib import suppress

from PIL import Image

_MAIN = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x02BC: "XMLPacket",
}
_SUB = {
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISOSpeedRatings",
    0x9003: "DateTimeOriginal",
    0x927C: "MakerNote",
    0x9286: "UserComment",
}
_EXIF_IFD = 0x8769


def read_exif(block: bytes) -> dict[str, str]:
    """Returns the texts of a TIFF structure by their names; of numbers and notes, that they exist.

    Empty for a damaged block.
    """
    exif, found = Image.Exif(), {}
    # Broken structures make the parser raise nearly anything.
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        exif.load(b"Exif\0\0" + block)
        for number, name in _MAIN.items():
            if (value := exif.get(number)) is not None:
                found[name] = _text(value)
        sub = exif.get_ifd(_EXIF_IFD)
        for number, name in _SUB.items():
            if (value := sub.get(number)) is not None:
                found[name] = _comment(value) if name == "UserComment" else _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").rstrip("\0")
    return str(value).rstrip("\0")


def _comment(value: object) -> str:
    """Returns a UserComment, whose first eight bytes name its encoding."""
    if not isinstance(value, bytes):
        return _text(value)
    code, content = value[:8], value[8:]
    if code != b"UNICODE\0":
        is_named = code in (b"ASCII\0\0\0", b"\0" * 8)
        return _text(content if is_named else value)
    # Writers differ in the order of bytes; English text has its zeros on one side.
    order = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    return content.decode(order, "replace").rstrip("\0")
