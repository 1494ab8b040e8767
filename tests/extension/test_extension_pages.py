"""Popup, options and permission page in Chromium, with a real daemon: what a person does there.

Screenshots of them are kept in build/screens.
"""

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kit.axe import FAULTS, axe
from kit.daemon import Asked, free_port
from kit.extension import OPTIONS, ORIGIN, Chromium
from kit.page_desk import SCREENS
from kit.pictures import png
from kit.popup import Popup
from kit.sites import SITE, Sites
from playwright.sync_api import Page, expect

from antifake.daemon.service import access

EVERYTHING = ("check", "correct", "open", "read")
PERMISSION = "pages/permission.html"


@dataclass
class Here:
    """The person at the browser."""

    browser: Chromium
    daemon: Asked
    sites: Sites

    def page(self) -> Page:
        page = self.browser.context.new_page()
        page.goto(self.sites.url("/"))
        return page

    def popup(self, page: Page | None = None) -> Popup:
        return Popup.over(self.browser, page or self.page())

    def options(self, part: str = "") -> Page:
        page = self.browser.open(OPTIONS + part)
        expect(page.locator("#connection > *").first).to_be_visible()
        return page

    def connection(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.browser.stored().get("connection")
        return found

    def tokens(self) -> list[access.Token]:
        """Returns those of browsers that are valid."""
        return [one for one in self.daemon.access.tokens() if one.origin and one.revoked is None]

    def result(self, page: Page, number: int, **about: Any) -> None:
        """Keeps a result of this tab, as the worker does after a check."""
        known = {"tone": "made", "word": "Likely AI-made", "sure": "84 %", "seen": "file"}
        more = {"name": "cat.jpg", "document": None, "at": time.time() * 1000}
        value = {"id": f"id{number}"} | known | more | about
        tab = self.browser.tab_of(page)
        self.browser.store({f"result:{tab['id']}:{value['id']}": value}, "session")


@pytest.fixture
def here(browser, daemon, sites) -> Iterator[Here]:
    daemon.access._recent_requests.clear()  # five a minute are less than these tests ask for
    for pending in daemon.access.pending():
        daemon.access.reject(pending.id)
    sites.page("/", "<h1>A page</h1>")
    browser.clear()
    if browser.may_load_all():
        browser.deny_all_sites()
    browser.store({"settings": {"port": daemon.port}})
    for token in daemon.access.tokens():
        if token.origin and token.revoked is None:
            daemon.access.revoke(token.id)
    yield Here(browser, daemon, sites)
    for page in browser.context.pages:
        if page != browser.pump:
            page.close()


# --- Connecting -----------------------------------------------------------------------------


def begin(here: Here) -> Page:
    page = here.options()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".code")).to_be_visible()
    return page


def test_the_six_digits_are_those_that_antifake_shows_and_accepting_connects(here):
    page = begin(here)
    [pending] = here.daemon.access.pending()
    shown = page.locator(".code span[aria-hidden]").all_inner_texts()
    assert shown == [pending.code[:3], pending.code[3:]]
    assert " ".join(pending.code) in page.locator("#told").inner_text()
    assert (pending.origin, pending.scopes) == (ORIGIN, {"check", "correct"})
    expect(page.locator(".left")).to_contain_text("seconds left")
    assert here.connection() is None

    here.daemon.access.accept(pending.id)
    expect(page.locator("#told")).to_have_text("Connected: antifake has let this browser in.")
    expect(page.locator(".box .state").first).to_have_text("Connected")
    [token] = here.tokens()
    kept = here.connection()
    assert kept is not None
    assert (kept["tokenId"], kept["port"]) == (token.id, here.daemon.port)
    assert here.daemon.get("/state", token=kept["token"]).status == 200


def test_a_rejection_is_said_and_one_can_ask_again(here):
    page = begin(here)
    here.daemon.access.reject(here.daemon.access.pending()[0].id)
    expect(page.locator(".note")).to_contain_text("told to reject this browser")
    assert here.connection() is None
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".code")).to_be_visible()
    assert len(here.daemon.access.pending()) == 1


