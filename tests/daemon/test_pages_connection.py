"""A page whose daemon dies, hangs or starts anew: it says so, keeps what it holds, and goes on."""

import os
import re
import signal
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kit.axe import axe
from kit.bookmark import address, enter, fix_port, tab
from kit.pace import within
from kit.page_desk import shoot
from kit.pictures import png
from kit.running import Running, post, running
from playwright.sync_api import Page, expect

from antifake.core.catalog import Home

NOTICED_MS = 10_000
HANGS_MS = 20_000
"""A daemon that hangs is noticed only once an answer is overdue."""
LOADED_MS = 60_000
AWAY = "#away section"
GONE = re.compile(r"Not connected\. antifake has stopped")
OUT = re.compile(r"Please open this page again\.")
GIVE = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, {type: "image/png"}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.getElementById("main").dispatchEvent(
      new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
  }
}"""


@pytest.fixture
def root(tiny_home: Home) -> Path:
    """A home whose daemon has the same port in every run."""
    fix_port(tiny_home.root)
    return tiny_home.root


def die(daemon: Running) -> None:
    daemon.stop(signal.SIGKILL)


def says_not_connected(
    page: Page, words: re.Pattern[str] = GONE, noticed_ms: int = NOTICED_MS
) -> None:
    expect(page.locator(AWAY)).to_have_text(words, timeout=within(noticed_ms))
    expect(page.locator("#connection")).to_be_visible()
    expect(page.locator("#state")).to_be_hidden()
    expect(page).to_have_title(re.compile("^Not connected · "))
    assert page.get_attribute("link[rel=icon]", "href").endswith("icon-offline.svg")


def says_ready(page: Page) -> None:
    expect(page.locator("#state")).to_contain_text("Ready", timeout=within(LOADED_MS))
    expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator(AWAY)).to_have_count(0)
    expect(page).not_to_have_title(re.compile("Not connected"))
    assert page.get_attribute("link[rel=icon]", "href").endswith("icon.svg")


def test_a_page_says_within_10_s_that_the_daemon_is_gone_and_goes_on_when_it_is_back(
    root, chromium
):
    with tab(chromium) as page, running(root) as first:
        enter(page, first)
        says_ready(page)
        page.get_by_label("Its whole path").fill("/home/me/Pict")
        die(first)
        says_not_connected(page)
        page.get_by_role("link", name="History", exact=True).click()
        expect(page.locator("#toast")).to_contain_text("This page stays open")
        page.get_by_role("button", name="Watch it").click()
        expect(page.locator("#add-error")).to_contain_text("antifake does not answer")
        with running(root) as second:
            second.ready()
            says_not_connected(page, OUT)
            with page.context.new_page() as other:
                enter(other, second)
            page.bring_to_front()
            says_ready(page)
            expect(page.get_by_label("Its whole path")).to_have_value("/home/me/Pict")
            page.get_by_role("link", name="History", exact=True).click()
            expect(page).to_have_title("History · antifake")


def test_a_daemon_that_hangs_is_noticed_as_well(root, chromium):
    with tab(chromium) as page, running(root) as daemon:
        enter(page, daemon)
        says_ready(page)
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            says_not_connected(page, noticed_ms=HANGS_MS)
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        says_ready(page)


def test_a_picture_dropped_meanwhile_waits_and_is_checked_afterwards(root, chromium):
    with tab(chromium) as page, running(root) as first:
        enter(page, first, "/")
        die(first)
        page.evaluate(GIVE, ["cat.png", b64encode(png(7)).decode()])
        expect(page.locator("#given-status")).to_have_text(
            "Not connected. The picture waits here.", timeout=within(NOTICED_MS)
        )
        with running(root) as second:
            second.ready()
            with page.context.new_page() as other:
                enter(other, second)
            page.bring_to_front()
            row = page.locator("#given-rows li", has_text="cat.png")
            expect(row.locator("[data-verdict]")).to_be_visible(timeout=within(30_000))
            expect(page.locator("#given-status")).to_have_text("Done.")
            assert [one["name"] for one in second.ready().history({}, 9)] == ["cat.png"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(root, chromium, scheme):
    with (
        tab(chromium, bypass_csp=True, color_scheme=scheme) as page,
        running(root) as daemon,
    ):
        post(daemon.ready(), png(1), name="holiday.png")
        enter(page, daemon, "/")
        die(daemon)
        says_not_connected(page)
        assert axe(page) == []
        for size, width in [("", 1180), ("-zoomed", 590), ("-narrow", 390)]:
            page.set_viewport_size({"width": width, "height": 860})
            shoot(page, f"gone-{scheme}{size}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_browser_that_comes_by_a_bookmark_is_told_what_to_click(root, chromium):
    with tab(chromium) as page, running(root) as daemon:
        daemon.ready()
        page.goto(address(daemon, "/review?x=1"))
        expect(page.locator("h1")).to_have_text("This page is only for you")
        expect(page.locator("main li").first).to_contain_text("choose “Open history”")
        expect(page.locator("main")).to_contain_text("antifake open")
        assert urlsplit(page.url).path == "/review"
        for size, width in [("", 1180), ("-narrow", 390)]:
            page.set_viewport_size({"width": width, "height": 860})
            shoot(page, f"only-for-you{size}")
