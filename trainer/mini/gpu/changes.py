"""What happens to pictures on their way through the web, drawn without looking at the label."""

import io
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from PIL.Image import Resampling

Draw = random.Random
LARGEST = 640
"""No change makes a side longer, in pixels."""

_FILTERS = (Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS, Resampling.BOX)


def changed(image: Image.Image, draw: Draw, side: int) -> np.ndarray:
    """Returns a changed view of an RGB picture, uint8 [side, side, 3]."""
    image = _part(image, draw, side)
    for change in draw.sample(_CHANGES, draw.choice((0, 1, 1, 2, 2, 3))):
        image = change(image, draw)
    return square(image, side)


def square(image: Image.Image, side: int) -> np.ndarray:
    """Returns the centre square, scaled to [side, side, 3], uint8."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    scaled = image.resize((side, side), Resampling.BICUBIC, box=box)
    return np.asarray(scaled, np.uint8)


def _part(image: Image.Image, draw: Draw, side: int) -> Image.Image:
    """Returns most of the picture, or a part of about `side` pixels at its native scale."""
    if draw.random() < 0.4 and min(image.size) > side:
        edge = min(draw.randint(side, int(1.35 * side)), *image.size)
        return _box(image, draw, edge, edge)
    if draw.random() < 0.75:
        area, shape = (
            draw.uniform(0.4, 1) * image.width * image.height,
            2 ** draw.uniform(-0.3, 0.3),
        )
        width, height = (area * shape) ** 0.5, (area / shape) ** 0.5
        return _box(image, draw, min(image.width, int(width)), min(image.height, int(height)))
    return image


def _box(image: Image.Image, draw: Draw, width: int, height: int) -> Image.Image:
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def saved(image: Image.Image, draw: Draw) -> Image.Image:
    """Saves it as JPEG or WebP, once or twice."""
    for _ in range(draw.choice((1, 1, 2))):
        buffer = io.BytesIO()
        if draw.random() < 0.65:
            kept = draw.choice((0, 2))
            image.save(buffer, "JPEG", quality=draw.randint(30, 96), subsampling=kept)
        else:
            image.save(buffer, "WEBP", quality=draw.randint(30, 95), method=2)
        image = Image.open(buffer).convert("RGB")
    return image


def resized(image: Image.Image, draw: Draw) -> Image.Image:
    """Scales it by a half to two."""
    scale = 2 ** draw.uniform(-1, 1)
    scale = min(scale, LARGEST / max(image.size))
    size = [max(64, int(edge * scale)) for edge in image.size]
    return image.resize((size[0], size[1]), draw.choice(_FILTERS))


def blurred(image: Image.Image, draw: Draw) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(draw.uniform(0.3, 1.6)))


def sharpened(image: Image.Image, draw: Draw) -> Image.Image:
    return image.filter(
        ImageFilter.UnsharpMask(draw.uniform(0.7, 2.5), draw.randint(40, 180), draw.randint(0, 3))
    )


def grainy(image: Image.Image, draw: Draw) -> Image.Image:
    """Adds noise, the same to all channels or not."""
    noise = np.random.default_rng(draw.randrange(2**31))
    pixels = np.asarray(image, np.float32)
    channels = 1 if draw.random() < 0.5 else 3
    grain = noise.normal(0, draw.uniform(1, 11), (*pixels.shape[:2], channels))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def coloured(image: Image.Image, draw: Draw) -> Image.Image:
    """Changes brightness, contrast and saturation; seldom to grey."""
    if draw.random() < 0.1:
        return image.convert("L").convert("RGB")
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(draw.uniform(0.7, 1.35))
    return image


def bordered(image: Image.Image, draw: Draw) -> Image.Image:
    """Puts it on a plain page, as a screenshot or a frame does, perhaps with a caption."""
    width, height = image.size
    left, right = (int(width * draw.uniform(0, 0.12)) for _ in range(2))
    above, below = (int(height * draw.uniform(0, 0.15)) for _ in range(2))
    paper = draw.choice((0, 255, draw.randint(0, 255)))
    page = Image.new("RGB", (width + left + right, height + above + below), (paper,) * 3)
    page.paste(image, (left, above))
    if draw.random() < 0.5:
        ink = (255 - paper,) * 3 if draw.random() < 0.7 else (255, 255, 255)
        words = "".join(draw.choice("etaoin shrdlu ETA,.!") for _ in range(draw.randint(6, 40)))
        where = (draw.randint(0, width // 2), draw.randint(0, page.height - 12))
        ImageDraw.Draw(page).text(where, words, fill=ink, font_size=draw.randint(10, 28))
    return page


_CHANGES: list[Callable[[Image.Image, Draw], Image.Image]] = [
    saved,
    saved,
    saved,
    resized,
    resized,
    blurred,
    sharpened,
    grainy,
    coloured,
    bordered,
]
