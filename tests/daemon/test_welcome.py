"""The welcome: from an empty home to the first watched picture that is judged, without a terminal.

The walk is photographed; the pictures are in build/screens, first-run-1.png and so on.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.axe import axe
from kit.daemon import Asked, mini_daemon
from kit.pace import within
from kit.page_desk import SMALL_TARGETS, later, look, shoot
from kit.pages import serving, world
from kit.waiting import eventually
from playwright.sync_api import Page, expect

from antifake.core.samples import photographs
from antifake.daemon.autostart import Session
from antifake.daemon.config import Folder
from antifake.daemon.web.pages.welcome import STEPS

# --- Where it begins and ends ---------------------------------------------------------------


def entered(here) -> str:
    """Returns where a link without a target leads."""
    browser = here.app().test_client()
    answer = browser.get(f"/enter?code={here.access.mint_login()}")
    return answer.headers["Location"].partition("#")[0]


def test_the_first_visit_begins_with_the_welcome(here):
    assert entered(here) == "/welcome"


def test_whoever_has_something_already_sees_the_history(here):
    here.add("cat.jpg")
    assert entered(here) == "/"


def test_with_a_watched_folder_the_history_opens(here, tmp_path):
    here.service.settings.watch(Folder(tmp_path))
    assert entered(here) == "/"


def test_a_welcome_that_was_ended_does_not_come_again_and_is_found_in_the_settings(here, me):
    sent = {"headers": {"X-Requested-By": "antifake"}, "json": {}}
    assert me.post("/changes/welcome/end", **sent).status_code == 200
    assert entered(here) == "/"
    assert 'href="/welcome"' in me.get("/settings").text


@pytest.mark.parametrize("step", STEPS)
def test_every_step_can_be_left_out(me, step):
    page = me.get(f"/welcome/{step}").text
    assert "Skip all of this" in page or ">Done<" in page
    names = list(STEPS)
    for name in names[names.index(step) + 1 :][:1]:
        assert f'href="/welcome/{name}">' in page


def test_a_step_or_sample_that_is_not_there_is_said_so(me):
    assert me.get("/welcome/nonsense").status_code == 404
    assert me.get("/welcome/sample/..%2Fdream.jpg").status_code == 404


# --- Folders --------------------------------------------------------------------------------


@pytest.fixture
def person_home(tmp_path, monkeypatch) -> Path:
    """A person's home folder, with the usual folders in it."""
    home = tmp_path / "person"
    for name in ("Downloads", "Pictures"):
        (home / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_DOWNLOAD_DIR", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return home


def choose(me, **chosen):
    body = {"downloads": False, "pictures": False, "other": ""} | chosen
    return me.post("/changes/welcome/folders", headers={"X-Requested-By": "antifake"}, json=body)


def test_downloads_are_suggested_and_nothing_is_chosen_beforehand(me, person_home):
    page = me.get("/welcome/folders").text
    assert str(person_home / "Downloads") in page
    assert str(person_home / "Pictures") in page
    assert page.count("Suggested") == 1
    assert " checked" not in page.split("<fieldset>")[1].split("</fieldset>")[0]


def test_chosen_folders_are_watched(here, me, person_home):
    other = person_home / "Scans"
    other.mkdir()
    said = choose(me, downloads=True, other=str(other)).json["said"]
    assert (
        said == f"New pictures in {person_home / 'Downloads'} and {other} are checked from now on."
    )
    watched = [folder.path for folder in here.service.config.watch.folders]
    assert watched == [person_home / "Downloads", other]
    assert "Downloads is watched" in me.get("/pieces/suggestions").text


@pytest.mark.usefixtures("person_home")
def test_without_a_choice_nothing_is_watched(here, me):
    answer = choose(me)
    assert (answer.status_code, here.service.config.watch.folders) == (422, ())
    assert "go on without one" in answer.json["error"]


def test_a_folder_that_is_not_there_is_refused(here, me, person_home):
    assert choose(me, other=str(person_home / "nothing")).status_code == 422
    assert here.service.config.watch.folders == ()


def test_without_a_screen_no_icon_is_offered(me):
    assert "Show the icon now" not in me.get("/welcome/notifications").text
    asked = me.post("/changes/welcome/icon", headers={"X-Requested-By": "antifake"}, json={})
    assert (asked.status_code, "no screen" in asked.json["error"]) == (422, True)


# --- How it looks ---------------------------------------------------------------------------


@dataclass
class Shown:
    page: Page
    url: str
    scheme: str


@pytest.fixture(scope="module", params=["light", "dark"])
def shown(request, chromium, home, tmp_path_factory) -> Iterator[Shown]:
    options = {"bypass_csp": True, "color_scheme": request.param}
    with (
        world(tmp_path_factory.mktemp("shown"), home) as made,
        serving(made.app()) as url,
        chromium.new_context(**options) as context,
    ):
        page = context.new_page()
        page.goto(f"{url}/enter?code={made.access.mint_login()}")
        yield Shown(page, url, request.param)


@pytest.mark.parametrize("step", STEPS)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(shown, step):
    page = shown.page
    page.set_viewport_size({"width": 1180, "height": 860})
    look(page, f"{shown.url}/welcome/{step}")
    # 590 x 430 is 1180 x 860 at 200 % zoom.
    for size, width, height in [("", 1180, 860), ("-zoomed", 590, 430), ("-narrow", 390, 844)]:
        page.set_viewport_size({"width": width, "height": height})
        assert axe(page) == []
        shoot(page, f"welcome-{step}-{shown.scheme}{size}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(SMALL_TARGETS) == []


# --- The first run --------------------------------------------------------------------------


@pytest.fixture
def daemon(person_home, tmp_path, mini_home, monkeypatch) -> Iterator[Asked]:
    assert person_home.is_dir()
    monkeypatch.setenv("PATH", str(tmp_path))  # without systemctl: entries in files
    with mini_daemon(tmp_path, mini_home) as asked:
        yield asked


class Film:
    """Photographs each step, and counts steps and time."""

    def __init__(self, page: Page) -> None:
        self.page, self.steps, self.began_s = page, 0, time.monotonic()

    def press(self, name: str, role: str = "button", leads_to: str = ".") -> None:
        self.page.get_by_role(role, name=name, exact=True).click()
        self.steps += 1
        expect(self.page).to_have_title(re.compile(leads_to))
        later(self.page)
        self.shoot()

    def shoot(self) -> None:
        shoot(self.page, f"first-run-{self.steps}")


def test_from_an_empty_home_to_the_first_watched_picture(daemon, person_home, chromium):
    with chromium.new_context(viewport={"width": 1180, "height": 860}) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{daemon.port}/enter?code={daemon.access.mint_login()}")
        film = Film(page)
        film.shoot()
        expect(page.get_by_role("heading", level=1)).to_have_text("Welcome to antifake")
        film.press("Start", "link")
        page.get_by_label(str(person_home / "Downloads")).check()
        film.press("Watch these")
        expect(page.locator("#folders")).to_contain_text("Downloads")
        film.press("Next", "link")
        film.press("Next", "link")
        film.press("Start when I log in")
        expect(page.locator("#starting")).to_contain_text("antifake starts when you log in.")
        film.press("Put it in the menu")
        expect(page.locator("#starting")).to_contain_text("antifake is in the menu")
        menu = Session.of_this_process().menu
        assert menu.path == person_home / ".local/share/applications/antifake.desktop"
        assert menu.status().is_on
        film.press("Next", "link")
        film.press("Next", "link")
        for name, word in (
            ("china", "Likely real"),
            ("flower", "Likely real"),
            ("dream", "AI-made"),
        ):
            film.press(f"Check this one: {name}.jpg")
            answer = page.locator("li", has_text=f"{name}.jpg").locator("[data-answer]")
            expect(answer).to_contain_text(word, timeout=within(30_000), ignore_case=True)
        film.press("Done", leads_to="^History")
        (person_home / "Downloads" / "holiday.jpg").write_bytes(changed(photographs()[1]))
        row = page.locator(".row", has_text="holiday.jpg")
        eventually(lambda: page.reload() and row.count(), every_s=0.5)
        expect(row).to_contain_text("Likely real", ignore_case=True)
        film.steps += 1
        film.shoot()
        took_s = time.monotonic() - film.began_s
        print(f"first run: {film.steps} presses, {took_s:.0f} s")
        assert film.steps <= 15
    assert not daemon.service.config.page.welcome
    assert daemon.service.config.login.start
    daemon.service.settings.put_all({"login.menu": False, "login.start": False})
    assert not menu.path.exists()
    assert not menu.icon.exists()


def changed(photograph: Path) -> bytes:
    """Returns the same picture as other bytes."""
    return photograph.read_bytes() + b"\0"
