"""The extension as a person has it: a window on a screen, a mouse, and no debugger.

A debugger keeps the worker alive and every tab visible. So here the browser is only looked at, and
its history is read in the daemon. Screenshots are kept in build/screens.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from kit.daemon import Asked
from kit.display import Display
from kit.extension import AT_ONCE, OPTIONS, chromium
from kit.pictures import png
from kit.plain_chromium import (
    BLANK,
    FRAME,
    GROUND,
    MARK,
    SCREENS,
    PlainChromium,
    mark_in,
    plain_chromium,
    sees,
)
from kit.sites import SITE, Sites
from kit.waiting import eventually
from playwright.sync_api import expect

from antifake.core.samples import photographs

STYLE = f"margin: 20px; background: rgb{GROUND}"
SIDE, STEP = 140, 160
"""Of the small pictures of a page, in pixels."""
INSET = 6
"""From the corner of a picture to its mark, in pixels."""


@pytest.fixture(scope="module")
def display() -> Iterator[Display]:
    with Display() as screen:
        yield screen


@pytest.fixture(scope="module")
def daemon(with_mini: Asked) -> Asked:
    return with_mini


@pytest.fixture(scope="module")
def profile(daemon: Asked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A browser's profile whose extension is paired and may mark the pictures of SITE.

    This is done in an earlier run of the browser, with a debugger.
    """
    folder = tmp_path_factory.mktemp("profile")
    with chromium(profile=folder) as browser:
        browser.allow_all_sites()
        browser.store({"sites": {SITE: "auto"}})
        options = browser.open(OPTIONS)
        options.locator("summary").click()
        options.locator("#port").fill(str(daemon.port))
        options.locator("#port").press("Tab")
        options.get_by_role("button", name="Connect").click()
        (pairing,) = eventually(lambda: daemon.get("/pairings").json["pairings"])
        daemon.post(f"/pairings/{pairing['id']}/accept")
        expect(options.locator("#connection .state").first).to_contain_text("Connected")
    return folder


@pytest.fixture(scope="module")
def browser(display: Display, profile: Path) -> Iterator[PlainChromium]:
    with plain_chromium(display, profile) as started:
        yield started


def photograph_page(sites: Sites, number: int) -> tuple[str, str]:
    """Puts a photograph on a page. Returns the page's address and the sha256 of the file.

    The host is not the one that is marked.
    """
    data = photographs()[number].read_bytes()
    sites.picture("/holiday.jpg", data)
    frame = f"this.style.border = '4px solid rgb{FRAME}'"  # only when the picture is there
    image = f'<img src="/holiday.jpg?secret=1" width=240 height=160 onload="{frame}">'
    sites.page("/photograph", f'<body style="{STYLE}">{image}')
    return sites.url("/photograph", "photos.test"), sha256(data).hexdigest()


def row_of(daemon: Asked, digest: str) -> dict[str, Any] | None:
    """Returns the only row of a picture in the history, if it is there and judged."""
    found = daemon.get("/checks?limit=500").json["checks"]
    rows = [one for one in found if one["sha256"] == digest and one["label"]]
    assert len(rows) < 2
    return rows[0] if rows else None


def test_a_right_click_and_the_entry_in_the_menu_show_the_verdict_at_the_picture(
    browser: PlainChromium, daemon: Asked, sites: Sites
) -> None:
    address, digest = photograph_page(sites, 0)
    with browser.tab(address):
        picture = browser.picture()
        browser.choose_entry(picture)
        row = eventually(lambda: row_of(daemon, digest))
        sees(lambda: browser.verdict(picture) == row["label"])
        browser.display.screenshot(SCREENS / "real-click-card.png")
    assert (row["name"], row["page"], row["source"]) == ("holiday.jpg", "photos.test", "extension")
    assert "secret" not in str(row)


