"""The icons of the extension and of the pages: the eye of the tray, ready.

`python tests/kit/extension_icons.py` writes them after a change of the drawing: those of the
extension by the code that draws the tray's, that of the pages as the same shapes in SVG.
"""

from pathlib import Path

from PIL import Image

from antifake.daemon.tray.drawing import DARK, LIGHT, Colour, icon_image

ROOT = Path(__file__).parents[2]
ICONS = ROOT / "extension" / "icons"
PAGE_ICON = ROOT / "daemon" / "web" / "pages" / "static" / "icon.svg"
SIZES = (16, 32, 48, 128)


def icon_path(size: int) -> Path:
    return ICONS / f"icon-{size}.png"


def draw_icon(size: int) -> Image.Image:
    return icon_image("ready", size)


def page_icon() -> str:
    """Returns the eye as SVG: three lenses, each two arcs from corner to corner, and the pupil."""
    lenses = "".join(_lens(width, colour) for width, colour in EYE)
    pupil = f'<circle cx="16" cy="16" r="{32 * 0.15:g}" fill="{_hex(LIGHT)}"/>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    return f"{head}{lenses}{pupil}</svg>\n"


EYE = ((1.0, DARK), (0.86, LIGHT), (0.62, DARK))
"""Widths of the lenses, in sides of the icon, and their colours."""


def _lens(width: float, colour: Colour) -> str:
    left, right, radius = 16 - 16 * width, 16 + 16 * width, 32 * 0.53 * width
    arc = f"A{radius:g} {radius:g} 0 0 1"
    return f'<path d="M{left:g} 16{arc} {right:g} 16{arc} {left:g} 16Z" fill="{_hex(colour)}"/>'


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def write_icons() -> None:
    PAGE_ICON.write_text(page_icon())
    ICONS.mkdir(exist_ok=True)
    for size in SIZES:
        draw_icon(size).save(icon_path(size), optimize=True)


if __name__ == "__main__":
    write_icons()
