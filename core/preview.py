"""A whole picture in small, for people to look at: upright, RGB, without its metadata.

It is decoded in a child process, as a hostile file may crash or take over a codec. The child sends
plain pixels, which cannot harm the parent.
"""

import os
import struct
import subprocess
import sys
from io import BytesIO

from PIL import Image

from . import images
from .decoder import MEMORY_BYTES
from .errors import UnreadableImageError
from .resource_limits import limit_memory, limit_time

LONGEST = 1_400
_TIMEOUT_S = 20.0
_SIZE = struct.Struct(">HH")


def preview(data: bytes, longest: int = LONGEST) -> Image.Image | None:
    """Returns the first frame, RGB, at most `longest` on either side; None if it is unreadable."""
    code = f"from {__name__} import serve; serve({longest})"
    try:
        done = subprocess.run(  # noqa: S603
            # As for core.decoder: -P, so that files of the current folder shadow no module.
            [sys.executable, "-P", "-W", "ignore", "-c", code],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return None
    head, pixels = done.stdout[: _SIZE.size], done.stdout[_SIZE.size :]
    if done.returncode or len(head) < _SIZE.size:
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
    limit_time(_TIMEOUT_S)
    try:
        image = images.whole(sys.stdin.buffer.read(), longest)
    except (UnreadableImageError, MemoryError):
        sys.exit(1)
    with answers:
        answers.write(_SIZE.pack(*image.size) + image.tobytes())
