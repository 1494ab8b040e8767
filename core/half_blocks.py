"""Draws a small picture in letters, two pixels in each, for terminals that have all colours.

For those that show real pictures there is terminal_pictures.
"""

import os
import sys

import click
import numpy as np
from PIL import Image

_UPPER_HALF = "▀"


def has_all_colours() -> bool:
    """Returns whether standard output is a terminal that says it has 16 million colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return False
    encoding = (sys.stdout.encoding or "").lower()
    return os.environ.get("COLORTERM") in ("truecolor", "24bit") and encoding.startswith("utf")


def picture_lines(image: Image.Image, columns: int = 36) -> list[str]:
    """Returns the lines of text, each `columns` wide, that look like the RGB picture."""
    rows = max(1, round(columns * image.height / image.width / 2))
    small = image.convert("RGB").resize((columns, 2 * rows), Image.Resampling.LANCZOS)
    pixels = np.asarray(small).tolist()
    return [
        "".join(map(_character, upper, lower)) + "\x1b[0m"
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)
    ]


def _character(upper: list[int], lower: list[int]) -> str:
    red, green, blue = upper
    below_red, below_green, below_blue = lower
    return click.style(
        _UPPER_HALF, fg=(red, green, blue), bg=(below_red, below_green, below_blue), reset=False
    )
