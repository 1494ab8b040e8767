"""Which frames of an animation are judged."""

from collections.abc import Iterator

from PIL import ImageFile

_IN_TURN = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats in which a frame can only be decoded after all before it."""
ANIMATED = (*_IN_TURN, "TIFF")
"""Formats that may have several frames."""
MAX_DECODED_PIXELS = 100_000_000
"""Of all frames that have to be decoded: a second or two."""
_MAX_GIF_FRAMES = 10_000
_GIF_FRAME = b"\x21\xf9\x04"


def later_frames(image: ImageFile.ImageFile, data: bytes) -> Iterator[int]:
    """Moves an image just opened to a middle and the last frame, and yields their numbers, from 1.

    A TIFF's frames are its pages. In a very long animation, the last is one that is soon reached:
    the same on every machine.
    """
    if image.format == "GIF" and data.count(_GIF_FRAME) > _MAX_GIF_FRAMES:
        return  # counting them would take longer than a picture may
    last = getattr(image, "n_frames", 1) - 1
    if image.format in _IN_TURN:
        last = min(last, MAX_DECODED_PIXELS // (image.width * image.height))
    for number in sorted({(last + 1) // 2, last} - {0}):
        image.seek(number)
        yield number
