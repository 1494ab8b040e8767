"""Decodes a whole picture that was judged, to degrade it.

This happens in this process. It is only done with bytes that the decoder's process has decoded
before.
"""

import hashlib
import warnings
from io import BytesIO

from PIL import Image, ImageOps

from antifake.core.errors import UnreadableImageError
from antifake.core.images import read_file
from antifake.trainer.evaluate import Judged

MAX_PIXELS = 16_000_000
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pillow's modes that convert to 8-bit RGB without rescaling."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def unpacked(one: Judged) -> Image.Image | None:
    """Returns the whole picture, upright, in RGB. None: it has changed, or is not supported."""
    try:
        data = read_file(one.example.path)
    except UnreadableImageError:
        return None
    if hashlib.sha256(data).hexdigest() != one.row.sha256:
        return None
    # As in core.images: Pillow's plugins may raise anything, and one picture must not end a run
    # of minutes.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _rgb(data)
    except Exception:  # noqa: BLE001
        return None


def _rgb(data: bytes) -> Image.Image | None:
    image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        image.draft("RGB", (image.width // 2, image.height // 2))  # decodes a JPEG at half its size
    if image.width * image.height > MAX_PIXELS or image.mode not in MODES:
        return None
    image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
