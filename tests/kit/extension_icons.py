"""The extension's icons, drawn by the code that draws the tray's: the same eye, ready.

`python tests/kit/extension_icons.py` writes them to extension/icons after a change of the drawing.
"""

from pathlib import Path

from PIL import Image

from antifake.daemon.tray.drawing import icon_image

ICONS = Path(__file__).parents[2] / "extension" / "icons"
SIZES = (16, 32, 48, 128)


def icon_path(size: int) -> Path:
    return ICONS / f"icon-{size}.png"


def draw_icon(size: int) -> Image.Image:
    return icon_image("ready", size)


def write_icons() -> None:
    ICONS.mkdir(exist_ok=True)
    for size in SIZES:
        draw_icon(size).save(icon_path(size), optimize=True)


if __name__ == "__main__":
    write_icons()
