"""Shows pictures of high dynamic range (PQ and HLG, BT.2100) on sRGB, as Chromium does.

Chromium tone-maps by the reference white tone mapping operator of SMPTE ST 2094-50: light below
the reference white is dimmed evenly, and highlights up to the peak are rolled off by a quadratic
Bezier curve. The largest of the components in BT.2020 decides, so hues stay.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import ImageFilter

from .icc import SRGB_PRIMARIES, Conversion, Matrix, Primaries, rgb_to_xyz

BT2020: Primaries = (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
WHITE_NITS = 203.0
"""The reference white of BT.2408."""
DEFAULT_PEAK_NITS = 1000.0
_KAPPA = 0.65
_STEPS = 65
"""Of the lookup table, along each axis."""

Values = np.ndarray[Any, np.dtype[np.float64]]
"""[..., 3], from 0 to 1 as in the file."""
Light = np.ndarray[Any, np.dtype[np.float64]]
"""[..., 3]; 1 is the reference white."""


@dataclass(frozen=True)
class HdrSpace:
    """A color space whose white may be brighter than a page's."""

    primaries: Primaries
    is_pq: bool
    """Otherwise HLG."""
    peak_nits: float

    def conversion(self) -> Conversion:
        """Returns what tone-maps an RGB or RGBA image, in its mode."""
        table = _table(self.primaries, self.is_pq, self.peak_nits)
        return lambda image: image.filter(table)


@lru_cache(maxsize=4)
def _table(primaries: Primaries, is_pq: bool, peak_nits: float) -> ImageFilter.Color3DLUT:
    axis = np.linspace(0, 1, _STEPS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red changes fastest
    values: Values = np.stack([red, green, blue], axis=-1)
    light = pq_to_light(values) if is_pq else hlg_to_light(values, primaries)
    mapped = tone_mapped(light @ _between(primaries, BT2020).T, peak_nits)
    shown = _srgb_encoded(mapped @ _between(BT2020, SRGB_PRIMARIES).T)
    return ImageFilter.Color3DLUT(_STEPS, shown.astype(np.float32).ravel())


def _between(source: Primaries, target: Primaries) -> Matrix:
    """Returns the matrix [3, 3] of linear light from one to another with the same white."""
    found: Matrix = np.linalg.solve(rgb_to_xyz(target), rgb_to_xyz(source))
    return found


def pq_to_light(values: Values) -> Light:
    """Returns the light of values 0 .. 1, by the EOTF of ST 2084."""
    power = values ** (32 / 2523)
    nits = np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
    found: Light = 10_000 * nits ** (16384 / 2610) / WHITE_NITS
    return found


def hlg_to_light(values: Values, primaries: Primaries) -> Light:
    """Returns the light of values 0 .. 1 on a display of 1000 nits, by BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene: Light = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    luminance = scene @ rgb_to_xyz(primaries)[1]
    found: Light = scene * luminance[..., None] ** 0.2 * 1000 / WHITE_NITS
    return found


def tone_mapped(light: Light, peak_nits: float) -> Light:
    """Returns light of which none is above 1, up to the peak. Without highlights, it stays."""
    peak = peak_nits / WHITE_NITS
    if peak <= 1:
        return light
    largest = light.max(axis=-1, keepdims=True).clip(1e-9)
    found: Light = light * _rolled_off(largest, peak) / largest
    return found


def _rolled_off(light: Light, peak: float) -> Light:
    white = 1 - 0.5 * min(1, math.log(peak) / math.log(DEFAULT_PEAK_NITS / WHITE_NITS))
    # The curve from (1, white) by its middle point to (peak, 1), at the t where it is at `light`.
    middle = 1 - _KAPPA + _KAPPA / white, (1 - _KAPPA) * white + _KAPPA
    a, b = 1 - 2 * middle[0] + peak, middle[0] - 1
    c = 1 - light.clip(1, peak)
    t = -c / (b + np.sqrt(b * b - a * c))
    curve = (1 - t) ** 2 * white + 2 * t * (1 - t) * middle[1] + t**2
    return np.where(light <= 1, light * white, curve)


def _srgb_encoded(light: Light) -> Values:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
