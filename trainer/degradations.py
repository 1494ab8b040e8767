"""Degradations that pictures undergo on the web, one at a time.

Every function takes an RGB picture and returns the bytes of a new file, the same bytes for the
same pixels. Degradations other than compression are saved as PNG, without loss.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from antifake.core.i18n import _

SCREEN_PX = 1080
"""Longest side of a picture as a browser shows it."""


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Saves as JPEG again, with `quality` in 1 .. 95 and chroma at half resolution."""
    return _saved(image, "JPEG", quality=quality)


def webp(image: Image.Image, quality: int) -> bytes:
    """Saves as lossy WebP again, with `quality` in 0 .. 100."""
    return _saved(image, "WEBP", quality=quality)


def half(image: Image.Image) -> bytes:
    """Halves both sides with bicubic resampling."""
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _png(image.resize(size, Image.Resampling.BICUBIC))


def blur(image: Image.Image, sigma: float) -> bytes:
    """Applies Gaussian blur, with `sigma` in pixels."""
    return _png(image.filter(ImageFilter.GaussianBlur(sigma)))


def noise(image: Image.Image, sigma: float) -> bytes:
    """Adds Gaussian noise to each channel, with `sigma` of 255. The pixels seed the generator."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest, "big"))
    grain = random.standard_normal((image.height, image.width, 3), np.float32)
    pixels = np.asarray(image, np.float32) + sigma * grain  # [H, W, 3]
    return _png(Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)))


def screenshot(image: Image.Image) -> bytes:
    """Scales to a screen's size as browsers do, then saves as JPEG."""
    scale = SCREEN_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return jpeg(image.resize(size, Image.Resampling.BILINEAR), 85)


def _png(image: Image.Image) -> bytes:
    return _saved(image, "PNG", compress_level=1)  # it is read only once


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


DEGRADATIONS: dict[str, Callable[[Image.Image], bytes]] = {
    **{f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (95, 90, 80, 70, 60, 50)},
    **{f"WebP {quality}": partial(webp, quality=quality) for quality in (80, 50)},
    _("half size"): half,
    **{_("blur {sigma}", sigma=sigma): partial(blur, sigma=sigma) for sigma in (1, 2)},
    **{_("noise {sigma}", sigma=sigma): partial(noise, sigma=sigma) for sigma in (5, 10)},
    _("screenshot"): screenshot,
}
"""By the name that people read, with the quality of JPEG and WebP, or sigma: of blur in pixels, of
noise in 255ths."""
