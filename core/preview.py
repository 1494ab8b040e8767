"""A whole picture in small, for people to look at: upright, RGB, without its metadata.

It is decoded in a child process, as a hostile file may crash or take over a codec. The child sends
plain pixels, which cannot harm the parent.
"""

import os
import struct
import sys
from io import BytesIO

from PIL import Image

from . import child_process, images
from .child_process import Deadline
from .decoder import MEMORY_BYTES, TIME_LIMIT
from .errors import UnreadableImageError
from .resource_limits import limit_memory, limit_time

LONGEST = 1_400
_SIZE = struct.Struct(">HH")


def preview(data: bytes, longest: int = LONGEST) -> Image.Image | None:
    """Returns the first frame, RGB, at most `longest` on either side; None if it is unreadable.

    It has the time of a picture that is judged, so what has a verdict can be shown.
    """
    process = child_process.start(
        f"from {__name__} import serve; serve({longest})",
        # As for core.decoder.
        environment=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
    )
    try:
        with Deadline(TIME_LIMIT, process):
            answer, _ = process.communicate(data)
    finally:
        child_process.end(process)
    head, pixels = answer[: _SIZE.size], answer[_SIZE.size :]
    if process.returncode or len(head) < _SIZE.size:
        return None
    width, height = _SIZE.unpack(head)
    if not 0 < max(width, height) <= longest or len(pixels) != width * height * 3:
        return None
    return Image.frombytes("RGB", (width, height), pixels)


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Returns a picture as JPEG, with nothing but its pixels."""
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def serve(longest: int) -> None:
    """Runs in the child: a file on standard input, size and pixels on standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a codec that prints must not write into the answer
    limit_memory(MEMORY_BYTES)
    limit_time(TIME_LIMIT.cpu_s)
    try:
        image = images.whole(sys.stdin.buffer.read(), longest)
    except (UnreadableImageError, MemoryError):
        sys.exit(1)
    with answers:
        answers.write(_SIZE.pack(*image.size) + image.tobytes())
