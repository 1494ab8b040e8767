"""Which samples of a TIFF are black and white, and what they are in 8 bits.

The range that the file tells counts (SMinSampleValue, SMaxSampleValue), otherwise that of integers
of up to 16 bits. Other numbers seldom fill their type. They have a usual range: 0 to 1 for floating
point, then 0 to 255, 0 to 65535, or that of the type, if the samples are as large as that.
Otherwise the least and the greatest are black and white.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UnreadableImageError
from .i18n import _
from .tiff_chunks import blocks
from .tiff_layout import Layout, range_of_type

_MAX_LOOKED_AT = 500_000
"""Pixels of which the range is guessed."""
_MAX_CHUNK_ROWS = 16
"""Rows of chunks that are unpacked for it."""
_OUTLIERS = 0.1
"""Percent of the samples, at either end, that no range is made for."""
_FEW = 16
"""Lights of a scene are at most so many times as bright as white; beyond that it is another range.

Of a range, samples may exceed a part in so many, and fill no less.
"""


@dataclass(frozen=True)
class Range:
    """The samples that are black and white."""

    black: float
    white: float
    is_guess: bool = False

    @property
    def note(self) -> str | None:
        """What a person should know of a range that the file does not tell."""
        if not self.is_guess:
            return None
        return _(
            "This TIFF does not say which numbers are black and white; {black:g} and {white:g} "
            "were taken.",
            black=self.black,
            white=self.white,
        )


def range_of(layout: Layout, data: bytes) -> Range:
    """Returns the range of colors.

    Raises UnreadableImageError if no sample is a number, and OSError if none is there.
    """
    if layout.told is not None:
        return Range(*layout.told)
    if layout.kind != "f" and layout.bits <= 16:
        return Range(*range_of_type(layout.kind, layout.bits))
    looked_at = _looked_at(layout, data)
    if not looked_at.size:
        raise UnreadableImageError(
            _(
                "This TIFF holds no numbers that stand for colors, so it cannot be judged. Save "
                "the picture again as JPEG or PNG."
            ),
            "unreadable",
        )
    return _usual(layout, *np.percentile(looked_at, (_OUTLIERS, 100 - _OUTLIERS)).tolist())


def range_of_alpha(layout: Layout, colors: Range) -> Range:
    """Returns the range of alpha, which is told only for colors."""
    if layout.kind != "f" and layout.bits <= 16:
        return Range(*range_of_type(layout.kind, layout.bits))
    is_usual = layout.told is None and colors.black == 0
    return colors if is_usual else Range(*range_of_type(layout.kind, layout.bits))


def in_8_bits(values: NDArray[Any], range_: Range) -> NDArray[np.uint8]:
    """Returns each sample's place among 256 equal steps from black to white.

    Of integers of 16 bits that is the high byte. What is no number is black.
    """
    black, white = range_.black, range_.white
    is_exact = values.dtype.itemsize <= (4 if values.dtype.kind == "f" else 2)
    is_small = max(abs(black), abs(white)) <= 65536
    steps: NDArray[Any] = values.astype(np.float32 if is_exact and is_small else np.float64)
    per_step = 256 / (white - black) if white > black else 0
    with np.errstate(all="ignore"):
        steps = (steps - black) * per_step
    np.nan_to_num(steps, copy=False, nan=0, posinf=255, neginf=0)
    return np.clip(steps, 0, 255, out=steps).astype(np.uint8)


def _looked_at(layout: Layout, data: bytes) -> NDArray[Any]:
    """Returns some of the finite color samples, from all over the picture.

    Raises OSError if the first are missing.
    """
    n_rows = min(layout.down, _MAX_CHUNK_ROWS)
    chunk_rows = np.unique(np.linspace(0, layout.down - 1, n_rows).round().astype(int)).tolist()
    pixels = layout.width * sum(map(layout.rows_of, chunk_rows))
    step = max(1, math.isqrt(pixels // _MAX_LOOKED_AT))
    found: list[NDArray[Any]] = []
    try:
        for block in blocks(layout, data, chunk_rows):
            values = block.values[::step, ::step, : layout.colors]
            found.append(values[np.isfinite(values)])
    except OSError:
        if not found:
            raise
    return np.concatenate(found).astype(np.float64)


def _usual(layout: Layout, least: float, greatest: float) -> Range:
    """Returns the first usual range that holds these, and that they fill to a good part."""
    of_type = Range(*range_of_type(layout.kind, layout.bits))
    if layout.kind == "f" and least >= -1 / _FEW and greatest <= _FEW:
        return of_type
    usual = [Range(0, 255, is_guess=True), Range(0, 65535, is_guess=True)]
    for one in [*usual, of_type] if layout.kind != "f" else usual:
        room = (one.white - one.black) / _FEW
        is_held = one.black - room <= least and greatest <= one.white + room
        if is_held and greatest - least >= room:
            return one
    return Range(least, greatest, is_guess=True)
