"""Finds the pictures on a screenshot, a scan or a collage.

The recursive XY-cut of document analysis (Nagy and Seth 1984): a region is cut along gutters, which
are lines of one colour from edge to edge, and along seams, where two pictures meet in a
straight edge. What can be cut no further and has the tones of a picture is one. A photograph that
fills its frame is not cut.

Imports no torch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .parts import Box

Grey = np.ndarray[Any, np.dtype[np.float32]]

MIN_SIDE = 160
"""Pixels of the file that the shorter side of a picture on a page must have."""
_ANALYSED_SIDE = 768
_MIN_SHARE = 0.03
_MAX_SHARE = 0.6
"""Of the page's area. More than that is the page itself with a border."""
_GUTTER_STD = 2.0
"""Grey levels: the standard deviation along a line that counts as one colour."""
_SEAM_STEP = 10
_SEAM_SHARE = 0.7
_SEAM_EXCESS = 4
"""A seam is a step of so many grey levels along so much of a line, and along so many times as
much as in the usual line."""
_MIN_ENTROPY = 3.6
"""Bits, of 64 levels of grey. Text on a page has 1 to 2.5, a photograph 4 to 5.8."""
_MAX_DEPTH = 8


@dataclass(frozen=True)
class _Region:
    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def of(self, grey: Grey) -> Grey:
        return grey[self.top : self.bottom, self.left : self.right]


def pictures_on(page: Image.Image) -> list[Box]:
    """Returns the pictures on a page, an upright RGB image, the largest first.

    Returns none for a page that is one picture.
    """
    if min(page.size) < 2 * MIN_SIDE:
        return []
    scale = max(1, -(-max(page.size) // _ANALYSED_SIDE))
    reduced = page.convert("L").reduce(scale) if scale > 1 else page.convert("L")
    grey = np.asarray(reduced, np.float32)
    height, width = grey.shape
    whole = _Region(0, 0, width, height)
    least = max(2, MIN_SIDE // scale)
    found = [
        region
        for region in _leaves(grey, whole, least, _MAX_DEPTH)
        if _MIN_SHARE <= region.area / whole.area <= _MAX_SHARE
        and _entropy(region.of(grey)) >= _MIN_ENTROPY
    ]
    found.sort(key=lambda region: -region.area)
    return [
        Box(
            region.left / width,
            region.top / height,
            (region.right - region.left) / width,
            (region.bottom - region.top) / height,
        )
        for region in found
    ]


def _leaves(grey: Grey, region: _Region, least: int, depth: int) -> Iterator[_Region]:
    """Yields the regions that can be cut no further, with both sides of at least `least`."""
    inside = region.of(grey)
    if min(inside.shape) < least:
        return
    rows, columns = _spans(inside), _spans(inside.T)
    if not rows or not columns:
        return  # it is blank
    # One direction at a time, as a gutter need not go through all of the page.
    if len(rows) > 1:
        columns = [(columns[0][0], columns[-1][1])]
    parts = [
        _Region(region.left + left, region.top + top, region.left + right, region.top + bottom)
        for top, bottom in rows
        for left, right in columns
    ]
    if parts == [region] or depth == 0:
        yield region
        return
    for part in parts:
        yield from _leaves(grey, part, least, depth - 1)


def _spans(grey: Grey) -> list[tuple[int, int]]:
    """Returns the runs of rows [begin, end) of [H, W] between gutters and at seams."""
    is_gutter = grey.std(axis=1) <= _GUTTER_STD
    steps = (np.abs(np.diff(grey, axis=0)) >= _SEAM_STEP).mean(axis=1)
    least = max(_SEAM_SHARE, _SEAM_EXCESS * float(np.median(steps))) if len(steps) else 1.0
    is_seam = np.append(False, steps >= least)
    spans: list[tuple[int, int]] = []
    begin = None
    for at in range(len(grey) + 1):
        ends = at == len(grey) or is_gutter[at]
        if begin is not None and (ends or is_seam[at]):
            spans.append((begin, at))
            begin = None
        if begin is None and not ends:
            begin = at
    return spans


def _entropy(grey: Grey) -> float:
    """Returns the entropy of the grey levels of [H, W], in bits, of 64 levels."""
    share = np.bincount((grey.ravel() / 4).astype(np.int64), minlength=64) / grey.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())
