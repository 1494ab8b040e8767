"""Makes small pictures, each different from all others."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, size: int = 96) -> Image.Image:
    """Returns soft blots of colour. No two are alike, and none is refused as blank or as noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((size, size), Image.Resampling.BICUBIC)


def png(seed: int, size: int = 96) -> bytes:
    return saved(picture(seed, size), "PNG")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


MOST_SCANS = 58
"""With as many more scans than usual, a scan bomb is the most work that a whole file may be."""


def scan_bomb(scans: int = MOST_SCANS) -> bytes:
    """Returns a JPEG of 16 megapixels that repeats its last refinement. It has 6 passes besides."""
    data = saved(Image.new("L", (4000, 4000), 77), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def slow_jpeg() -> bytes:
    """Returns one that is still more work: it is cut, so it is decoded twice."""
    return scan_bomb()[:-3]
