"""Reads TIFF: with Pillow where it takes all of the samples, otherwise by their layout and range.

Both turn a picture while it is loaded.
"""

from io import BytesIO
from typing import Any, cast

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ICCPROFILE, IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from .i18n import _
from .orientation import TAG
from .tiff_chunks import Block, blocks
from .tiff_layout import Layout, is_simple, kind_error, layout_of
from .tiff_range import Range, in_8_bits, range_of, range_of_alpha

_SHORT = 3
_PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}
_INVERTED = 255


class TiffFile(TiffImageFile):
    """Turned by its own tag only: neither by XMP nor by a tag of the wrong type."""

    note: str | None = None
    """What a person should know of the picture, in a sentence, once it is loaded."""
    _layout: Layout | None = None

    def _open(self) -> None:
        start = b"" if self.fp is None else self.fp.read(4)
        if start == b"MM\0+":  # Pillow takes it for an ordinary one
            raise kind_error(_("BigTIFF, big-endian"))
        if self.fp is not None:
            self.fp.seek(0)
        super()._open()

    def _setup(self) -> None:
        self._layout = None
        if not is_simple(self.tag_v2):
            self._set_up_samples()
            return
        try:
            super()._setup()
        except (SyntaxError, KeyError):  # of a kind that Pillow does not know
            self._set_up_samples()

    def _set_up_samples(self) -> None:
        """Does the same for samples of any layout. Raises what layout_of() raises."""
        tags = self.tag_v2
        width, height = size = tags[IMAGEWIDTH], tags[IMAGELENGTH]
        if not isinstance(width, int) or not isinstance(height, int):
            raise TypeError("no size")
        self._layout = layout_of(tags, size, tags.prefix)
        is_sideways = self._is_turn_told() and tags.get(TAG) in (5, 6, 7, 8)
        self._tile_size, self._size = size, (height, width) if is_sideways else size
        self._mode, self.palette, self.use_load_libtiff = self._layout.mode, None, False
        if ICCPROFILE in tags:
            self.info["icc_profile"] = tags[ICCPROFILE]
        # What load() looks at to know that it has something to do.
        self.tile = [ImageFile._Tile("samples", (0, 0, *size), 0, ())]  # noqa: SLF001

    def load(self) -> Any:
        if self._layout is None or not self.tile:
            return super().load()
        data = cast(BytesIO, self.fp).getvalue()
        colors = range_of(self._layout, data)
        self.note = colors.note
        self.load_prepare()
        for block in blocks(self._layout, data):
            image = _image(self._layout, block, colors)
            box = block.left, block.top, block.left + image.width, block.top + image.height
            self.im.paste(image.im, box)
        self.tile = []
        self.load_end()
        return Image.Image.load(self)

    def load_end(self) -> None:
        self.info.pop("xmp", None)
        if not self._is_turn_told():
            self.getexif().pop(TAG, None)
        super().load_end()
        self._size = self.im.size  # which Pillow swaps before it turns, or does not

    def _is_turn_told(self) -> bool:
        return self.tag_v2.tagtype.get(TAG, _SHORT) == _SHORT


def _image(layout: Layout, block: Block, range_: Range) -> Image.Image:
    """Returns a part of a picture in 8 bits."""
    pixels = in_8_bits(block.values[..., : layout.colors], range_)
    if layout.is_white_zero:
        pixels = _INVERTED - pixels
    if layout.has_alpha:
        alpha = block.values[..., layout.colors :][..., :1]
        pixels = np.dstack([pixels, in_8_bits(alpha, range_of_alpha(layout, range_))])
    mode = layout.mode
    if layout.is_premultiplied:
        mode = _PREMULTIPLIED[mode]
    size = pixels.shape[1], pixels.shape[0]
    image = Image.frombytes(mode, size, np.ascontiguousarray(pixels).tobytes())
    return image if mode == layout.mode else image.convert(layout.mode)
