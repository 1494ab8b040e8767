"""The extension in Firefox: from pairing to a row of the history, with the real menu.

The browser's own question for a permission is switched off by a preference, as no script
can answer it: the click of the person grants it at once. That the extension asks, and where, is
tested all the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kit.daemon import Asked
from kit.desk import IT_IS_MADE, THAT_IS_RIGHT, Picture
from kit.extension import OPTIONS, POPUP, SCOPES
from kit.firefox_extension import Firefox, firefox_with_extension, unpacked
from kit.gallery import ASKS, FILE, SCREEN
from kit.pictures import png
from kit.sites import CDN, Sites
from kit.waiting import eventually

from antifake.core.samples import photographs

# The driver leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BROKEN = "pages/broken.html"
"""A page that the test adds to the extension."""


@dataclass
class Here:
    browser: Firefox
    daemon: Asked
    sites: Sites

    def show(self, picture: Picture, host: str = "") -> None:
        """Shows a page with that picture, which may be of another host."""
        self.sites.picture(picture.path, picture.data)
        address = self.sites.url(picture.path, host) if host else picture.path
        page = self.sites.page(f"{picture.path}.html", f'<img id=it src="{address}" width=200>')
        self.browser.show(page)

    def open_daemon(self, path: str) -> str:
        """Opens a page of the daemon in a new tab, as its tray does."""
        return self.browser.open(self.daemon.post("/logins", {"next": path}).json["url"])

    def row(self, picture: Picture) -> dict:
        checks = self.daemon.get("/checks?limit=500").json["checks"]
        (found,) = [one for one in checks if one["sha256"] == picture.sha256]
        return found


@pytest.fixture(scope="module")
def here(with_mini: Asked, sites: Sites, tmp_path_factory) -> Iterator[Here]:
    folder = unpacked(tmp_path_factory.mktemp("extension"))
    (folder / BROKEN).write_text('<!doctype html><script src="broken.js"></script>')
    (folder / "pages" / "broken.js").write_text("console.error('printed'); throw Error('thrown');")
    with firefox_with_extension(folder) as browser:
        yield Here(browser, with_mini, sites)


def code_in(browser: Firefox) -> str:
    return re.sub(r"\D", "", browser.text(".code"))[:6]


@pytest.fixture(scope="module")
def paired(here: Here) -> Here:
    """Pairs as a person does: in the options, with antifake's page in another tab."""
    browser = here.browser
    browser.show(OPTIONS)
    browser.click("summary")
    port = browser.driver.find_element("css selector", "#port")
    port.clear()
    port.send_keys(f"{here.daemon.port}\ue007")
    browser.click("#connection button", "Connect")
    browser.says(".pairing h3", "Compare these digits")
    shown = code_in(browser)
    options = browser.tab
    here.open_daemon("/browsers")
    assert browser.until(lambda: code_in(browser)) == shown
    assert len(shown) == 6
    browser.click("button", "Accept")
    browser.click("#confirm[open] button", "Let it in")
    eventually(lambda: not here.daemon.get("/pairings").json["pairings"])
    browser.close(back_to=options)
    browser.says("#connection .state", "Connected")
    return here


def test_from_pairing_to_a_corrected_picture_in_the_history(paired: Here) -> None:
    """The whole way of a new person: real daemon, real model, real Firefox, real menu."""
    browser, daemon = paired.browser, paired.daemon
    (token,) = [one for one in daemon.get("/tokens").json["tokens"] if one["origin"]]
    assert token["origin"] == browser.origin
    assert browser.origin.startswith("moz-extension://")
    assert sorted(token["scopes"]) == sorted(SCOPES)

    holiday = Picture("/holiday.jpg", photographs()[0].read_bytes())
    paired.show(holiday)
    browser.choose()
    assert FILE in browser.card("The model")
    browser.end_background()
    browser.press(IT_IS_MADE)
    browser.card("You said: AI-made")
    assert paired.row(holiday)["said"]["label"] == "fake"
    browser.press("Undo")
    browser.card("The model", without="You said")
    assert paired.row(holiday)["said"] is None
    browser.press(THAT_IS_RIGHT)
    browser.card("You said: real")

    row = paired.row(holiday)
    assert (row["name"], row["page"], row["source"]) == ("holiday.jpg", "site.test", "extension")
    assert row["said"]["label"] == "real"
    page = browser.tab
    paired.open_daemon("/")
    browser.says(".row", "holiday.jpg")
    browser.close(back_to=page)


def test_the_card_gets_its_verdict_though_the_background_ends_while_the_model_is_busy(
    paired: Here,
) -> None:
    browser, daemon = paired.browser, paired.daemon
    picture = Picture("/busy.png", png(20_001, 300))
    paired.show(picture)
    with daemon.model_paused():
        browser.choose()
        browser.card("Checking")
        browser.until(lambda: "waiting" in browser.remembered())
        browser.end_background()
        browser.card("Checking")
    assert FILE in browser.card("The model")
    assert paired.row(picture)["name"] == "busy.png"


def test_a_picture_of_another_site_is_a_screen_copy_without_the_permission_and_true_with_it(
    paired: Here,
) -> None:
    browser = paired.browser
    picture = Picture("/elsewhere.png", png(20_002, 300))
    paired.show(picture, CDN)
    page = browser.tab
    browser.choose()
    browser.card(ASKS)
    browser.press("Use a screen copy")
    assert SCREEN in browser.card("The model")

    browser.show(browser.driver.get_url())
    browser.choose()
    browser.card(ASKS)
    known = list(browser.driver.window_handles)
    browser.press("Allow")
    browser.new_tab_at("pages/permission.html", known)
    browser.says("#why", f"comes from {CDN}")
    browser.click("#allow")
    browser.until(lambda: browser.driver.window_handles == known)
    browser.go_to(page)
    assert FILE in browser.card("The model")
    assert paired.row(picture)["name"] == "elsewhere.png"
    assert browser.may_load_from(f"http://{CDN}/*")
    assert not browser.may_load_from("http://other.test/*")

    browser.show(OPTIONS)
    browser.says("#permissions .name", CDN)
    browser.click("#permissions button", "Take back")
    browser.until(lambda: not browser.may_load_from(f"http://{CDN}/*"))
    assert browser.may_load_from("http://127.0.0.1/*")


def test_popup_and_options_open_without_an_error_and_axe_finds_nothing(paired: Here) -> None:
    browser = paired.browser
    browser.show(BROKEN)
    for word in ("thrown", "printed"):  # errors would be heard
        browser.until(lambda word=word: any(word in one for one in browser.errors()))
    browser.forget_errors()
    assert browser.errors() == []

    browser.show(OPTIONS)
    browser.says("#connection .state", "Connected")
    browser.says("#permissions", "Nothing more")
    assert browser.axe_faults() == []
    browser.show(POPUP)
    browser.says("#state", "Connected")
    browser.says("#latest", "latest checks")
    assert browser.axe_faults() == []
    assert browser.errors() == []