def test_a_code_that_nobody_accepts_in_time_is_gone(here, monkeypatch):
    monkeypatch.setattr(access, "PAIRING_FOR_S", 2.0)
    page = begin(here)
    expect(page.locator(".note")).to_contain_text("Nobody has accepted in time")
    expect(page.locator(".code")).to_have_count(0)


def test_cancelling_withdraws_the_request(here):
    page = begin(here)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".note")).to_contain_text("Cancelled")
    here.browser.until(lambda: here.daemon.access.pending() == [])


def test_leaving_the_page_withdraws_the_request(here):
    page = begin(here)
    page.close()
    here.browser.until(lambda: here.daemon.access.pending() == [])


def test_while_another_program_asks_one_has_to_wait(here):
    here.daemon.access.ask("another", None, ["check"])
    page = here.options()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".note")).to_contain_text("Another program is asking to be let in")
    for pending in here.daemon.access.pending():
        here.daemon.access.reject(pending.id)


def test_allowing_more_asks_again_and_gives_the_narrow_token_back(here):
    before = here.browser.connect(here.daemon)
    page = here.options()
    row = page.get_by_role("listitem").filter(has_text="show the latest checks of all")
    row.get_by_role("button", name="Allow").click()
    expect(page.locator(".code")).to_be_visible()
    [pending] = here.daemon.access.pending()
    assert pending.scopes == {"check", "correct", "read"}
    here.daemon.access.accept(pending.id)
    expect(row).to_contain_text("(allowed)")
    here.browser.until(lambda: before not in {token.id for token in here.tokens()})
    assert len(here.tokens()) == 1


def test_a_button_elsewhere_that_asks_for_more_begins_at_once(here):
    here.browser.connect(here.daemon)
    page = here.browser.open(f"{OPTIONS}?scope=open#connect")
    expect(page.locator(".code")).to_be_visible()
    assert "scope" not in page.url  # so that a reload does not ask again
    [pending] = here.daemon.access.pending()
    assert "open" in pending.scopes


def test_an_address_cannot_make_the_options_ask_for_everything(here):
    here.browser.connect(here.daemon)
    page = here.browser.open(f"{OPTIONS}?scope=admin#connect")
    expect(page.locator(".box .state").first).to_have_text("Connected")
    assert here.daemon.access.pending() == []


def test_disconnecting_revokes_and_forgets_the_token(here):
    here.browser.connect(here.daemon)
    page = here.options()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.locator(".note")).to_contain_text("no longer accepts this browser")
    assert here.tokens() == []
    assert here.connection() is None


def test_without_antifake_the_connection_is_forgotten_and_the_person_told_what_is_left(here):
    here.browser.connect(here.daemon)
    here.browser.store({"settings": {"port": free_port()}})
    page = here.options()
    expect(page.locator(".box .state")).to_contain_text("antifake is not running")
    page.get_by_role("button", name="Forget the connection").click()
    expect(page.locator(".note")).to_contain_text("remove this browser on its page")
    assert here.connection() is None


def test_the_port_can_be_named_where_antifake_has_another(here):
    here.browser.connect(here.daemon)
    here.browser.store({"settings": {"port": free_port()}})
    page = here.options()
    expect(page.locator(".box .state")).to_contain_text("antifake is not running")
    port = page.get_by_label("Port", exact=True)
    port.fill(str(here.daemon.port))
    port.press("Tab")
    expect(page.locator(".box .state").first).to_have_text("Connected")


# --- The popup ------------------------------------------------------------------------------


def test_the_popup_has_one_button_to_mend_what_is_wrong(here):
    popup = here.popup()
    assert popup.shown("#problem p") == ["This browser is not connected to antifake yet."]
    assert popup.shown("#problem button") == ["Connect…"]
    assert popup.shown("#latest-part") == []
    with here.browser.context.expect_page() as opened:
        popup.click("#problem button")
    expect(opened.value.locator(".code")).to_be_visible()
    here.browser.until(lambda: not popup.is_open())


def test_the_popup_tries_again_when_antifake_was_not_there(here):
    here.browser.connect(here.daemon)
    here.browser.store({"settings": {"port": free_port()}})
    popup = here.popup()
    assert popup.shown("#problem p") == [
        "antifake is not running on this computer. Start it, then try again."
    ]
    here.browser.store({"settings": {"port": here.daemon.port}})
    popup.click("#problem button")
    popup.wait("document.querySelector('#problem').hidden")
    assert popup.text("#state") == "Connected"