def test_a_slow_check_survives_though_the_browser_ends_idle_workers(
    browser: PlainChromium, daemon: Asked, sites: Sites
) -> None:
    """Chromium ends a worker after 30 s without an event, and an event that takes longer."""
    address, digest = photograph_page(sites, 1)
    with browser.tab(address):
        picture = browser.picture()
        eventually(lambda: browser.worker() is None, 90)  # nobody asks it anything
        with daemon.model_paused():
            browser.choose_entry(picture)
            eventually(lambda: daemon.get("/state").json["mode"] == "working")
            assert browser.worker() is not None, "the click has not woken the worker"
            sees(lambda: browser.card(picture))
            time.sleep(35)  # this long, and not until something happens: a slow model
            assert browser.card(picture) is not None
            assert browser.verdict(picture) is None
            assert row_of(daemon, digest) is None
        row = eventually(lambda: row_of(daemon, digest))
        sees(lambda: browser.verdict(picture) == row["label"])
        browser.display.screenshot(SCREENS / "slow-check-card.png")
    assert row["name"] == "holiday.jpg"


def marks_page(sites: Sites, count: int) -> tuple[str, list[str]]:
    """Puts small pictures on a page that tells again and again whether it is hidden.

    Returns the page's address and the hashes of the pictures.
    """
    pictures = [png(90_000 + number, SIDE) for number in range(count)]
    images = []
    for number, data in enumerate(pictures):
        sites.picture(f"/small{number}.png", data)
        left, top = place_of(number)
        images.append(
            f'<img src="/small{number}.png" '
            f'style="position: absolute; left: {left}px; top: {top}px">'
        )
    tell = 'setInterval(() => fetch("/told/" + document.visibilityState), 700)'
    html = f'<body style="{STYLE}">{"".join(images)}<script>{tell}</script>'
    return sites.page("/marks", html), [sha256(data).hexdigest() for data in pictures]


def place_of(number: int) -> tuple[int, int]:
    """Returns left and top of a small picture on its page."""
    return 20 + STEP * (number % 4), 20 + STEP * (number // 4)


def marks(browser: PlainChromium, count: int) -> list[str | None]:
    """Returns the label of each small picture's mark, as far as there is one on the screen."""
    seen = browser.look()
    left, top, _, _ = browser.page(seen)
    corners = [(top + y + INSET, left + x + INSET) for x, y in map(place_of, range(count))]
    return [mark_in(seen[y : y + MARK, x : x + MARK]) for y, x in corners]


def test_marks_on_their_own_stop_while_the_tab_is_hidden(
    browser: PlainChromium, daemon: Asked, sites: Sites
) -> None:
    address, digests = marks_page(sites, 8)

    def judged() -> list[str]:
        found = daemon.get("/checks?limit=500").json["checks"]
        labels = {one["sha256"]: one["label"] for one in found}
        return [labels[one] for one in digests if labels.get(one)]

    def told(state: str) -> int:
        return len(sites.asked(f"/told/{state}"))

    def is_at_rest() -> bool:
        state = daemon.get("/state").json
        return bool(judged()) and state["mode"] != "working" and not any(state["waiting"].values())

    with ExitStack() as parts:
        with daemon.model_busy(png(89_999, SIDE)):
            parts.enter_context(browser.tab(address))
            eventually(lambda: daemon.get("/state").json["waiting"]["batch"])
            eventually(lambda: told("visible"))
            assert told("hidden") == 0
            browser.open(BLANK)
            eventually(lambda: told("hidden"))
            shown = told("visible")
        eventually(is_at_rest)
        # The page counts by the same kind of timer as that by which marks would go on.
        before = told("hidden")
        eventually(lambda: told("hidden") >= before + 4)
        assert told("visible") == shown, "the tab was not hidden all the time"
        assert 1 <= len(judged()) <= AT_ONCE, "pictures of a hidden tab were checked"
        browser.close_tab()
        eventually(lambda: len(judged()) == len(digests), 40)
        sees(lambda: marks(browser, len(digests)) == judged())
        browser.display.screenshot(SCREENS / "marks-after-hidden.png")
