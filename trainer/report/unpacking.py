"""Decodes a whole picture that was judged, to degrade it.

This happens in this process. It is only done with bytes that the decoder's process has decoded
before.
"""

import hashlib
import warnings
from pathlib import Path

from PIL import Image

from antifake.core.errors import UnreadableImageError
from antifake.core.file_formats import kind_of, opened
from antifake.core.images import read_file, whole
from antifake.trainer.evaluate import Judged

MAX_PIXELS = 16_000_000


def unpacked(one: Judged) -> Image.Image | None:
    """Returns the whole picture, upright, in RGB. None: it has changed, or is not supported."""
    return unpacked_of(one.example.path, one.row.sha256)


def unpacked_of(source: Path | bytes, sha256: str | None) -> Image.Image | None:
    """Returns the same of a file, or of its bytes, whose hash was `sha256` when it was judged."""
    try:
        data = read_file(source) if isinstance(source, Path) else source
    except UnreadableImageError:
        return None
    if hashlib.sha256(data).hexdigest() != sha256:
        return None
    # As in core.images: Pillow's plugins may raise anything, and one picture must not end a run
    # of minutes.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _rgb(data)
    except Exception:  # noqa: BLE001
        return None


def _rgb(data: bytes) -> Image.Image | None:
    """Returns the picture as the detector sees it; a JPEG above MAX_PIXELS at half its size."""
    kind = kind_of(data)
    width, height = opened(data, kind).size
    if width * height <= MAX_PIXELS:
        return whole(data)
    if kind != "JPEG" or width * height > 4 * MAX_PIXELS:
        return None
    return whole(data, max(width, height) // 2)
