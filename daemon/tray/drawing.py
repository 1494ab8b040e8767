"""Draws the icon, an eye, at the size that is needed. States differ in shape and in colour.

Light lines on a dark body with a dark edge can be read on light and dark panels alike.
"""

from collections.abc import Callable
from typing import Literal

from PIL import Image, ImageChops, ImageDraw

Mode = Literal["ready", "working", "paused", "attention", "offline"]

Colour = tuple[int, int, int]
Pen = ImageDraw.ImageDraw
Point = tuple[float, float]

DARK: Colour = (24, 30, 40)
LIGHT: Colour = (245, 248, 252)
AMBER: Colour = (255, 193, 61)
GREY: Colour = (176, 184, 196)
_FINE = 8
"""The icon is drawn this many times larger and then scaled down, which smooths the edges."""


def icon_image(mode: Mode, size: int, background: Colour | None = None) -> Image.Image:
    """Returns a square of `size` pixels, transparent around the shape without a `background`."""
    drawing = Image.new("RGBA", (size * _FINE, size * _FINE), (*DARK, 0))
    _DRAWN[mode](_Canvas(drawing))
    # Premultiplied colours keep the colour of transparent pixels out of the edge.
    small = drawing.convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA")
    if background is None:
        return small
    return Image.alpha_composite(Image.new("RGBA", small.size, (*background, 255)), small)


class _Canvas:
    """Shapes in units of the icon's side: 0 .. 1 from left to right and from top to bottom."""

    def __init__(self, image: Image.Image) -> None:
        self._image, self._pen, self._side = image, ImageDraw.Draw(image), image.width

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        box = (x - radius, y - radius, x + radius, y + radius)
        self._pen.ellipse([self._side * at for at in box], fill=(*colour, 255))

    def bar(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        radius = (box[2] - box[0]) / 3 * self._side
        self._pen.rounded_rectangle([self._side * at for at in box], radius, (*colour, 255))

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        """Draw a line with round ends and corners."""
        scaled = [(x * self._side, y * self._side) for x, y in points]
        self._pen.line(scaled, fill=(*colour, 255), width=round(width * self._side))
        for x, y in points:
            self.disc(x, y, width / 2, colour)

    def filled(self, points: list[Point], colour: Colour) -> None:
        self._pen.polygon([(x * self._side, y * self._side) for x, y in points], (*colour, 255))

    def lens(self, width: float, colour: Colour) -> None:
        """Draw the eye's body, `width` wide, in the middle: the intersection of two discs."""
        half, radius = width / 2, width * 0.53
        down = (radius**2 - half**2) ** 0.5
        shared = ImageChops.darker(
            self._mask(0.5, 0.5 - down, radius), self._mask(0.5, 0.5 + down, radius)
        )
        self._image.paste((*colour, 255), mask=shared)

    def _mask(self, x: float, y: float, radius: float) -> Image.Image:
        mask = Image.new("L", self._image.size)
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(mask).ellipse([self._side * at for at in box], fill=255)
        return mask


def _eye(canvas: _Canvas, rim: Colour = LIGHT) -> None:
    canvas.lens(1.0, DARK)
    canvas.lens(0.86, rim)
    canvas.lens(0.62, DARK)


def _ready(canvas: _Canvas) -> None:
    _eye(canvas)
    canvas.disc(0.5, 0.5, 0.15, LIGHT)


def _working(canvas: _Canvas) -> None:
    """Three dots, the usual sign for work in progress."""
    canvas.lens(1.0, DARK)
    canvas.lens(0.86, LIGHT)
    for x in (0.29, 0.5, 0.71):
        canvas.disc(x, 0.5, 0.075, DARK)


def _paused(canvas: _Canvas) -> None:
    """Two bars in front of the eye, and higher than it."""
    _eye(canvas, GREY)
    for left in (0.25, 0.57):
        canvas.bar((left - 0.07, 0.06, left + 0.25, 0.94), DARK)
    for left in (0.25, 0.57):
        canvas.bar((left, 0.12, left + 0.18, 0.88), LIGHT)


def _attention(canvas: _Canvas) -> None:
    corners = [(0.5, 0.14), (0.9, 0.84), (0.1, 0.84), (0.5, 0.14)]
    canvas.filled(corners, DARK)
    canvas.line(corners, 0.2, DARK)
    canvas.filled(corners, AMBER)
    canvas.line(corners, 0.08, AMBER)
    canvas.line([(0.5, 0.38), (0.5, 0.56)], 0.12, DARK)
    canvas.disc(0.5, 0.74, 0.07, DARK)


def _offline(canvas: _Canvas) -> None:
    """A hollow eye, crossed out."""
    _eye(canvas, GREY)
    canvas.line([(0.16, 0.88), (0.84, 0.12)], 0.26, DARK)
    canvas.line([(0.16, 0.88), (0.84, 0.12)], 0.13, LIGHT)


_DRAWN: dict[Mode, Callable[[_Canvas], None]] = {
    "ready": _ready,
    "working": _working,
    "paused": _paused,
    "attention": _attention,
    "offline": _offline,
}
