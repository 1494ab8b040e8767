"""A 64-bit perceptual hash, which finds copies that were scaled or compressed again."""

import numpy as np
from PIL import Image

from .pixels import Pixels


def dhash(crop: Pixels) -> int:
    """Returns the difference hash of a uint8 RGB crop [S, S, 3].

    The crop is reduced to 8 rows of 9 grey cells. A bit is set if a cell is darker than its right
    neighbour; the first row is the highest byte. Two unrelated photographs differ in about 32
    bits, a picture and its copy in at most four.
    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """
    image = Image.fromarray(crop).convert("L")
    grey = np.asarray(image.resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits(grey[:, :-1] < grey[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")
