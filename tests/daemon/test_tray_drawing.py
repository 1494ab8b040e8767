"""The icon is legible at every size, on light and dark panels, and without colour vision."""

from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from antifake.daemon.tray import Mode, icon_image

MODES = get_args(Mode)
PANELS = {"light": (240, 240, 240), "dark": (32, 34, 38)}
SIZES = (16, 22, 24, 32)


def greys(mode, size, panel):
    """Returns the icon in grey, as without colour vision, [size, size]."""
    on_panel = icon_image(mode, size, PANELS[panel])
    return np.asarray(on_panel.convert("L"), dtype=int)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("size", SIZES)
def test_no_two_states_look_alike_without_colour(size, panel):
    for one, other in combinations(MODES, 2):
        differs = abs(greys(one, size, panel) - greys(other, size, panel)) > 60
        assert differs.mean() > 0.08, (one, other)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("mode", MODES)
def test_every_state_stands_out_from_the_panel(mode, panel):
    seen = greys(mode, 16, panel)
    background = np.asarray(Image.new("RGB", (1, 1), PANELS[panel]).convert("L"), dtype=int)
    assert (abs(seen - background) > 90).mean() > 0.1


@pytest.mark.parametrize("size", [*SIZES, 64])
def test_the_icon_has_the_requested_size_and_transparent_corners(size):
    drawn = icon_image("ready", size)
    assert drawn.size == (size, size)
    assert drawn.mode == "RGBA"
    assert drawn.getpixel((0, 0))[3] == 0


def test_with_a_background_nothing_is_transparent():
    assert icon_image("paused", 24, (0, 0, 0)).getextrema()[3] == (255, 255)
