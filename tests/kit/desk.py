"""A person at a browser with the extension: web sites before them, and a daemon beside it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from kit.daemon import Asked
from kit.extension import Chromium
from kit.overlays import Overlay, card
from kit.pictures import png
from kit.sites import Sites
from playwright.sync_api import Page

IT_IS_REAL = "It\N{RIGHT SINGLE QUOTATION MARK}s real"
IT_IS_MADE = "It\N{RIGHT SINGLE QUOTATION MARK}s AI-made"
THAT_IS_RIGHT = "Yes, that\N{RIGHT SINGLE QUOTATION MARK}s right"
_NUMBERS = count(10_000)


@dataclass(frozen=True)
class Picture:
    path: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass
class Desk:
    browser: Chromium
    daemon: Asked
    sites: Sites
    page: Page

    def picture(self, size: int = 300) -> Picture:
        """Returns a picture that nobody has seen, served by all sites."""
        number = next(_NUMBERS)
        made = Picture(f"/{number}.png", png(number, size))
        self.sites.picture(made.path, made.data)
        return made

    def show(self, html: str, **headers: str) -> Page:
        """Opens a page with that. Names in `headers` are written with _ instead of -."""
        self.page.goto(self.sites.page(f"/page{next(_NUMBERS)}", html, **headers))
        return self.page

    def show_picture(self, **headers: str) -> Picture:
        """Opens a page with one picture, whose id is `it`."""
        made = self.picture()
        self.show(image(made), **headers)
        return made

    def ask(self, target: str = "#it", page: Page | None = None) -> None:
        """Asks for a picture by the menu, as a person does."""
        where = page or self.page
        self.browser.let_into(where)
        self.browser.right_click(where, target)

    def card(self, says: str | Callable[[str], bool] = "", within_s: float = 20) -> Overlay:
        return card(self.page, says, within_s)

    def verdict(self, within_s: float = 20) -> Overlay:
        """Waits for a card with a verdict."""
        return self.card(has_verdict, within_s)

    def history(self) -> list[dict[str, Any]]:
        """Returns all checks, the newest first."""
        found: list[dict[str, Any]] = self.daemon.get("/checks?limit=500").json["checks"]
        return found

    def judged(self) -> set[str]:
        """Returns the hashes of all pictures in the history."""
        return {one["sha256"] for one in self.history()}

    def row(self, picture: Picture) -> dict[str, Any]:
        """Returns the check of a picture."""
        return next(one for one in self.history() if one["sha256"] == picture.sha256)


def image(picture: Picture, more: str = "id=it") -> str:
    return f'<img {more} src="{picture.path}" width=200 height=200>'


def correction(found: Overlay) -> str:
    """Returns a button of a card that contradicts its verdict, whatever the verdict is."""
    return next(one for one in (IT_IS_REAL, IT_IS_MADE) if one in found.buttons)


def has_verdict(text: str) -> bool:
    return "%" in text and "The model" in text
