"""Finds the ICC profile at the end of a BMP, whose header may name one since its version 5."""

import struct

_HEADER = 14
_VERSION_5 = 124
_EMBEDDED = b"DEBM"


def profile(data: bytes) -> bytes | None:
    """Returns the profile of a BMP, if it has one."""
    try:
        size, kind = struct.unpack_from("<I52x4s", data, _HEADER)
        start, n_bytes = struct.unpack_from("<II", data, _HEADER + 112)
    except struct.error:
        return None
    if size < _VERSION_5 or kind != _EMBEDDED or not n_bytes:
        return None
    return data[_HEADER + start : _HEADER + start + n_bytes]
