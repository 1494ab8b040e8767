"""Measures what color management adds to decoding, for pictures of a phone's size."""

import numpy as np
from PIL import Image

from antifake.core.icc import SRGB_CURVE, matrix_profile
from antifake.core.images import decode
from tests.kit.color_files import ADOBE, P3, SRGB, cicp, gamma, png
from tests.kit.pictures import saved

from .measure import by_turns, row

PROFILES = {
    "sRGB": matrix_profile(SRGB, SRGB_CURVE),
    "Display P3": matrix_profile(P3, SRGB_CURVE),
    "Adobe RGB": matrix_profile(ADOBE, gamma(2.2)),
}


def measure(photograph: Image.Image, runs: int = 9) -> None:
    """Prints a row for each kind of color space. Untagged is the floor."""
    data = saved(photograph, "JPEG", quality=90)
    size = f"{photograph.width * photograph.height / 1e6:.0f} MP"
    for name, profile in PROFILES.items():
        tagged = saved(photograph, "JPEG", quality=90, icc_profile=profile)
        took, plain = by_turns(lambda data=tagged: decode(data), lambda: decode(data), runs=runs)
        row(f"decoding a JPEG, {size}, {name}", took, "untagged", plain)
    pixels = np.asarray(photograph)
    deep, flat = png(pixels, cicp(9, 16)), png(pixels)
    took, plain = by_turns(lambda: decode(deep), lambda: decode(flat), runs=runs)
    row(f"decoding a PNG, {size}, PQ", took, "untagged", plain)
