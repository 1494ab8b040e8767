"""The arrays that pictures are made of."""

from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""RGB, [height, width, 3]; several of one size have a first axis more."""
Grey = np.ndarray[Any, np.dtype[np.float32]]
"""Brightness, [height, width]."""
