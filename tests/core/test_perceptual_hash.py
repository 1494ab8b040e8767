"""Hashes are kept in histories, so the same picture has the same hash in every version."""

import io

import numpy as np
from PIL import Image

from antifake.core.perceptual_hash import dhash
from antifake.core.samples import drawn


def gradient(axis: int) -> np.ndarray:
    """Returns a crop [S, S, 3] that gets brighter along an axis."""
    ramp = np.linspace(0, 255, 72).astype(np.uint8)
    grey = np.broadcast_to(ramp if axis == 1 else ramp[:, None], (72, 72))
    return np.stack([grey] * 3, axis=-1)


def test_a_bit_is_set_where_a_cell_is_darker_than_its_right_neighbour():
    assert dhash(gradient(axis=1)) == 2**64 - 1
    assert dhash(gradient(axis=1)[:, ::-1].copy()) == 0
    assert dhash(gradient(axis=0)) == 0


def test_the_first_row_is_the_highest_byte():
    crop = gradient(axis=1)[:, ::-1].copy()
    crop[:9] = gradient(axis=1)[:9]
    assert dhash(crop) == 0xFF << 56


def test_hashes_that_histories_hold_are_found_again():
    hashes = {
        name: dhash(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        for name, data in drawn().items()
    }
    assert hashes == {"drawn-rings": 0x844D9253E9B4BAC5, "drawn-grain": 0x0000481400000800}
