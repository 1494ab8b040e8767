"""Refuses pictures that show nothing: one colour or random noise."""

import numpy as np
from PIL import Image, ImageStat

from .errors import UnreadableImageError
from .i18n import _
from .parts import Box
from .pixels import Grey

Square = tuple[Box, Image.Image]


def with_content(image: Image.Image, found: list[Square]) -> list[Square]:
    """Returns the squares that are not blank. Raises UnreadableImageError if there is none."""
    found = [(box, square) for box, square in found if not is_blank(square)]
    if not found:
        raise UnreadableImageError(
            _("This picture shows nothing but one colour, so there is nothing to check."), "blank"
        )
    if all(_is_noise(image, box, square) for box, square in found):
        raise UnreadableImageError(
            _("This picture is nothing but random noise, so there is nothing to check."), "noise"
        )
    return found


def is_blank(square: Image.Image) -> bool:
    return max(ImageStat.Stat(square).stddev) < 1


def _is_noise(image: Image.Image, box: Box, square: Image.Image) -> bool:
    """Returns whether neighbouring pixels are unrelated and there is no structure on a large scale.

    The first alone is true of a grainy night sky and some dithering, the second alone of sand
    and grass.
    """
    middle = _middle(image, box)
    # The square of a small picture is enlarged, so its noise is not that of single pixels.
    coarse = middle if min(image.size) < min(square.size) else square
    return _neighbours(_grey(middle)) < 0.2 and _structure(_grey(coarse)) < 3


def _grey(image: Image.Image) -> Grey:
    return np.asarray(image.convert("L"), np.float32)


def _middle(image: Image.Image, box: Box) -> Image.Image:
    """Returns the central 256 x 256 pixels of a part, as in the file; the square has averages."""
    across = int(image.width * (box.left + box.width / 2))
    down = int(image.height * (box.top + box.height / 2))
    left, top = max(0, across - 128), max(0, down - 128)
    return image.crop((left, top, min(image.width, left + 256), min(image.height, top + 256)))


def _neighbours(grey: Grey) -> float:
    """Returns the larger correlation of pixels [H, W] with right or lower neighbours; noise: 0."""
    grey = grey - grey.mean()
    right = abs(float((grey[:, 1:] * grey[:, :-1]).mean()))
    below = abs(float((grey[1:] * grey[:-1]).mean()))
    return max(right, below) / (float(grey.var()) or 1.0)


def _structure(grey: Grey) -> float:
    """Returns the variance of 8 x 8 block means of [H, W], relative to noise (about 1)."""
    rows, columns = grey.shape[0] // 8, grey.shape[1] // 8
    blocks = grey[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).mean(axis=(1, 3))
    return float(blocks.var() * 64 / (grey.var() or 1.0))