def test_the_popup_shows_this_tab_and_opens_the_details(here):
    here.browser.connect(here.daemon, *EVERYTHING)
    check = here.daemon.check(png(7), name="holiday.png").json
    page = here.page()
    here.result(page, 1, id=check["id"], name="holiday.png")
    here.result(page, 2, tone="real", word="Likely real", sure="9 %", name="", at=1.8e12)
    popup = here.popup(page)
    rows = popup.shown("#page .result")
    assert len(rows) == 2
    assert "Likely real" in rows[0]
    assert "A picture without a name" in rows[0]
    assert rows[1].split("\n")[0].startswith("Likely AI-made 84 %")
    assert popup.read("document.querySelectorAll('#page .result svg.shape').length") == 2
    with here.browser.context.expect_page() as opened:
        popup.click("#page li:last-child .result")
    expect(opened.value.locator("h1")).to_contain_text("holiday.png")
    assert here.daemon.port == int(opened.value.url.split(":")[2].split("/")[0])


def test_a_verdict_is_confirmed_in_the_popup(here):
    """On this page and among the latest of all; only where there is one, and if that is allowed."""
    here.browser.connect(here.daemon, *EVERYTHING)
    check = next(
        one
        for one in (here.daemon.check(png(seed)).json for seed in range(70, 80))
        if one["label"] in ("real", "fake")
    )
    page = here.page()
    here.result(page, 1, id=check["id"], confirms=check["label"])
    here.result(page, 2, tone="unsure", word="Cannot tell", confirms=None)
    popup = here.popup(page)
    assert len(popup.shown("#page .result")) == 2
    assert len(popup.shown("#page .confirm")) == 1
    popup.click("#page .confirm")
    popup.wait("document.querySelector('#page').innerText.includes('You said')")
    assert popup.shown("#page .confirm") == []
    said = here.daemon.get(f"/checks/{check['id']}").json["said"]
    assert said["label"] == check["label"]
    popup.close()
    here.daemon.ask("DELETE", f"/checks/{check['id']}/label")
    popup = here.popup(page)
    assert popup.shown("#page .confirm") == [], "the popup shows what it was told"
    n = len(popup.shown("#latest .confirm"))
    popup.click("#latest .confirm")
    popup.wait(f"document.querySelectorAll('#latest .confirm').length === {n - 1}")
    popup.close()
    here.browser.connect(here.daemon, "check", "read")
    assert here.popup(page).shown(".confirm") == []


def test_the_popup_shows_the_latest_checks_of_all_only_if_it_may(here):
    here.browser.connect(here.daemon)
    here.daemon.check(png(8), name="somewhere.png")
    popup = here.popup()
    assert popup.shown("#latest .result") == []
    assert popup.shown("#latest button") == ["Allow…"]
    popup.close()
    here.browser.connect(here.daemon, *EVERYTHING)
    popup = here.popup()
    rows = popup.shown("#latest .result")
    assert "somewhere.png" in rows[0]
    assert len(rows) <= 3


def test_a_picture_is_opened_only_with_the_permission_to_open_the_history(here):
    here.browser.connect(here.daemon, "check", "correct", "read")
    here.daemon.check(png(9), name="closed.png")
    popup = here.popup()
    popup.click("#latest .result")
    popup.wait("!document.querySelector('#problem').hidden")
    with here.browser.context.expect_page() as opened:
        popup.click("#problem button")
    expect(opened.value.locator(".code")).to_be_visible()
    assert "open" in here.daemon.access.pending()[0].scopes


def test_pictures_are_picked_from_the_popup(here):
    page = here.page()
    popup = here.popup(page)
    popup.click("#pick")
    here.browser.until(lambda: not popup.is_open())
    expect(page.locator("html > :not(head):not(body)")).to_have_count(1)  # the mode's own layer


