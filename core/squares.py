"""Cuts the squares out of a picture that the model sees."""

import math
from collections.abc import Iterator

from PIL import Image

from .layout import pictures_on
from .parts import WIDE, Box

_MOST_STEP = 0.75
"""Squares overlap by at least a quarter, so that nothing is seen at an edge only."""
_BICUBIC = Image.Resampling.BICUBIC


def squares(image: Image.Image, size: int, most: int) -> Iterator[tuple[Box, Image.Image]]:
    """Yields at most `most` squares of an upright RGB image, size x size, with where they are.

    The middle comes first, the rest of the longer side follows, and then the pictures on it.
    """
    yield _middle_box(image), centre_square(image, size)
    along = _along(Box(0, 0, 1, 1), image.size, most - 1)
    for box in [*along, *_on_page(image, most - 1 - len(along))]:
        yield box, _cut(image, box, size)


def _on_page(image: Image.Image, most: int) -> list[Box]:
    """Returns the squares of the pictures on a page: the middle of each, before their ends."""
    found = pictures_on(image)[: max(0, most)]
    middles = [_square(box, image.size, 0.5) for box in found]
    ends = [end for box in found for end in _along(box, image.size, most)]
    return [*middles, *ends][: max(0, most)]


def _along(region: Box, size: tuple[int, int], most: int) -> list[Box]:
    """Returns squares along the longer side of a region, without the one in its middle."""
    width, height = region.width * size[0], region.height * size[1]
    ratio = max(width, height) / min(width, height)
    if ratio <= WIDE:
        return []
    n = max(2, math.ceil((ratio - 1) / _MOST_STEP))
    n = min(n + n % 2, most - most % 2)  # as many before the middle as after it
    return [_square(region, size, at / n) for at in range(n + 1) if 2 * at != n]


def _square(region: Box, size: tuple[int, int], at: float) -> Box:
    """Returns the square at 0 (left or top) .. 1 (right or bottom) along a region's longer side."""
    side = min(region.width * size[0], region.height * size[1])
    width, height = side / size[0], side / size[1]
    return Box(
        region.left + at * max(0.0, region.width - width),
        region.top + at * max(0.0, region.height - height),
        min(width, region.width),
        min(height, region.height),
    )


def _cut(image: Image.Image, box: Box, size: int) -> Image.Image:
    left, top = box.left * image.width, box.top * image.height
    right = min(float(image.width), left + box.width * image.width)
    bottom = min(float(image.height), top + box.height * image.height)
    return image.resize((size, size), _BICUBIC, (left, top, right, bottom))


def _middle_box(image: Image.Image) -> Box:
    return _square(Box(0, 0, 1, 1), image.size, 0.5)


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """Returns the middle of an image, size x size. Training and the paper see nothing else."""
    image = resized_to(image, size)
    width, height = image.size
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def resized_to(image: Image.Image, size: int) -> Image.Image:
    """Resizes the shorter side to `size`, bicubic, as the paper's evaluation does.

    Its rounding is kept to the pixel; resize(box=...) would be faster but differ.
    """
    image = _without_far_ends(image)
    width, height = image.size
    if width < height:
        width, height = size, int(size * height / width)
    else:
        width, height = int(size * width / height), size
    return image.resize((width, height), _BICUBIC)


def _without_far_ends(image: Image.Image) -> Image.Image:
    """Crops a very long picture to its middle: 64 x 900,000 must not become 224 x 3,150,000."""
    width, height = image.size
    short = min(image.size)
    if max(image.size) <= 8 * short:
        return image
    across, down = min(width, 2 * short), min(height, 2 * short)
    left, top = (width - across) // 2, (height - down) // 2
    return image.crop((left, top, left + across, top + down))
