"""Reads JPEGs with Pillow, and notices when the data of a scan ends before its picture does.

libjpeg fills up with grey what is missing before an end marker, and Pillow does not tell. So the
decoder gets some more bytes before the marker, and how many of them it takes is looked at. Behind
a whole scan it passes over all, looking for a marker. Within a scan it waits for codes to end: one
of nothing but ones is in no table, so it is longer than a byte.
"""

from typing import Any

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from .jpeg_scans import scans_of

_DECODER = "antifake_jpeg"
_EIGHT_ONES = b"\xff\0"
_READ_AHEAD = _EIGHT_ONES * 8
"""So many bytes more may be asked for before the last code of a whole scan is taken."""
_PROBES = 64
_DONE = -1


class JpegFile(JpegImageFile):
    """A JPEG. Loading it raises OSError if some of the picture is missing."""

    is_filled_up = False
    """Whether what is missing is filled up instead."""

    def load_prepare(self) -> None:
        self.tile = [
            one._replace(codec_name=_DECODER, args=(self.is_filled_up, one.args))
            for one in self.tile
        ]
        super().load_prepare()


class _Decoder(ImageFile.PyDecoder):
    _pulls_fd = True

    def decode(self, _: Any) -> tuple[int, int]:
        is_filled_up, args, *config = self.args
        if self.fd is None or self.im is None:
            return _DONE, 0
        feed = _Feed(Image._getdecoder(self.mode, "jpeg", args, tuple(config)))  # noqa: SLF001
        feed.decoder.setimage(self.im, self.state.extents())
        data = self.fd.read()
        feed.give(memoryview(data)[0 if is_filled_up else _checked(feed, data) :])
        if not feed.is_done:
            raise OSError("the file ends before its picture")
        return _DONE, feed.status


Image.register_decoder(_DECODER, _Decoder)


def _checked(feed: "_Feed", data: bytes) -> int:
    """Gives a file up to its end marker. Returns how far. Raises OSError."""
    scans = scans_of(data)
    if scans is not None and scans.lacks_end(data):
        raise OSError("the file ends before its picture")
    if scans is None or not scans.has_end:
        return 0
    if not scans.are_all:
        raise OSError("scans are missing")
    if not scans.can_wait:
        return 0
    feed.give(memoryview(data)[: scans.end])
    if feed.is_done:
        return scans.end
    # Before a restart it passes over bytes, too.
    if feed.waits_for_codes(_READ_AHEAD) or feed.waits_for_codes(scans.next_restart(data)):
        raise OSError("a scan is short")
    return scans.end


class _Feed:
    """Gives a decoder one piece after the other."""

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder
        self.is_done = False
        self.status = 0
        self._left: bytes | memoryview = b""

    def give(self, piece: bytes | memoryview) -> None:
        if self.is_done:
            return
        given = b"".join((self._left, piece)) if self._left else piece
        taken, self.status = self.decoder.decode(given)
        self.is_done = taken < 0
        self._left = given[taken:]

    def waits_for_codes(self, after: bytes) -> bool:
        """Returns whether the decoder is within a scan, after some bytes more."""
        self.give(after)
        for _ in range(_PROBES):
            self.give(_EIGHT_ONES)
            if self._left or self.is_done:
                break
        return bool(self._left) and not self.is_done
