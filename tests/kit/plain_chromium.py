"""Chromium as a person has it: on a screen, with a mouse and keys, and without a debugger.

Nothing asks this browser what it shows. It is seen in the pixels of the screen.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from kit.display import HEIGHT, WIDTH, Box, Display, process
from kit.extension import FOLDER, flags
from kit.pace import within
from kit.pages import CHROMIUM
from kit.processes import of_extensions
from kit.waiting import eventually
from numpy.typing import NDArray

T = TypeVar("T")

SCREENS = Path(__file__).parents[2] / "build" / "screens"

BLANK = "about:blank"

Colour = tuple[int, int, int]
Pixels = NDArray[Any]
"""uint8 [height, width, 3], or bool [height, width]."""

GROUND: Colour = (32, 64, 96)
FRAME: Colour = (255, 0, 254)
"""Of the pages that are looked at, and around their picture: nothing else has these colours."""
PAPER: Colour = (255, 255, 255)
TONES: dict[str, Colour] = {
    "fake": (0xC2, 0x41, 0x0C),
    "real": (0x00, 0x79, 0x6B),
    "unsure": (0x8A, 0x5A, 0x00),
}
"""The colour of each verdict's word and sign, by label, as in extension/content/card_style.js."""
CARD_WIDTH = 340
HEAD = 56
"""The height of the card's head, where the word is, in pixels."""
ENOUGH = 60
"""So many pixels of one colour are a sign, and not chance."""
MARK = 28
"""The side of a mark, in pixels."""
SHINES = 46
"""A mark is a little transparent: so much of the picture may be added to each of its colours."""


def sees(look: Callable[[], T | None], within_s: float = 40) -> T:
    """Like `eventually`, for what is on the screen: a look takes some time of the processor."""
    return eventually(look, within_s, 0.2)


@dataclass(frozen=True)
class PlainChromium:
    """A browser with one window."""

    display: Display
    process: "subprocess.Popen[bytes]"
    command: list[str]

    def open(self, address: str) -> None:
        """Opens a tab, as a link in another program does."""
        quiet = subprocess.DEVNULL
        command = [*self.command, address]  # the running browser takes it from the new one
        subprocess.run(
            command,
            env=self.display.env,
            stdout=quiet,
            stderr=quiet,
            timeout=within(30),
            check=True,
        )

    def close_tab(self) -> None:
        self.display.keys("ctrl+w")

    @contextmanager
    def tab(self, address: str) -> Iterator[None]:
        """Opens a page that is looked at in a tab, and closes that tab at the end.

        What was on the screen when something failed is kept in build/screens.
        """
        self.open(address)
        try:
            yield
        except BaseException:
            self.display.screenshot(SCREENS / "failed.png")
            raise
        finally:
            self.close_tab()
        sees(lambda: not _has(self.look(), GROUND).any())  # else the next test sees this page

    def worker(self) -> int | None:
        """Returns the process of the extension's worker, if it runs.

        Without an open page of the extension, nothing else of it needs a process.
        """
        return next((one.pid for one in of_extensions(self.process.pid)), None)

    # --- The eye ----------------------------------------------------------------------------

    def look(self) -> Pixels:
        return np.asarray(self.display.screenshot())

    def page(self, seen: Pixels) -> Box:
        """Returns where the page is, which has the colour GROUND at its edges."""
        return box_of(_has(seen, GROUND))

    def picture(self) -> Box:
        """Waits for the picture with the frame. Returns where it is."""
        return sees(lambda: box_of(_has(self.look(), FRAME)))

    def card(self, picture: Box) -> tuple[Box, Pixels] | None:
        """Returns where the card is and what is in it, if one is beside that picture."""
        seen = self.look()
        _, top, right, bottom = self.page(seen)
        is_paper = _has(seen, PAPER)
        is_paper[:, : picture[2]] = False
        is_paper[:, right:] = False
        is_paper[:top] = False
        is_paper[bottom:] = False
        if is_paper.sum() < ENOUGH:
            return None
        found = box_of(is_paper)
        if abs(found[2] - found[0] - CARD_WIDTH) > 4 or found[0] - picture[2] > 16:
            return None
        return found, seen[found[1] : found[3], found[0] : found[2]]

    def verdict(self, picture: Box) -> str | None:
        """Returns the label that the card beside that picture shows, if it shows one."""
        found = self.card(picture)
        return None if found is None else label_of(found[1][:HEAD])

    # --- The hand ---------------------------------------------------------------------------

    def choose_entry(self, picture: Box) -> None:
        """Clicks on the picture with the right button, and on the extension's entry in the menu."""
        before = self._menus()
        self.display.click(*_middle(picture), 3)
        menu = sees(lambda: next(iter(self._menus() - before), None))
        x, y = sees(lambda: self._icon(menu))
        self.display.click(x, y)
        sees(lambda: menu not in self._menus())

    def _menus(self) -> set[Box]:
        """Returns the places of all windows that the window manager leaves alone and that show."""
        found = set()
        for line in self.display.do("xwininfo", "-root", "-children").splitlines():
            if "+" not in line or '"' in line:
                continue  # a menu has no name
            size, place = line.split()[-2:]
            width, height = (int(one) for one in size.split("+")[0].split("x"))
            left, top = (int(one) for one in place.removeprefix("+").split("+"))
            if min(width, height) > 100:
                found.add((left, top, left + width, top + height))
        return found

    def _icon(self, menu: Box) -> tuple[int, int] | None:
        """Returns the middle of the only icon in a menu: that of the extension."""
        left, top, _, bottom = menu
        column = self.look()[top + 4 : bottom - 4, left + 8 : left + 40]
        is_dark = column.max(axis=-1) < 110
        if is_dark.sum() < ENOUGH // 2:
            return None
        x, y = _middle(box_of(is_dark))
        return left + 8 + x, top + 4 + y


