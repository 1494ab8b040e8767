"""What a picture looks like in 64 bits, to find copies that were scaled or compressed again."""

import numpy as np
from PIL import Image

from .images import Pixels


def dhash(crop: Pixels) -> int:
    """The difference hash of an RGB crop [S, S, 3]: 8 rows of 8 bits, the first one highest.

    In 8 rows of 9 grey cells: is a cell darker than the one right of it? Two unrelated
    photographs differ in about 32 bits, a picture and its copy in at most four.
    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """
    image = Image.fromarray(crop).convert("L")
    grey = np.asarray(image.resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = np.packbits(grey[:, :-1] < grey[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")
