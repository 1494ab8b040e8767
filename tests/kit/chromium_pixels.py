"""What a real Chromium shows of picture files, pixel by pixel."""

import base64
import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from kit.pages import ADDRESS, ARGUMENTS, CHROMIUM
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Route, sync_playwright

_ON_WHITE = """
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const brush = canvas.getContext('2d')
  brush.fillStyle = 'white'
  brush.fillRect(0, 0, width, height)
  brush.drawImage(image, 0, 0)
  return canvas.toDataURL('image/png')
}"""
_DRAW = f"""async address => {{
  const image = new Image()
  image.src = address
  try {{ await image.decode() }} catch {{ if (!image.naturalWidth) return null }}
  const {{naturalWidth: width, naturalHeight: height}} = image{_ON_WHITE}"""
_DRAW_FRAME = f"""async ([address, type, number]) => {{
  const data = await (await fetch(address)).arrayBuffer()
  const decoder = new ImageDecoder({{data, type, preferAnimation: true}})
  const {{image}} = await decoder.decode({{frameIndex: number}})
  const {{displayWidth: width, displayHeight: height}} = image{_ON_WHITE}"""

Frame = tuple[str, int]
"""The declared type of an animation, and the number of one of its frames, from 0."""


def shown(
    pictures: Mapping[str, bytes], frames: Mapping[str, Frame] = MappingProxyType({})
) -> dict[str, NDArray[Any] | None]:
    """Returns the pixels on a white ground, uint8 [h, w, 3], by name; None if it shows nothing.

    Of animations named in `frames`, those are the pixels of that frame, otherwise of the first.
    """

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        # Chromium goes by the first bytes, as long as some picture is declared.
        route.fulfill(body=pictures.get(name, b"<!doctype html>"), content_type=_kind(name))

    def _kind(name: str) -> str:
        return "image/png" if name in pictures else "text/html"

    with sync_playwright() as playwright:
        arguments = [*ARGUMENTS, "--force-color-profile=srgb"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto(ADDRESS)
        drawn = {
            name: page.evaluate(_DRAW_FRAME, [f"{ADDRESS}/{name}", *frames[name]])
            if name in frames
            else page.evaluate(_DRAW, f"{ADDRESS}/{name}")
            for name in pictures
        }
        browser.close()
    return {name: _pixels(address) for name, address in drawn.items()}


def _pixels(address: str | None) -> NDArray[Any] | None:
    if address is None:
        return None
    png = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
