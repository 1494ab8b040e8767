"""A browser that is remembered: its bookmark works after the daemon was started anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.axe import axe
from kit.bookmark import address, enter, fix_port, tab
from kit.command_line import antifake
from kit.firefox import firefox, text_of, until
from kit.pace import within
from kit.page_desk import shoot
from kit.running import Running, running
from kit.stranger import Stranger
from kit.waiting import eventually
from playwright.sync_api import Browser, Page, expect

from antifake.core.catalog import Home
from antifake.daemon.web.guards import BROWSER_COOKIE, COOKIE

NOTICED_MS = 30_000
ONLY_FOR_YOU = "This page is only for you"
LEAKY = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
"""The driver of Firefox leaves the sockets open by which it looks whether Firefox is up."""
KEPT = """async () => {
  const found = [];
  for (const { name, version } of await indexedDB.databases()) found.push(name, version);
  return found;
}"""


@pytest.fixture
def root(tiny_home: Home) -> Path:
    fix_port(tiny_home.root)
    return tiny_home.root


def remember(page: Page) -> None:
    page.get_by_role("contentinfo").get_by_role("button", name="Remember this browser").click()
    page.get_by_role("dialog").get_by_role("button", name="Remember it").click()
    expect(page.locator("#toast")).to_contain_text("You can bookmark this page now.")
    expect(page.locator("footer [data-remember]")).to_be_hidden()


def is_in(page: Page, daemon: Running, path: str = "/review") -> None:
    page.goto(address(daemon, path))
    expect(page.locator("#state")).to_be_visible(timeout=within(NOTICED_MS))


def is_out(page: Page, daemon: Running) -> None:
    page.goto(address(daemon, "/review"))
    expect(page.locator("h1").locator("visible=true")).to_have_text(ONLY_FOR_YOU)


def browsers_of(daemon: Running) -> list[dict]:
    found = daemon.ready().tokens()
    return [one for one in found if "pages" in one["scopes"] and one["revoked"] is None]


def test_after_a_restart_a_remembered_browser_is_in_and_no_other(root, chromium: Browser):
    with tab(chromium) as page, tab(chromium) as other:
        with running(root) as first:
            for one in (page, other):
                enter(one, first)
            remember(page)
        with running(root) as second:
            second.ready()
            # The page that is still open goes on by itself.
            expect(page.locator("#state")).to_be_visible(timeout=within(NOTICED_MS))
            expect(page.locator("#away section")).to_have_count(0)
            is_in(page, second)
            expect(page.locator("h1")).to_have_text("Review")
            is_out(other, second)
            with page.context.new_page() as fresh:
                page.context.clear_cookies(name=COOKIE)
                is_in(fresh, second, "/settings")


def test_it_is_listed_and_once_it_is_revoked_its_open_page_and_its_bookmark_are_out(
    root, chromium: Browser
):
    with tab(chromium) as page, running(root) as daemon:
        enter(page, daemon, "/browsers")
        page.locator("#clients").get_by_role("button", name="Remember this browser").click()
        page.get_by_role("dialog").get_by_role("button", name="Remember it").click()
        mine = page.locator("#clients li", has_text="a browser that is remembered: this one")
        expect(mine).to_contain_text("Chrome on Linux")
        expect(mine).to_contain_text("Open these pages, where everything can be changed")
        (token,) = browsers_of(daemon)
        listed = antifake("pair", "list")
        assert "Chrome on Linux" in listed.stdout
        antifake("pair", "revoke", str(token["id"]))
        expect(page.locator("#away")).to_contain_text(
            "Please open this page again.", timeout=within(NOTICED_MS)
        )
        is_out(page, daemon)
        enter(page, daemon)
        expect(page.locator("footer [data-remember]")).to_be_visible()


def test_logging_out_forgets_and_shutting_all_out_closes_every_page(root, chromium: Browser):
    with tab(chromium) as page, tab(chromium) as other, running(root) as daemon:
        enter(page, daemon)
        remember(page)
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title("Not open yet · antifake")
        is_out(page, daemon)
        assert browsers_of(daemon) == []
        for one in (page, other):
            enter(one, daemon, "/browsers")
            remember(one)
        page.get_by_role("button", name="Shut all out").click()
        page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
        expect(page.locator("h1").locator("visible=true")).to_have_text(ONLY_FOR_YOU)
        expect(other.locator("#away")).to_contain_text(
            "Please open this page again.", timeout=within(NOTICED_MS)
        )
        is_out(other, daemon)


def test_a_link_renews_what_is_remembered(root, chromium: Browser):
    with tab(chromium) as page, running(root) as daemon:
        enter(page, daemon)
        remember(page)
        page.context.clear_cookies(name=COOKIE)
        (before,) = browsers_of(daemon)
        enter(page, daemon)
        eventually(lambda: browsers_of(daemon)[0]["last_used"] > before["last_used"])
        expect(page.locator("footer [data-remember]")).to_be_hidden()
        daemon.ready().revoke(before["id"])
        is_out(page, daemon)


def test_a_stolen_cookie_opens_nothing_in_another_browser(root, chromium: Browser):
    with tab(chromium) as page, tab(chromium) as thief, running(root) as daemon:
        enter(page, daemon)
        remember(page)
        stolen = [one for one in page.context.cookies() if one["name"] == BROWSER_COOKIE]
        assert (stolen[0]["httpOnly"], stolen[0]["sameSite"]) == (True, "Strict")
        thief.context.add_cookies(stolen)
        is_out(thief, daemon)
        is_in(page, daemon)


@pytest.fixture
def other() -> Iterator[Stranger]:
    """Another program of this computer."""
    with Stranger(body=b"<title>other</title>", kind="text/html") as stranger:
        yield stranger


def test_a_program_that_takes_the_same_name_at_another_port_gets_no_key(
    root, chromium: Browser, other
):
    with tab(chromium) as page, running(root) as daemon:
        enter(page, daemon)
        remember(page)
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{other.port}/")
        assert not any(BROWSER_COOKIE in one for one in other.cookies)
        page.goto(f"http://antifake.localhost:{other.port}/")
        # Browsers do not tell ports apart. A late request for an icon of the pages before has none.
        assert any(BROWSER_COOKIE in one for one in other.cookies)
        assert page.evaluate(KEPT) == []
        is_in(page, daemon)
        assert page.evaluate(KEPT) == ["antifake", 1]
        exported = """async () => {
          const opening = indexedDB.open("antifake", 1);
          await new Promise((done) => (opening.onsuccess = done));
          const asked = opening.result.transaction("keys").objectStore("keys").get("browser");
          await new Promise((done) => (asked.onsuccess = done));
          return crypto.subtle.exportKey("raw", asked.result).then(() => "read", () => "refused");
        }"""
        assert page.evaluate(exported) == "refused"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_browsers_can_be_read_by_everybody(root, chromium: Browser, scheme):
    with (
        tab(chromium, bypass_csp=True, color_scheme=scheme) as page,
        running(root) as daemon,
    ):
        enter(page, daemon, "/browsers")
        for name in ("not-remembered", "remembered"):
            assert axe(page) == []
            for size, width in [("", 1180), ("-zoomed", 590), ("-narrow", 390)]:
                page.set_viewport_size({"width": width, "height": 860})
                shoot(page, f"browsers-{name}-{scheme}{size}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.set_viewport_size({"width": 1180, "height": 860})
            if name == "not-remembered":
                remember(page)


@LEAKY
def test_firefox_is_remembered_too(root):
    with firefox() as browser:
        with running(root) as first:
            browser.navigate(first.ready().login("/review"))
            until(lambda: browser.get_url() == address(first, "/review"))
            until(lambda: text_of(browser, "html.js #state"))
            browser.execute_script("document.querySelector('footer [data-remember]').click()")
            until(lambda: "Remember this browser?" in text_of(browser, "#confirm[open]"))
            browser.execute_script("document.querySelector('#confirm [value=yes]').click()")
            until(lambda: "bookmark" in text_of(browser, "#toast"))
            (one,) = browsers_of(first)
            assert one["name"] == "Firefox on Linux"
        with running(root) as second:
            second.ready()
            browser.navigate(address(second, "/privacy"))
            until(lambda: text_of(browser, "h1") == "Privacy")
