"""Reads PNGs with Pillow, and notices when their pixels end before the picture does.

Pillow says nothing of rows that are left out if the packed data has an end of its own.
"""

from functools import lru_cache

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_LAST_ROWS = 2
"""One of them is the last row of the last pass of an interlaced picture."""
_MARKED = [37 * n * n % 251 & 1 for n in range(64)]
"""What is there before the pixels, by column. No picture ends so."""


class PngFile(PngImageFile):
    """A PNG. Loading it raises OSError if rows are missing."""

    def load_prepare(self) -> None:
        super().load_prepare()
        self._marked: list[tuple[int, int, int, int]] = []
        for tile in self.tile[:1]:
            left, top, right, bottom = tile.extents or (0, 0, *self.size)
            rows = range(max(top, bottom - _LAST_ROWS), bottom)
            self._marked = [(left, row, right, row + 1) for row in rows]
            for box in self._marked:
                self.im.paste(_marked(self.im.mode, right - left).im, box)

    def load_end(self) -> None:
        for box in self._marked:
            row = _marked(self.im.mode, box[2] - box[0])
            if row._new(self.im.crop(box)).tobytes() == row.tobytes():  # noqa: SLF001
                raise OSError("rows are missing")
        super().load_end()


@lru_cache(maxsize=4)
def _marked(mode: str, width: int) -> Image.Image:
    row = Image.new(mode, (width, 1))
    for column, level in enumerate(_MARKED[:width]):
        row.paste(level, (column, 0, column + 1, 1))
    return row