def test_a_page_that_is_closed_to_extensions_is_said_and_offers_nothing(here):
    page = here.browser.context.new_page()
    page.goto("chrome://version")
    popup = here.popup(page)
    assert "lets no extension work on this page" in popup.text("#page")
    assert popup.shown("#pick") == []
    assert popup.shown("#site") == []


def test_a_site_is_chosen_in_the_popup_and_listed_in_the_options(here):
    popup = here.popup()
    assert popup.shown("#site legend") == [f"Pictures on {SITE}"]
    popup.click("input[value=never]")
    here.browser.until(lambda: here.browser.stored().get("sites") == {SITE: "never"})
    popup.close()
    page = here.options()
    expect(page.locator("#sites li")).to_contain_text("never checked")
    page.get_by_role("button", name=f"Remove {SITE}").click()
    expect(page.locator("#sites")).to_contain_text("No site yet")
    assert here.browser.stored()["sites"] == {}


def test_checking_on_its_own_says_why_it_needs_more_before_it_asks(here):
    popup = here.popup()
    popup.click("input[value=auto]")
    popup.wait("document.querySelector('#site .allow') !== null")
    assert "come from other servers" in popup.text(".hint")
    popup.close()
    here.browser.allow_all_sites()
    popup = here.popup()
    assert popup.read("document.querySelector('input[value=auto]').checked")
    assert popup.shown("#site .allow") == []
    assert "at most 30" in popup.text(".hint")


def test_nothing_jumps_while_the_popup_loads(here):
    here.browser.connect(here.daemon, *EVERYTHING)
    page = here.page()
    here.result(page, 1)
    popup = here.popup(page)
    script = """new Promise((done) => new PerformanceObserver((list) => done(
        list.getEntries().reduce((sum, one) => sum + one.value, 0)
    )).observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 500))"""
    assert popup.read(script) < 0.1


# --- Settings and permissions ---------------------------------------------------------------


def test_a_setting_is_kept_as_soon_as_it_is_changed(here):
    page = here.options()
    page.get_by_label("The whole address").check()
    page.get_by_label("Only on pictures and videos").check()
    page.get_by_label("Check the larger file").check()
    page.get_by_label(re.compile("^Put the title")).check()
    wanted = {
        "sendPage": "address",
        "menuOnPicturesOnly": True,
        "linked": "yes",
        "sendTitle": True,
        "port": here.daemon.port,
    }
    here.browser.until(lambda: here.browser.stored()["settings"] == wanted)
    page.reload()
    expect(page.get_by_label("The whole address")).to_be_checked()
    expect(page.get_by_label(re.compile("^Put the title"))).to_be_checked()


def test_a_permission_is_taken_back_in_the_options(here):
    page = here.options()
    expect(page.locator("#permissions .empty")).to_be_visible()
    here.browser.allow_all_sites()
    row = page.locator("#permissions li")
    expect(row).to_contain_text("All sites")
    row.get_by_role("button", name="Take back: All sites").click()
    expect(page.locator("#permissions .empty")).to_be_visible()
    assert not here.browser.may_load_all()
    here.browser.deny_all_sites()  # which answers the browser's question about antifake itself


def test_the_permission_page_says_for_which_site_and_offers_the_narrow_choice_first(here):
    page = here.browser.open(f"{PERMISSION}?origin=https%3A%2F%2Fcdn.example.org%2F*")
    expect(page.locator("#why")).to_contain_text("comes from cdn.example.org")
    expect(page.get_by_label("Those of cdn.example.org only")).to_be_checked()
    expect(page.locator(".button.main")).to_have_count(1)
    with page.expect_event("close"):
        page.get_by_role("button", name="Not now").click()


@pytest.mark.parametrize("origin", ["javascript:alert(1)", "https://*/*", "*", "<b>x</b>"])
def test_an_address_cannot_make_the_permission_page_name_another_site(here, origin):
    page = here.browser.context.new_page()
    page.goto(f"{ORIGIN}/{PERMISSION}?origin={origin}")
    expect(page.locator("#why")).to_contain_text("for the pictures of all sites")
    assert page.locator("#choice").is_hidden()


# --- For everybody --------------------------------------------------------------------------