def label_of(part: Pixels) -> str | None:
    """Returns the label whose colour is in a part of the screen. Two are an error."""
    found = [label for label, tone in TONES.items() if _has(part, tone).sum() >= ENOUGH]
    assert len(found) < 2, f"several verdicts at one place: {found}"
    return found[0] if found else None


def mark_in(corner: Pixels) -> str | None:
    """Returns the label of the mark in a corner: a disc of paper with the sign in its middle."""
    at, ring = MARK // 2, MARK // 2 - 3
    rim = [
        corner[at, at - ring],
        corner[at, at + ring],
        corner[at - ring, at],
        corner[at + ring, at],
    ]
    if min(int(one.min()) for one in rim) < 255 - SHINES:
        return None
    middle = corner[at - 3 : at + 3, at - 3 : at + 3].mean(axis=(0, 1))
    far = {label: float(np.abs(middle - tone).max()) for label, tone in TONES.items()}
    label = min(far, key=lambda one: far[one])
    return label if far[label] <= SHINES else None


def box_of(is_there: Pixels) -> Box:
    """Returns the smallest box around all that is there. Asserts that something is."""
    ys, xs = np.nonzero(is_there)
    assert ys.size, "it is not on the screen"
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def _has(seen: Pixels, colour: Colour) -> Pixels:
    found: Pixels = (seen == np.array(colour, np.uint8)).all(axis=-1)
    return found


def _middle(box: Box) -> tuple[int, int]:
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


@contextmanager
def plain_chromium(display: Display, profile: Path) -> Iterator[PlainChromium]:
    """Starts Chromium with the extension, on a profile and with an empty tab.

    A page must not be given at the start: on a busy computer, Chromium (156) drops the page that
    it is about to load when it comes to an extension that may change requests, even to one that
    does nothing at all. The tab then stays white, with the address above it.
    """
    own = [
        f"--user-data-dir={profile}",
        "--window-position=0,0",
        f"--window-size={WIDTH},{HEIGHT}",
        "--test-type",  # without the bar about the switches, which slides in and moves the page
    ]
    command = [CHROMIUM, *own, *flags(FOLDER)]
    assert not any("remote-debugging" in one for one in command)
    quiet = subprocess.DEVNULL
    with process([*command, BLANK], env=display.env, stdout=quiet, stderr=quiet) as started:
        browser = PlainChromium(display, started, command)
        eventually(browser.worker, 40)  # the extension is there, and a second start finds this one
        yield browser
