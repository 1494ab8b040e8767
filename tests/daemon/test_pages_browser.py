"""The web page in a real browser: with the mouse, with the keyboard only, by axe's rules, in
light and dark, and on a narrow screen. Screenshots are kept in build/screens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.axe import axe
from kit.page_desk import (
    FOCUSED,
    SMALL_TARGETS,
    Desk,
    desk_at,
    later,
    look,
    shoot,
)
from kit.pages import World, ago, scene, serving, world
from kit.waiting import eventually
from playwright.sync_api import Page, expect

from antifake.daemon.config import Folder
from antifake.daemon.store.history import Filter

ALL = Filter()
SHOWN = [
    "history",
    "filtered",
    "nothing",
    "picture",
    "said",
    "review",
    "folders",
    "browsers",
    "settings",
    "privacy",
    "error",
    "away",
]
IT_IS_REAL = re.compile("^It.s real")
THAT_IS_RIGHT = re.compile("^Yes, that.s right")
HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(2)</script>.png",
    "n" * 180 + ".jpg",
    "two\nlines.png",
    "photo_\u202egpj.exe",
    "caf\udce9\udcff.jpg",
]


@dataclass
class Shown:
    """A page in one colour scheme."""

    page: Page
    url: str
    paths: dict[str, str]
    scheme: str


@pytest.fixture
def desk(here, served, chromium) -> Iterator[Desk]:
    with desk_at(here, served, chromium) as made:
        yield made


def fill(world: World) -> None:
    """A realistic history."""
    made = [
        ("sunset-over-the-harbour.jpg", {"label": "real", "p_fake": 0.04}),
        ("portrait_final_v2.png", {"label": "fake", "p_fake": 0.97, "format": "PNG"}),
        ("screenshot 2026-11-22.png", {"label": "unsure", "p_fake": 0.47, "format": "PNG"}),
        ("IMG_20261121_181512.heic", {"label": "real", "p_fake": 0.21, "format": "HEIF"}),
        ("meme.webp", {"label": "fake", "p_fake": 0.72, "format": "WEBP"}),
        ("grandmother-1962-scan.tif", {"label": "fake", "p_fake": 0.81, "format": "TIFF"}),
        ("kitchen.jpg", {"label": "real", "p_fake": 0.33}),
    ]
    for n, (name, about) in enumerate(made):
        at = ago(minutes=7) if not n else ago(hours=5.5 * n)
        check = world.add(name, at=at, thumb=scene(n + 3), **about)
        if name.startswith("grandmother"):
            world.service.correct([check.id], "real", "api", "scanned it myself")
    world.add(
        None,
        at=ago(hours=3),
        thumb=scene(40),
        page="news.example.org",
        source="extension",
        label="fake",
        p_fake=0.93,
    )
    world.add_failed("half-a-download.jpg", "The picture ends in the middle.")


# --- Getting in, finding -------------------------------------------------------------------


def test_the_link_opens_the_history_and_works_once(here, served, desk):
    here.add("cat.jpg")
    desk.open()
    expect(desk.page).to_have_title("History · antifake")
    assert not desk.page.evaluate("document.cookie")
    with desk.page.context.browser.new_context() as other:
        page = other.new_page()
        page.goto(served)
        expect(page.locator("h1")).to_have_text("This page is only for you")
        page.goto(f"{served}/enter?code=wrong")
        expect(page.locator("h1")).to_contain_text("This link has been used")


def test_searching_and_filtering_by_mouse(here, desk):
    fill(here)
    page = desk.open()
    page.get_by_label("Search by file name").fill("SCREEN")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("link", name="Without: Name has “SCREEN”").click()
    expect(page.locator(".row")).to_have_count(9)
    page.locator(".tabs").get_by_role("link", name="AI-made").click()
    expect(page.locator(".row")).to_have_count(4)
    page.get_by_text("More filters").click()
    page.get_by_label("From", exact=True).select_option("extension")
    page.get_by_role("button", name="Use filters").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".chips a")).to_have_count(3)


def test_everything_can_be_read_without_javascript(here, served, chromium):
    fill(here)
    for n in range(60):
        here.add(f"old{n:02}.jpg", at=ago(days=40, minutes=n))
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{served}/enter?code={here.access.mint_login()}")
        page.get_by_role("link", name="Older", exact=True).click()
        expect(page.locator(".row").first).to_contain_text("old41.jpg")
        page.get_by_label("Search by file name").fill("meme")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="meme.webp").click()
        expect(page.locator(".big")).to_contain_text("Likely AI-made 72 %")
        expect(page.get_by_role("button", name=IT_IS_REAL)).to_be_hidden()
        expect(page.get_by_text("allow it for this page")).to_be_visible()


# --- Labels --------------------------------------------------------------------------------


def test_one_picture_is_corrected_and_undone_by_keyboard_alone(here, desk):
    fill(here)
    before = [here.service.get(one.id) for one in here.service.page(ALL)[0]]
    desk.open()
    desk.keys("j j j")
    expect(desk.row("news.example.org").locator("a.name")).to_be_focused()
    desk.keys("r")
    expect(desk.verdict("news.example.org")).to_have_text("You said: real")
    desk.toast("You said: real.")
    desk.keys("z")
    expect(desk.verdict("news.example.org")).to_have_text("AI-made 93 %")
    assert [here.service.get(one.id) for one in here.service.page(ALL)[0]] == before


def test_many_are_corrected_by_keyboard_and_undone_with_the_button(here, desk):
    fill(here)
    word = here.service.get(next(id_of(here, "grandmother")))
    page = desk.open()
    desk.keys("j x j x")
    expect(page.locator("#picked")).to_have_text("2 selected")
    page.get_by_label("Select grandmother-1962-scan.tif").check()
    desk.keys("a")
    expect(desk.verdict("sunset")).to_have_text("You said: AI-made")
    expect(desk.verdict("grandmother")).to_have_text("You said: AI-made")
    expect(page.locator("#bulk")).to_be_hidden()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(desk.verdict("sunset")).to_have_text("Likely real 96 %")
    expect(desk.verdict("grandmother")).to_have_text("You said: real")
    assert here.service.get(word.id) == word


def test_verdicts_are_confirmed_by_keyboard_and_undone(here, desk):
    fill(here)
    page = desk.open()
    desk.keys("j j y")
    expect(desk.verdict("sunset")).to_have_text("You said: real")
    desk.keys("z")
    expect(desk.verdict("sunset")).to_have_text("Likely real 96 %")
    page.get_by_label("Select all on this page").check()
    page.locator("#bulk").get_by_role("button", name=THAT_IS_RIGHT).click()
    desk.toast("You said that 7 verdicts are right.")
    expect(desk.verdict("meme")).to_have_text("You said: AI-made")
    expect(desk.verdict("kitchen")).to_have_text("You said: real")
    expect(desk.verdict("screenshot")).to_have_text("Cannot tell")
    desk.row("screenshot").locator("a.name").focus()
    desk.keys("y")
    desk.toast("no verdict to confirm")


def test_a_verdict_is_confirmed_on_its_own_page_and_in_the_review(here, desk):
    one = here.add("cat.jpg", label="fake", thumb=scene(5))
    unsure = here.add("dog.jpg", label="unsure", thumb=scene(6), at=ago(hours=1))
    page = desk.open(f"/picture/{unsure.id}")
    expect(page.get_by_role("button", name=IT_IS_REAL)).to_be_visible()
    expect(page.get_by_role("button", name=THAT_IS_RIGHT)).to_have_count(0)
    desk.keys("y")
    desk.open(f"/picture/{one.id}")
    page.get_by_role("button", name=THAT_IS_RIGHT).click()
    expect(page.locator(".big")).to_contain_text("You said: AI-made")
    expect(page.get_by_role("button", name=THAT_IS_RIGHT)).to_have_count(0)
    desk.keys("z")
    expect(page.locator(".big")).to_contain_text("AI-made 94 %")
    desk.open("/review")
    expect(page.locator(".judged .name")).to_have_text("dog.jpg")
    desk.keys("y s")
    expect(page.locator(".judged .name")).to_have_text("cat.jpg")
    desk.keys("y")
    expect(page.locator(".empty")).to_contain_text("That is all for today.")
    assert here.service.get(one.id).entry.correction.label == "fake"
    assert here.service.get(unsure.id).correction is None


def test_a_picture_that_could_not_be_read_is_left_out_of_corrections(here, desk):
    here.add("fine.jpg")
    here.add_failed("broken.jpg", "It ends in the middle.")
    page = desk.open()
    page.get_by_label("Select all on this page").check()
    page.locator("#bulk").get_by_role("button", name="Cannot tell").click()
    desk.toast("You said: cannot tell.")
    desk.row("broken.jpg").locator("a.name").focus()
    desk.keys("r")
    desk.toast("could not be read")


def test_keys_do_nothing_while_typing_and_can_be_switched_off(here, desk):
    fill(here)
    page = desk.open()
    desk.keys("/ r a x")
    expect(page.get_by_label("Search by file name")).to_have_value("rax")
    page.get_by_label("Search by file name").blur()
    desk.keys("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    sent = []
    page.on("request", lambda asked: sent.append(asked.url))
    desk.keys("j r")
    later(page)
    assert [url for url in sent if "/changes/" in url] == []
    expect(page.locator("#toast")).to_be_empty()
    desk.open()
    desk.keys("?")
    later(page)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_note_is_kept_with_the_label(here, desk):
    one = here.add("cat.jpg", label="fake", thumb=scene(5))
    page = desk.open(f"/picture/{one.id}")
    page.get_by_label("Note").fill("my <b>own</b> cat")
    page.get_by_role("button", name=IT_IS_REAL).click()
    expect(page.locator(".big")).to_contain_text("You said: real")
    assert here.service.get(one.id).correction.note == "my <b>own</b> cat"
    expect(page.get_by_label("Note")).to_have_value("my <b>own</b> cat")
    page.get_by_role("button", name="Take my answer back").click()
    expect(page.locator(".big")).to_contain_text("AI-made 94 %")


def test_forgetting_asks_first(here, desk):
    one = here.add("cat.jpg", thumb=scene(5))
    page = desk.open(f"/picture/{one.id}")
    page.get_by_role("button", name="Forget this picture").click()
    page.get_by_role("button", name="Keep").click()
    assert here.service.get(one.id)
    page.get_by_role("button", name="Forget this picture").click()
    expect(page.get_by_role("dialog")).to_contain_text("watched folder")
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.locator(".empty")).to_contain_text("Nothing has been checked yet.")


def test_the_review_asks_about_todays_pictures_one_by_one(here, desk):
    """By keyboard: say, undo, skip, open. Nothing that was skipped is asked about again."""
    for number in range(12):
        here.add(
            f"unsure-{number:02d}.jpg", label="unsure", thumb=scene(number), at=ago(hours=number)
        )
    page = desk.open("/review")
    expect(page.locator(".heading")).to_contain_text("10 pictures left today")
    expect(page.locator(".why")).to_contain_text("The model cannot tell")
    first = page.locator(".judged .name").text_content()
    desk.keys("a")
    expect(page.locator(".judged .name")).not_to_have_text(first)
    desk.toast("You said: AI-made")
    expect(page.locator(".heading")).to_contain_text("9 pictures left today, 1 done")
    desk.keys("z")
    expect(page.locator(".judged .name")).to_have_text(first)
    desk.keys("s")
    desk.toast("not asked about it again for 30 days")
    expect(page.locator("#toast").get_by_role("button", name="Undo")).to_have_count(0)
    for left in range(9, 0, -1):
        expect(page.locator(".heading")).to_contain_text(f"{left} picture")
        expect(page.locator(".judged .name")).not_to_have_text(first)
        desk.keys("r")
    expect(page.locator(".empty")).to_contain_text("That is all for today.")
    expect(page.locator(".empty")).to_contain_text("10 pictures are done")


# --- Updates -------------------------------------------------------------------------------


def test_new_pictures_are_announced_and_move_nothing(here, desk):
    fill(here)
    page = desk.open("/?verdict=fake")
    for n in range(2):
        one = here.add(f"new{n}.jpg", label="fake", at=ago(minutes=-n))
        here.service.events.tell("check", id=one.id)
    other = here.add("other.jpg", label="real", at=ago(minutes=-5))
    here.service.events.tell("check", id=other.id)
    page.get_by_role("link", name="2 new").click()
    expect(page.locator(".row")).to_have_count(6)


def test_corrections_and_deletions_made_elsewhere_show_on_the_page(here, desk):
    fill(here)
    page = desk.open()
    for name in ("near.jpg", "copy.jpg"):
        near = here.add(name, phash=0x5A5A_1234_9ABC_0F0F)
    desk.open()
    here.service.correct(list(id_of(here, "meme")), "real", "tray")
    expect(desk.verdict("meme")).to_have_text("You said: real")
    here.service.correct([near.id], "fake", "tray")
    expect(desk.verdict("near.jpg")).to_have_text("You said: AI-made")
    kitchen = here.service.get(next(id_of(here, "kitchen"))).entry.check
    here.add("again.jpg", sha256=kitchen.sha256, at=ago(minutes=30))
    desk.open()
    here.service.forget([kitchen.id])
    expect(desk.row("kitchen")).to_have_count(0)
    expect(desk.row("again.jpg")).to_have_count(0)
    here.service.notice("The disk was full for a while.")
    expect(page.locator("#notices")).to_contain_text("The disk was full")
    expect(page.locator("#state")).to_contain_text("Needs you")
    page.get_by_role("button", name="I have read it").click()
    expect(page.locator("#notices section")).to_have_count(0)
    expect(page.locator("#state")).to_contain_text("Ready")


def test_a_page_without_a_stream_polls(here, desk):
    fill(here)
    desk.page.clock.install()
    desk.page.route("**/live?**", lambda route: route.fulfill(status=503))
    desk.open()
    here.service.correct(list(id_of(here, "meme")), "real", "tray")
    desk.page.clock.run_for(11_000)
    eventually(lambda: _ticked(desk) == "You said: real")


def _ticked(desk: Desk) -> str:
    desk.page.clock.run_for(1_000)
    return desk.verdict("meme").text_content()


# --- Folders, browsers, settings -----------------------------------------------------------


def test_a_folder_is_added_paused_and_removed(here, desk, tmp_path):
    (tmp_path / "in").mkdir()
    with here.watching():
        page = desk.open("/folders")
        page.get_by_role("button", name="Watch it").click()
        expect(page.get_by_role("alert")).to_have_text("Say which folder: its whole path.")
        page.get_by_label("Its whole path").fill(str(tmp_path / "in"))
        page.get_by_text("More", exact=True).click()
        page.get_by_label("Never these").fill("private/**")
        page.get_by_role("button", name="Watch it").click()
        expect(page.locator("#folders li")).to_contain_text("never private/**")
        expect(page.get_by_label("Its whole path")).to_have_value("")
        page.get_by_role("button", name="Pause for an hour").click()
        expect(page.locator("#folders")).to_contain_text("Paused until")
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Pause for an hour").wait_for()
        page.get_by_role("button", name="Remove").click()
        expect(page.locator("#folders")).to_contain_text("No folder is watched.")
    assert here.service.config.watch.folders == ()


def test_a_setting_is_saved_as_it_is_changed_and_undone(here, desk):
    page = desk.open("/settings")
    level = page.get_by_label("Tell me about", exact=True)
    level.focus()
    level.select_option("every picture")
    desk.toast("Saved. Tell me about: every picture.")
    expect(level).to_be_focused()
    assert here.service.config.notifications.level == "all"
    page.get_by_role("button", name="Undo").click()
    desk.toast("Undone. Tell me about: errors and AI-made pictures.")
    expect(level).to_have_value("ai")
    expect(level).to_be_focused()
    assert here.service.config.notifications.level == "ai"
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_settings_are_changed_by_keyboard_alone(here, desk):
    page = desk.open("/settings")
    page.get_by_label("Show the picture in notifications", exact=True).focus()
    page.keyboard.press("Space")
    desk.toast("Saved. Show the picture in notifications: off.")
    for _ in ("back to the default", "the page about privacy", "days"):
        page.keyboard.press("Tab")
    days = page.get_by_label("Keep checks for", exact=True)
    expect(days).to_be_focused()
    page.keyboard.type("30")
    page.keyboard.press("Enter")
    desk.toast("Saved. Keep checks for: 30 days.")
    expect(days).to_be_focused()
    assert (here.service.config.notifications.pictures, here.service.config.history.keep_days) == (
        False,
        30,
    )
    page.get_by_label("Show the picture in notifications", exact=True).focus()
    page.keyboard.press("Control+z")
    desk.toast("Undone. Keep checks for: 0 days.")
    expect(days).to_be_focused()
    page.get_by_label("Show the picture in notifications", exact=True).focus()
    page.keyboard.press("Control+z")
    desk.toast("Undone. Show the picture in notifications: on.")
    assert (here.service.config.notifications.pictures, here.service.config.history.keep_days) == (
        True,
        0,
    )


def test_the_error_of_a_setting_is_shown_beside_it(here, desk):
    page = desk.open("/settings")
    port = page.get_by_label("Port", exact=True)
    expect(port).not_to_be_visible()
    page.get_by_text("Advanced", exact=True).click()
    port.fill("80")
    port.press("Tab")
    error = page.locator("#server-port-error")
    expect(error).to_have_text("“Port” cannot be 80: it must be from 1,024 to 65,535.")
    expect(error).to_have_role("alert")
    expect(port).not_to_be_focused()  # the user has gone on
    expect(port).to_have_attribute("aria-invalid", "true")
    expect(port).to_have_value("80")
    port.fill("8800")
    port.press("Enter")
    desk.toast("Saved. Port: 8800, from the next start on.")
    expect(error).to_be_empty()
    assert here.service.config.server.port == 8800
    page.get_by_role("button", name="Reset: Port").click()
    expect(port).to_have_value("8765")
    expect(port).to_be_focused()
    expect(page.get_by_role("button", name="Reset: Port")).not_to_be_visible()
    assert here.service.config.server.port == 8765


def test_a_setting_that_changes_elsewhere_is_shown(here, desk):
    page = desk.open("/settings")
    days, level = (
        page.get_by_label("Keep checks for", exact=True),
        page.get_by_label("Tell me about", exact=True),
    )
    days.fill("12")
    here.service.settings.put_all({"history.keep_days": 99, "notifications.level": "none"})
    here.service.events.tell("settings")
    expect(level).to_have_value("none")
    expect(days).to_have_value("12")  # it is being typed


def test_a_link_to_an_advanced_setting_unfolds_it(desk):
    page = desk.open("/settings#logs-level")
    expect(page.get_by_label("Write to the log", exact=True)).to_be_visible()


def test_a_pairing_request_appears_and_is_accepted(here, desk):
    page = desk.open("/")
    asked = here.access.ask("Firefox on this laptop", "moz-extension://5f0c", ["check", "correct"])
    page.get_by_role("link", name="See the request").click()
    expect(page.locator(".code")).to_have_text(asked.code)
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("dialog").get_by_role("button", name="Let it in").click()
    expect(page.locator("#pairings")).to_be_empty()
    may = page.locator("#clients .may li")
    expect(may).to_have_text(["Have pictures checked", "Say what a picture is"])
    assert here.access.poll(asked.id, asked.secret).state == "accepted"
    page.get_by_role("button", name="Shut out: Firefox").click()
    page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
    expect(page.locator("#clients")).to_contain_text("Nothing is connected.")
    second = here.access.ask("Somebody", None, ["check"])
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#pairings")).to_be_empty()
    assert here.access.poll(second.id, second.secret).state == "rejected"


def test_a_press_counts_also_if_that_part_of_the_page_changes_meanwhile(here, desk):
    here.service.notice("The disk was full for a while.")
    page = desk.open()
    page.get_by_role("button", name="I have read it").hover()
    page.mouse.down()
    with page.expect_response("**/pieces/notices*"):
        here.service.notice("A folder cannot be read.")
    page.wait_for_timeout(300)  # until a replacement would have been made
    expect(page.locator("#notices p")).to_have_text(
        ["The disk was full for a while.", "I have read it"]
    )
    page.mouse.up()
    expect(page.locator("#notices p")).to_have_text(["A folder cannot be read.", "I have read it"])


# --- Accessibility -------------------------------------------------------------------------


def test_hostile_names_do_nothing_in_a_browser(here, desk):
    ids = [here.add(name, label="unsure").id for name in HOSTILE]
    for path in ["/", "/review", *(f"/picture/{one}" for one in ids)]:
        page = desk.open(path)
        assert page.evaluate("document.images.length") <= 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.open()
    desk.keys("j r")
    desk.toast("You said: real")


@pytest.fixture(scope="module", params=["light", "dark"])
def shown(request, chromium, home, tmp_path_factory) -> Iterator[Shown]:
    """Every page with some content is photographed and checked by axe.

    The test injects axe and bypasses the CSP, which rightly forbids that.
    """
    folder = tmp_path_factory.mktemp("shown")
    options = {"bypass_csp": True, "color_scheme": request.param}
    with (
        world(folder, home) as made,
        serving(made.app()) as url,
        chromium.new_context(**options) as context,
    ):
        paths = prepared(made, folder)
        with made.watching():
            page = context.new_page()
            page.goto(f"{url}/enter?code={made.access.mint_login()}")
            yield Shown(page, url, paths, request.param)


@pytest.mark.parametrize("name", SHOWN)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(shown, name):
    page = shown.page
    page.set_viewport_size({"width": 1180, "height": 860})
    look(page, shown.url + shown.paths[name])
    # 590 x 430 is 1180 x 860 at 200 % zoom.
    for size, width, height in [("", 1180, 860), ("-zoomed", 590, 430), ("-narrow", 390, 844)]:
        page.set_viewport_size({"width": width, "height": height})
        assert axe(page) == []
        shoot(page, f"{name}-{shown.scheme}{size}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_axe_finds_nothing_in_dialogs_and_menus(here, served, chromium):
    fill(here)
    with chromium.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{served}/enter?code={here.access.mint_login()}")
        page.get_by_label("Select all on this page").check()
        page.get_by_text("More filters").click()
        page.locator("#bulk").get_by_role("button", name=IT_IS_REAL).click()
        expect(page.locator("#toast")).to_contain_text("You said")
        page.get_by_label("Select all on this page").check()
        shoot(page, "selected")
        assert axe(page) == []
        page.get_by_role("button", name="Forget").click()
        shoot(page, "forget")
        assert axe(page) == []
        page.get_by_role("button", name="Keep").click()
        page.get_by_role("button", name="Select nothing").click()
        page.keyboard.press("?")
        shoot(page, "keys")
        assert axe(page) == []


def test_everything_can_be_reached_by_tab_and_shows_its_focus(here, desk):
    fill(here)
    page = desk.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search by file name")).to_be_focused()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        about = page.evaluate(FOCUSED)
        assert about["outline"] != "none", about
        assert about["width"] >= 18, about
        seen.add(about["name"])
        if "Log out" in seen:
            break
    assert {"All 9", "More filters", "meme.webp", "Keyboard", "Log out"} <= seen


def test_click_targets_are_large_enough(here, desk, tmp_path):
    for path in prepared(here, tmp_path).values():
        look(desk.page, desk.url + path)
        assert desk.page.evaluate(SMALL_TARGETS) == [], path


def prepared(here: World, tmp_path: Path) -> dict[str, str]:
    """Returns every page with some content, by a name for its screenshot."""
    fill(here)
    about = {"include": ("*.jpg", "*.png"), "exclude": ("private/**",)}
    for folder in ("Downloads", "Pictures from the old camera", "on a drive that is not there"):
        (tmp_path / folder).mkdir()
        here.service.settings.watch(Folder(path=tmp_path / folder, **about))
        about = {}
    (tmp_path / folder).rmdir()  # the drive is pulled out
    here.access.issue("Firefox", ["check", "read", "correct", "open"], "moz-extension://2b1f")
    here.access.local_secret(tmp_path / "local.token")
    here.access.ask("Chrome on this laptop", "chrome-extension://jkfe", ["check", "open"])
    here.service.notice("The history was damaged and was restored from the backup of yesterday.")
    here.requests.append("2026-11-20T10:02:11+00:00     344,019,876 bytes  mini, from example.org")
    grandmother, portrait = next(id_of(here, "grandmother")), next(id_of(here, "portrait"))
    return {
        "history": "/",
        "filtered": "/?verdict=fake&source=watch&q=e",
        "nothing": "/?q=unknown",
        "picture": f"/picture/{portrait}",
        "said": f"/picture/{grandmother}",
        "review": "/review",
        "folders": "/folders",
        "browsers": "/browsers",
        "settings": "/settings",
        "privacy": "/privacy",
        "error": "/picture/0000000000000",
        "away": "/enter?code=used",
    }


def id_of(here: World, name: str) -> Iterator[str]:
    for answer in here.service.page(ALL)[0]:
        if name in (answer.entry.check.path or ""):
            yield answer.id
