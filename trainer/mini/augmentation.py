"""Views of a picture: as the detector sees it, and as it might look after a trip through the web.

Every view ends as a square of the same size. What happens on the way is drawn without looking at
the label, so neither label, format nor size of a file reaches the model.
"""

import io
import random

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from PIL.Image import Resampling

from antifake.core.errors import UnreadableImageError
from antifake.core.images import decode, whole
from antifake.core.pixels import Pixels


def plain_view(data: bytes, size: int = 224) -> Pixels:
    """Returns the crop that the detector judges, uint8 [size, size, 3]."""
    return decode(data, size).crop


def augmented_view(data: bytes, seed: str, size: int = 224) -> Pixels:
    """Returns a randomly changed view, uint8 [size, size, 3]. The same seed gives the same view."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    image = whole(data)
    if draw.random() < 0.5:
        image = ImageOps.mirror(image)
    if draw.random() < 0.8:
        image = _cropped(image, draw)
    if draw.random() < 0.25:
        scale = draw.uniform(0.5, 0.95)
        how = draw.choice((Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS))
        image = image.resize((int(image.width * scale), int(image.height * scale)), how)
    if draw.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(draw.uniform(0.3, 1.1)))
    if draw.random() < 0.15:
        image = _noisy(image, draw)
    quality = draw.randint(40, 95) if draw.random() < 0.5 else 100
    kind = "JPEG" if draw.random() < 0.7 else "WEBP"
    buffer = io.BytesIO()
    image.save(buffer, kind if quality < 100 else "PNG", quality=quality)
    try:
        return decode(buffer.getvalue(), size).crop
    except UnreadableImageError:
        # The random crop may show a single colour, which is refused as blank.
        return plain_view(data, size)


def _cropped(image: Image.Image, draw: random.Random) -> Image.Image:
    area = image.width * image.height * draw.uniform(0.4, 1)
    shape = 2 ** draw.uniform(-0.2, 0.2)
    width = min(image.width, int((area * shape) ** 0.5))
    height = min(image.height, int((area / shape) ** 0.5))
    left = draw.randint(0, image.width - width)
    top = draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _noisy(image: Image.Image, draw: random.Random) -> Image.Image:
    noise = np.random.default_rng(draw.randrange(2**31))
    pixels = np.asarray(image, np.float64)
    noisy = pixels + noise.normal(0, draw.uniform(1, 6), pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
