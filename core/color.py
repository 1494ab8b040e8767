"""Turns decoded pixels of any mode and depth into 8-bit sRGB."""

import numpy as np
from PIL import Image

from .pixels import Grey, Pixels


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns 8-bit RGB. Transparent pixels become white, colour profiles are ignored."""
    if image.mode.startswith("I;16"):
        # convert() would clip all values above 255. Pillow takes the high byte of 16-bit RGB, too.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_to_8_bits(np.array(image, np.float32))).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _to_8_bits(values: Grey) -> Pixels:
    """Maps values [H, W] of any range to 0 .. 255; values within that range are kept."""
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        values -= low
        values *= 255 / (high - low) if high > low else 0
    return values.astype(np.uint8)
