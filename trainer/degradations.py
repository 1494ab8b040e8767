"""What happens to a picture on its way through the web, one thing at a time.

Every function takes an RGB picture and gives the bytes of a new file: the same
bytes for the same pixels. What does not itself re-compress is kept as PNG,
without loss.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

SCREEN_PX = 1080
"""Longest side of a picture as a browser shows it."""


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Saved once more as JPEG; `quality` in 1 .. 95, colours at half resolution."""
    return _saved(image, "JPEG", quality=quality)


def webp(image: Image.Image, quality: int) -> bytes:
    """Saved once more as lossy WebP; `quality` in 0 .. 100."""
    return _saved(image, "WEBP", quality=quality)


def half(image: Image.Image) -> bytes:
    """Both sides halved, each new pixel an average."""
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _png(image.resize(size, Image.Resampling.BICUBIC))


def blur(image: Image.Image, sigma: float) -> bytes:
    """Gaussian blur; `sigma` in pixels of the file."""
    return _png(image.filter(ImageFilter.GaussianBlur(sigma)))


def noise(image: Image.Image, sigma: float) -> bytes:
    """Gaussian noise, each channel on its own; `sigma` of 255. The picture is its own seed."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest, "big"))
    grain = random.standard_normal((image.height, image.width, 3), np.float32)
    pixels = np.asarray(image, np.float32) + sigma * grain  # [H, W, 3]
    return _png(Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)))


def screenshot(image: Image.Image) -> bytes:
    """Fitted to a screen, smaller or larger, as browsers scale, then sent on as JPEG."""
    scale = SCREEN_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return jpeg(image.resize(size, Image.Resampling.BILINEAR), 85)


def _png(image: Image.Image) -> bytes:
    return _saved(image, "PNG", compress_level=1)  # it is read once and thrown away


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


DEGRADATIONS: dict[str, Callable[[Image.Image], bytes]] = {
    **{f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (95, 90, 80, 70, 60, 50)},
    **{f"WebP {quality}": partial(webp, quality=quality) for quality in (80, 50)},
    "half size": half,
    **{f"blur {sigma}": partial(blur, sigma=sigma) for sigma in (1, 2)},
    **{f"noise {sigma}": partial(noise, sigma=sigma) for sigma in (5, 10)},
    "screenshot": screenshot,
}
"""By name: quality of JPEG and WebP, sigma of blur in pixels, of noise in 255ths."""
