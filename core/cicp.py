"""Code points of ITU-T H.273 (CICP) for color spaces, as PNG, AVIF and HEIC name them.

What standards leave open is done as Chromium does it: BT.709's curve counts as sRGB's in AVIF, and
as that of a display (BT.1886) in PNG.
"""

from dataclasses import dataclass

from . import hdr
from .icc import (
    SRGB_CURVE,
    SRGB_PRIMARIES,
    Conversion,
    Curve,
    IccProfile,
    Primaries,
    ProfileError,
    matrix_profile,
)

_D65, _C, _E, _DCI = (0.3127, 0.329), (0.31, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, *hdr.BT2020[2:]),
    10: (*_E, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
UNSPECIFIED = 2
_BT709_LIKE = (1, 6, 14, 15)
_PQ, _HLG = 16, 18
_BT1886 = 2.4


def power(gamma: float) -> Curve:
    """Returns the curve whose light is the value to the power of gamma."""
    return gamma, 1.0, 0.0, 0.0, 0.0


_CURVES: dict[int, Curve] = {
    4: power(2.2),
    5: power(2.8),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: power(1.0),
    13: SRGB_CURVE,
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class CicpSpace:
    """A color space by two code points."""

    primaries: int
    transfer: int
    bt709: Curve = SRGB_CURVE
    """What BT.709's curve and those like it are taken for."""
    peak_nits: float = hdr.DEFAULT_PEAK_NITS
    """Of the brightest pixel, for PQ and HLG."""

    def conversion(self, mode: str) -> Conversion | None:
        """Returns what turns L, LA, RGB or RGBA into RGB, or RGBA if there is alpha.

        None if that would change nothing. Raises ProfileError.
        """
        primaries = _PRIMARIES.get(self.primaries)
        if primaries is None:
            raise ProfileError("primaries")
        if self.transfer in (_PQ, _HLG):
            apply = hdr.HdrSpace(primaries, self.transfer == _PQ, self.peak_nits).conversion()
            wide = "RGBA" if mode.endswith("A") else "RGB"
            return lambda image: apply(image.convert(wide))
        curve = self.bt709 if self.transfer in _BT709_LIKE else _CURVES.get(self.transfer)
        if curve is None:
            raise ProfileError("transfer")
        return IccProfile(matrix_profile(primaries, curve)).conversion(mode)


def in_png(primaries: int, transfer: int, peak_nits: float) -> CicpSpace:
    """Returns the space of a PNG's cICP."""
    transfer = 1 if transfer == 11 else transfer
    return CicpSpace(primaries, transfer, power(_BT1886), peak_nits)


def in_heif(primaries: int, transfer: int, peak_nits: float) -> CicpSpace:
    """Returns the space of an nclx of AVIF or HEIC. What it does not specify is sRGB."""
    if primaries not in _PRIMARIES:
        primaries = 1
    return CicpSpace(primaries, 13 if transfer == UNSPECIFIED else transfer, SRGB_CURVE, peak_nits)
