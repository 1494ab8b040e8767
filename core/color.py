"""Turns decoded pixels of any mode, depth and color space into 8-bit sRGB, as browsers do."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from PIL import Image, ImageChops, ImageFile

from . import bmp_color, hdr, png_color
from .cicp import CicpSpace, in_heif
from .icc import Conversion, IccProfile, ProfileError
from .isobmff import properties

ColorSpace = CicpSpace | IccProfile
_SIMILAR = 12
"""Levels by which greys may change. Display P3 has 0, Adobe RGB 9, ProPhoto 19, linear light 73."""
_BAND_PIXELS = 4_000_000
"""So many are converted at once, as a large picture leaves no memory for a second one."""


def to_rgb(image: ImageFile.ImageFile, data: bytes) -> tuple[Image.Image, Conversion | None]:
    """Returns a loaded frame of the file `data` in 8-bit RGB. Transparent pixels become white.

    It is in sRGB unless there is a conversion to it, which may be done when it is reduced.
    """
    shallow = _in_8_bits(image)
    convert = _conversion(_spaces(image, data), shallow.mode)
    if convert is None:
        return _on_white(shallow), None
    # Not of palettes, whose pixels are often dithered: their means are what differs most.
    if image.mode == shallow.mode == "RGB" and _has_similar_curve(convert):
        return shallow, lambda image: _in_bands(image, convert)
    if (image.format, shallow.mode) == ("JPEG", "CMYK"):
        return _in_bands(shallow, lambda band: convert(_without_black(band))), None
    return _in_bands(shallow, lambda band: _on_white(convert(band))), None


def _in_bands(image: Image.Image, convert: Conversion) -> Image.Image:
    """Returns an image converted to RGB, without a second one of its size in another mode."""
    rgb = Image.new("RGB", image.size)
    for box in _bands(image.size):
        rgb.paste(convert(image.crop(box)), box)
    return rgb


def _has_similar_curve(convert: Conversion) -> bool:
    """Returns whether greys hardly change, so that means of pixels hardly do."""
    greys = Image.linear_gradient("L").crop((0, 0, 1, 256)).convert("RGB")
    apart = ImageChops.difference(greys, convert(greys))
    return bool(np.asarray(apart).max() <= _SIMILAR)


def _bands(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    width, height = size
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(height, top + rows)


def _spaces(image: ImageFile.ImageFile, data: bytes) -> Iterator[ColorSpace | None]:
    """Yields the color spaces that a file names: the first that is sound counts. None is sRGB."""
    icc = image.info.get("icc_profile")
    if image.format == "BMP":
        icc = bmp_color.profile(data)
    if image.format == "PNG":
        yield from png_color.spaces(data, icc)
    elif icc:
        yield IccProfile(icc)
    if image.format in ("AVIF", "HEIF"):
        yield from _nclx(data)


def _nclx(data: bytes) -> Iterator[ColorSpace]:
    peak_nits = hdr.DEFAULT_PEAK_NITS
    found = properties(data)
    with suppress(struct.error):
        for name, body in found:
            if name == b"clli":
                peak_nits = struct.unpack_from(">H", body)[0] or peak_nits
        for name, body in found:
            if name == b"colr" and body.startswith(b"nclx"):
                primaries, transfer = struct.unpack_from(">HH", body, 4)
                yield in_heif(primaries, transfer, peak_nits)


def _conversion(spaces: Iterable[ColorSpace | None], mode: str) -> Conversion | None:
    """Returns the conversion from the first color space that is sound; None if nothing changes."""
    for space in spaces:
        with suppress(ProfileError):
            return None if space is None else space.conversion(mode)
    return None


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Returns an image of mode L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        return _from_16_bits(image)
    _shorten_transparency(image)
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("L", "LA") else "RGBA"
    else:
        mode = {"1": "L", "L": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    return image if image.mode == mode else image.convert(mode)


def _without_black(ink: Image.Image) -> Image.Image:
    """Returns CMYK with black printed in the three colors.

    Chromium hands JPEGs to their profile so; dark pictures look paler than in print for it.
    """
    *colors, black = ink.split()
    mixed = [ImageChops.screen(color, black) for color in colors]
    return Image.merge("CMYK", [*mixed, Image.new("L", ink.size)])


def _shorten_transparency(image: Image.Image) -> None:
    """Takes the high bytes of the transparent color of 16-bit RGB, too."""
    color = image.info.get("transparency")
    if isinstance(color, tuple) and max(color) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in color)


def _from_16_bits(image: Image.Image) -> Image.Image:
    # convert() would clip all values above 255. Pillow takes the high byte of 16-bit RGB, too.
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(values != transparent).convert("L"))
    return grey


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
