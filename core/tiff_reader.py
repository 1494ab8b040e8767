"""Reads TIFF with Pillow, which turns a picture while it loads it."""

from PIL.TiffImagePlugin import TiffImageFile

from .orientation import TAG

_SHORT = 3


class TiffFile(TiffImageFile):
    """Turned by its own tag only: neither by XMP nor by a tag of the wrong type."""

    def load_end(self) -> None:
        self.info.pop("xmp", None)
        if self.tag_v2.tagtype.get(TAG, _SHORT) != _SHORT:
            self.getexif().pop(TAG, None)
        super().load_end()
        self._size = self.im.size  # which Pillow swaps before it turns, or does not
