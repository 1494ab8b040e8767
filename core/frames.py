"""Which frames of an animation are judged."""

from collections.abc import Iterator
from contextlib import suppress

from PIL import ImageFile

from .file_formats import opened
from .upright import Upright, frame_of, readable

_IN_TURN = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats in which a frame can only be decoded after all before it."""
ANIMATED = (*_IN_TURN, "TIFF")
"""Formats that may have several frames. A TIFF's frames are its pages."""
MAX_DECODED_PIXELS = 100_000_000
"""Of all frames that have to be decoded: a second or two."""
_MAX_FADE = 200
"""Frames after the first that are looked at for one that shows something."""
_MAX_GIF_FRAMES = 10_000
_GIF_FRAME = b"\x21\xf9\x04"


def later_frames(data: bytes, kind: str) -> Iterator[Upright]:
    """Yields the frames after the first, in turn, as far as they are soon reached."""
    # What is wrong with a later frame is no reason to refuse the first.
    with suppress(Exception):
        data = readable(data, kind)
        image = opened(data, kind)
        for number in range(1, min(_MAX_FADE, _soon_reached(image)) + 1):
            image.seek(number)
            yield frame_of(image, data, kind, number)


def middle_and_last(data: bytes, kind: str) -> Iterator[Upright]:
    """Yields a middle and the last frame, as far as they can be decoded.

    In a very long animation, the last is one that is soon reached: the same on every machine.
    """
    with suppress(Exception):
        data = readable(data, kind)
        image = opened(data, kind)
        if image.format == "GIF" and data.count(_GIF_FRAME) > _MAX_GIF_FRAMES:
            return  # counting them would take longer than a picture may
        last = getattr(image, "n_frames", 1) - 1
        if image.format in _IN_TURN:
            last = min(last, _soon_reached(image))
        for number in sorted({(last + 1) // 2, last} - {0}):
            image.seek(number)
            yield frame_of(image, data, kind, number)


def _soon_reached(image: ImageFile.ImageFile) -> int:
    """Returns the number of the last frame that is."""
    return MAX_DECODED_PIXELS // (image.width * image.height)
