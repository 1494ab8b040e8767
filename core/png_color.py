"""What a PNG says about its colors: cICP before iCCP before sRGB before gAMA with cHRM.

As in Chromium, gAMA alone means sRGB's primaries, and cHRM alone means nothing.
"""

import struct
from collections.abc import Iterator
from itertools import islice

from . import hdr
from .cicp import CicpSpace, in_png, power
from .icc import SRGB_PRIMARIES, IccProfile, ProfileError, matrix_profile
from .png_chunks import chunks, is_sound

_MAX_CHUNKS = 10_000
_LONGEST = 12 + 64
"""Bytes of a chunk that says something of colors, profiles apart."""
_NITS = 10_000
"""Units of cLLI and mDCV in a nit."""
_LIKE_SRGB = 0.05
"""gAMA alone within 5 % of 1 / 2.2 is meant for sRGB."""


def spaces(data: bytes, icc: bytes | None) -> Iterator[CicpSpace | IccProfile | None]:
    """Yields the color spaces of a PNG, the first before the next; None is sRGB.

    `icc` is the unpacked profile, if there is one.
    """
    found = _before_pixels(data)
    cicp = found.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0:
        yield in_png(cicp[0], cicp[1], _peak_nits(found))
    if icc:
        yield IccProfile(icc)
    if b"sRGB" in found:
        yield None
    profile = _by_gamma(found.get(b"gAMA", b""), found.get(b"cHRM"))
    if profile is not None:
        yield IccProfile(profile)


def _before_pixels(data: bytes) -> dict[bytes, bytes]:
    """Returns the small chunks before the pixels. The first of a name counts."""
    found: dict[bytes, bytes] = {}
    for one in islice(chunks(data), _MAX_CHUNKS):
        if one.name == b"IDAT":
            break
        if one.end - one.begin <= _LONGEST and is_sound(data, one):
            found.setdefault(one.name, one.body(data))
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _peak_nits(found: dict[bytes, bytes]) -> float:
    light, display = found.get(b"cLLI", b""), found.get(b"mDCV", b"")
    if len(light) == 8 and _number(light[:4]):
        return _number(light[:4]) / _NITS
    if len(display) == 24 and _number(display[16:20]):
        return _number(display[16:20]) / _NITS
    return hdr.DEFAULT_PEAK_NITS


def _by_gamma(gamma: bytes, chromaticities: bytes | None) -> bytes | None:
    exponent = _number(gamma) / 100_000 if len(gamma) == 4 else 0
    if not exponent:
        return None
    if chromaticities is None:
        is_srgb = abs(exponent * 2.2 - 1) < _LIKE_SRGB
        return None if is_srgb else matrix_profile(SRGB_PRIMARIES, power(1 / exponent))
    try:
        primaries = tuple(one / 100_000 for one in struct.unpack(">8I", chromaticities))
        return matrix_profile(primaries, power(1 / exponent))
    except (struct.error, ProfileError):
        return None
