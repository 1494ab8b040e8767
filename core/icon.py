"""Takes the picture that browsers show out of an icon: the largest, and of those the deepest."""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_ENTRY = "<BBBBHHII"
_MAX_ENTRIES = 256
_MAX_SIDE = 256


def picture_in(icon: bytes) -> bytes:
    """Returns a PNG, or an icon of this one picture. Raises ValueError if there is none."""
    (count,) = struct.unpack_from("<H", icon.ljust(6, b"\0"), 4)
    entries = [
        struct.unpack_from(_ENTRY, icon, at)
        for at in range(6, 6 + 16 * min(count, _MAX_ENTRIES), 16)
        if at + 16 <= len(icon)
    ]
    if not entries:
        raise ValueError("an icon without a picture")
    is_cursor = icon[2] == 2  # with a place where the others have a depth
    # No side is 0: that stands for 256.
    largest = max(
        entries,
        key=lambda one: ((one[0] or 256) * (one[1] or 256), 0 if is_cursor else one[5]),
    )
    n_bytes, start = largest[6:]
    data = icon[start : start + n_bytes]
    return data if data.startswith(_PNG) else _alone(data)


def _alone(bitmap: bytes) -> bytes:
    """Returns an icon of one bitmap, whose size is that which the bitmap itself tells."""
    _, width, height, _, depth = struct.unpack_from("<IiiHH", bitmap.ljust(16, b"\0"))
    height //= 2  # it is followed by a mask
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise ValueError("an icon of impossible size")
    entry = struct.pack(
        _ENTRY, width % 256, height % 256, 0, 0, 1, depth, len(bitmap), 6 + struct.calcsize(_ENTRY)
    )
    return struct.pack("<HHH", 0, 1, 1) + entry + bitmap