def tab_walk(page: Page, most: int = 60) -> list[str]:
    """Presses Tab until the focus leaves the page. Returns what had it."""
    name = """() => {
      const at = document.activeElement;
      if (at === document.body) return "";
      if (at.getAttribute("aria-label")) return at.getAttribute("aria-label");
      return (at.labels?.[0] ?? at).innerText.trim();
    }"""
    names = []
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(name)
        if not found:
            break
        names.append(found)
    return names


def test_the_options_can_be_used_by_keyboard_alone(here):
    here.browser.store({"sites": {"example.org": "auto"}})
    page = here.options()
    names = tab_walk(page)
    for wanted in (
        "Connect",
        "antifake answers on another port",
        "Ask me once",
        "Only on pictures and videos",
        "Remove example.org",
        "Change…",
    ):
        assert wanted in names, names
    page.locator("body").click(position={"x": 1, "y": 1})
    page.get_by_role("button", name="Connect", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".code")).to_be_visible()
    focused = page.evaluate("() => document.activeElement.innerText")
    assert focused == "Compare these digits"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".note")).to_be_focused()


def test_the_popup_can_be_used_by_keyboard_alone(here):
    popup = here.popup()
    popup.press("Tab", 9)
    assert popup.read("document.activeElement.innerText") == "Connect…"
    for _ in range(2):
        popup.press("Tab", 9)
    assert popup.read("document.activeElement.value") == "ask"
    popup.press("ArrowRight", 39)
    here.browser.until(lambda: here.browser.stored().get("sites") == {SITE: "auto"})
    popup.press("ArrowRight", 39)
    here.browser.until(lambda: here.browser.stored().get("sites") == {SITE: "never"})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_popup(here, scheme):
    here.browser.connect(here.daemon, *EVERYTHING)
    page = here.page()
    tones = [("made", "Likely AI-made"), ("real", "Likely real"), ("unsure", "Cannot tell")]
    for number, (tone, word) in enumerate([*tones, ("failed", "Could not be checked")]):
        confirms = {"made": "fake", "real": "real"}.get(tone)
        about = {"tone": tone, "word": word, "confirms": confirms}
        here.result(page, number, name="n" * 90 + ".jpg", **about)
    popup = here.popup(page)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    popup.channel.send("Emulation.setEmulatedMedia", features=features)
    keep(popup, f"extension-popup-{scheme}")
    assert popup.channel.run(FAULTS) == []
    here.browser.store({"settings": {"port": free_port()}})
    popup.close()
    popup = here.popup(page)
    popup.channel.send("Emulation.setEmulatedMedia", features=features)
    assert popup.shown("#problem button") == ["Try again"]
    keep(popup, f"extension-popup-problem-{scheme}")
    assert popup.channel.run(FAULTS) == []


def keep(popup: Popup, name: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    taken = popup.channel.send("Page.captureScreenshot", format="png")["data"]
    (SCREENS / f"{name}.png").write_bytes(base64.b64decode(taken))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1000])
def test_axe_finds_nothing_in_the_options(here, scheme, width):
    here.browser.connect(here.daemon)
    here.browser.store({"sites": {"example.org": "auto", "a." * 60 + "example.com": "never"}})
    page = here.options()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    parts = ["", "?scope=read#connect"]
    for part in parts:
        page.goto(f"{ORIGIN}/{OPTIONS}{part}")
        expect(page.locator(".pairing" if part else ".box")).to_be_visible()
        SCREENS.mkdir(parents=True, exist_ok=True)
        name = f"extension-options-{'pairing-' if part else ''}{scheme}-{width}.png"
        page.screenshot(path=SCREENS / name, full_page=True)
        assert axe(page) == []
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, "it scrolls to the side"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_permission_page(here, scheme):
    page = here.browser.open(f"{PERMISSION}?origin=https%3A%2F%2Fcdn.example.org%2F*")
    page.emulate_media(color_scheme=scheme)
    page.screenshot(path=SCREENS / f"extension-permission-{scheme}.png")
    assert axe(page) == []


def test_the_popup_fits_at_200_percent(here):
    here.browser.connect(here.daemon, *EVERYTHING)
    popup = here.popup()
    popup.read("(document.documentElement.style.fontSize = '200%')")
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    popup.wait(wide)
