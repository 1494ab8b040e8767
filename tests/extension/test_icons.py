"""The icons of the extension and of the pages are the eye of the tray."""

import io
import json

import numpy as np
import pytest
from kit.extension_icons import PAGE_ICON, SIZES, draw_icon, icon_path, page_icon
from kit.extension_zips import EXTENSION, manifest
from kit.page_desk import page_browser
from PIL import Image

from antifake.daemon.tray.drawing import icon_image


@pytest.mark.parametrize("size", SIZES)
def test_the_committed_icon_is_what_the_code_draws(size):
    with Image.open(icon_path(size)) as committed:
        assert committed.mode == "RGBA"
        assert committed.size == (size, size)
        assert committed.tobytes() == draw_icon(size).tobytes()


def test_the_browser_is_given_every_icon():
    named = manifest()["icons"]
    assert {int(size): EXTENSION / path for size, path in named.items()} == {
        size: icon_path(size) for size in SIZES
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("panel", [(255, 255, 255), (222, 225, 230), (53, 54, 58), (20, 20, 20)])
def test_an_icon_stands_out_from_a_light_and_a_dark_toolbar(size, panel):
    """At least a tenth of its pixels have a contrast of 3:1 to the toolbar, as WCAG asks."""
    shown = draw_icon(size)
    on_panel = Image.alpha_composite(Image.new("RGBA", shown.size, (*panel, 255)), shown)
    colours = np.asarray(on_panel.convert("RGB")).reshape(-1, 3)
    far = [one for one in colours if contrast(one, panel) >= 3]
    assert len(far) > size * size / 10


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: tuple[int, int, int]) -> float:
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_toolbar_has_the_small_icons():
    named = json.dumps(manifest()["action"]["default_icon"])
    assert "icon-16.png" in named
    assert "icon-32.png" in named


def test_the_icon_of_the_pages_is_the_same_eye():
    assert PAGE_ICON.read_text() == page_icon()
    with page_browser() as browser:
        page = browser.new_page(viewport={"width": 64, "height": 64})
        page.goto(PAGE_ICON.as_uri())
        data = page.screenshot()
    with Image.open(io.BytesIO(data)) as drawn:
        shown = np.asarray(drawn.convert("L"), dtype=int)
    wanted = np.asarray(icon_image("ready", 64, (255, 255, 255)).convert("L"), dtype=int)
    assert (abs(shown - wanted) > 60).mean() < 0.02
