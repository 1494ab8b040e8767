"""ICC profiles: converts pixels to sRGB by them, and builds them from primaries and a curve.

LittleCMS converts, with the tables that skcms takes for browsers: perceptual ones where a profile
has several, and no compensation of the black point.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

MAX_BYTES = 16_000_000
"""Profiles of printers with fine tables have 2 to 10 MB."""
_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}
_WIDER = {"L": "RGB", "LA": "RGBA"}
"""Grey pixels may have a profile of colors."""
_TAGS = 132
"""Where the table of tags begins, behind their number."""
_MAX_TAGS = 100
"""LittleCMS reads no profile with more."""
_D50 = 0.9642, 1.0, 0.8249
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

Matrix = np.ndarray[Any, np.dtype[np.floating[Any]]]
"""[3, 3], or a row or a column of it."""
Primaries = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue, in the order of a PNG's cHRM."""
Curve = tuple[float, float, float, float, float]
"""(g, a, b, c, d): the light of a value x is (ax + b)^g, or cx below d."""

Conversion = Callable[[Image.Image], Image.Image]

SRGB_PRIMARIES: Primaries = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


class ProfileError(ValueError):
    """A profile is broken, too large, or for other pixels. Its text is a word about which."""


@dataclass(frozen=True)
class IccProfile:
    """A color space that an ICC profile describes."""

    data: bytes

    def conversion(self, mode: str) -> Conversion | None:
        """Returns what turns L, LA, RGB, RGBA or CMYK into RGB, or RGBA if there is alpha.

        None if that would change nothing. Raises ProfileError.
        """
        if len(self.data) > MAX_BYTES:
            raise ProfileError("size")
        space = self.data[16:20].decode("latin-1")
        if mode in _WIDER and space == "RGB ":
            return _after_convert(_WIDER[mode], _transform(self.data, _WIDER[mode]))
        if space != _SPACES.get(mode):
            raise ProfileError("pixels")
        if mode == "LA":
            return _beside_alpha(_transform(self.data, "L"))
        return _transform(self.data, mode)


def _after_convert(mode: str, apply: Conversion | None) -> Conversion | None:
    return None if apply is None else lambda image: apply(image.convert(mode))


def _beside_alpha(apply: Conversion | None) -> Conversion | None:
    if apply is None:
        return None

    def converted(image: Image.Image) -> Image.Image:
        rgb = apply(image.getchannel("L"))
        rgb.putalpha(image.getchannel("A"))
        return rgb

    return converted


@lru_cache(maxsize=4)
def _transform(data: bytes, mode: str) -> Conversion | None:
    from PIL import ImageCms  # noqa: PLC0415 - few pictures need it

    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(BytesIO(_without_float_tables(data))),
            ImageCms.ImageCmsProfile(BytesIO(matrix_profile(SRGB_PRIMARIES, SRGB_CURVE))),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            ImageCms.Intent.PERCEPTUAL,
            flags=ImageCms.Flags.NOWHITEONWHITEFIXUP,
        )
    except (OSError, ValueError, ImageCms.PyCMSError) as error:
        raise ProfileError("broken") from error
    return None if _changes_nothing(transform.apply, mode) else transform.apply


def _without_float_tables(data: bytes) -> bytes:
    """Returns a profile without the tables of floating numbers that ICC 4.3 has added.

    Browsers pass over them. In a few bytes they may ask for 65,535 steps for each pixel.
    """
    found = bytearray(data)
    count = int.from_bytes(data[_TAGS - 4 : _TAGS], "big")
    for at in range(_TAGS, _TAGS + 12 * min(count, _MAX_TAGS), 12):
        if data[at : at + 3] in (b"D2B", b"B2D"):
            found[at : at + 4] = b"none"
    return bytes(found)


def _changes_nothing(conversion: Conversion, mode: str) -> bool:
    """Returns whether colors all over the cube stay within a level."""
    if mode == "CMYK":
        return False
    probe = _probe().convert(mode)
    after, before = conversion(probe).convert("RGB"), probe.convert("RGB")
    return bool(np.abs(np.asarray(after, np.int16) - np.asarray(before)).max() <= 1)


@lru_cache(maxsize=1)
def _probe() -> Image.Image:
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
    return Image.fromarray(cube.reshape(18, -1, 3))


# --- Building -----------------------------------------------------------------------------


def matrix_profile(primaries: Primaries, curve: Curve) -> bytes:
    """Returns a profile of an RGB display. Raises ProfileError if the primaries are in a line."""
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, _colorants(primaries).T), strict=True))
    tags[b"wtpt"] = _xyz(np.array(_D50))
    parametric = b"para" + struct.pack(">4xHxx", 3) + _fixed(*curve)
    return _packed(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), parametric))


def _packed(tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x",
        start + len(body),
        0x02400000,  # version 2: LittleCMS moves the black point of those of version 4
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        _fixed(*_D50),
    )
    return header + table + body


def _xyz(value: Matrix) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*value)


def _fixed(*values: float) -> bytes:
    """Returns numbers as s15Fixed16."""
    try:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
    except (struct.error, ValueError, OverflowError) as error:
        raise ProfileError("range") from error


def rgb_to_xyz(primaries: Primaries) -> Matrix:
    """Returns the matrix [3, 3] from linear light to XYZ, at the white of the primaries.

    Raises ProfileError.
    """
    x, y = np.array(primaries).reshape(4, 2).T
    if y[0] <= 0:
        raise ProfileError("white")
    white, *rest = np.stack([x, y, 1 - x - y], axis=1)
    colors = np.stack(rest, axis=1)
    try:
        found: Matrix = colors * np.linalg.solve(colors, white / y[0])
    except np.linalg.LinAlgError as error:
        raise ProfileError("primaries") from error
    return found


def _colorants(primaries: Primaries) -> Matrix:
    """Returns the columns XYZ of red, green and blue, adapted to the white of profiles, D50."""
    matrix = rgb_to_xyz(primaries)
    seen, wanted = _BRADFORD @ matrix.sum(axis=1), _BRADFORD @ np.array(_D50)
    adapted: Matrix = np.linalg.inv(_BRADFORD) @ np.diag(wanted / seen) @ _BRADFORD @ matrix
    return adapted
