"""The size of a WebP file, from its first bytes: a page keeps room for it before it comes."""

HEAD_BYTES = 30


def size_of(head: bytes) -> tuple[int, int] | None:
    """Returns width and height in pixels of a lossy WebP, which all thumbnails are, else None."""
    if len(head) < HEAD_BYTES or head[8:16] != b"WEBPVP8 " or head[23:26] != b"\x9d\x01\x2a":
        return None
    # The upper two bits of each number say how a decoder may enlarge the picture.
    width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return (width, height) if width and height else None
