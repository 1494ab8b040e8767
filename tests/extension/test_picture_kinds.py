"""Pictures of every kind: each is judged from its true bytes, or the card says what it was."""

import hashlib
from itertools import count

import pytest
from kit.desk import Desk, image
from kit.gallery import (
    ASKS,
    CASES,
    FILE,
    NO_CARD,
    SCREEN,
    TRUE_BYTES,
    Case,
    Scene,
    address_of,
    scene_of,
)
from kit.overlays import cards
from kit.popup import Popup
from playwright.sync_api import Frame

_SEEDS = count(1000)
NAMES = [case.name for case in CASES]


def show(desk: Desk, case: Case) -> Scene:
    scene = scene_of(desk.sites, next(_SEEDS), case)
    desk.page.goto(address_of(scene, case))
    frame_of(desk, case).wait_for_function(f"() => {case.ready}")
    return scene


def frame_of(desk: Desk, case: Case) -> Frame:
    if case.frame is None:
        return desk.page.main_frame
    frame = desk.page.locator(case.frame).element_handle().content_frame()
    assert frame is not None
    return frame


def ask(desk: Desk, case: Case) -> None:
    desk.browser.let_into(desk.page)
    desk.browser.right_click(desk.page, frame_of(desk, case).locator(case.target))


def expect_judged(desk: Desk, seen: str, scene: Scene) -> None:
    """Expects that the card says what was judged, and that it is true."""
    assert seen in desk.verdict().text
    judged = desk.judged()
    assert (hashlib.sha256(scene.data).hexdigest() in judged) == (seen in TRUE_BYTES)
    assert hashlib.sha256(scene.other).hexdigest() not in judged


def expect_only_told(desk: Desk, sentence: str) -> None:
    """Expects that the popup says why there is no card."""
    desk.browser.until(lambda: desk.browser.badge(desk.page) == "!")
    popup = Popup.over(desk.browser, desk.page)
    desk.browser.until(lambda: sentence in popup.text())
    popup.close()
    assert cards(desk.page) == []


# The narrow ones are first: they need the extension as it is after the installation.


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_this_tab_only(case: Case, connected: Desk) -> None:
    scene = show(connected, case)
    ask(connected, case)
    if case.narrow == NO_CARD:
        expect_only_told(connected, NO_CARD)
        assert hashlib.sha256(scene.data).hexdigest() not in connected.judged()
        return
    if case.narrow == ASKS:
        connected.card(ASKS).press("Use a screen copy")
    expect_judged(connected, SCREEN if case.narrow == ASKS else case.narrow, scene)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_every_site(case: Case, connected: Desk) -> None:
    connected.browser.allow_all_sites()
    scene = show(connected, case)
    ask(connected, case)
    expect_judged(connected, case.allowed, scene)


def test_a_video_that_shows_nothing_yet(connected: Desk) -> None:
    connected.show("<video id=it src=/endless.webm width=200 height=200></video>")
    connected.ask()
    connected.card("This video shows no picture yet")


def test_a_video_that_loads_does_not_hide_the_picture_under_it(connected: Desk) -> None:
    one = connected.picture()
    at = "style='position: absolute; left: 0; top: 0'"
    video = f"<video src=/endless.webm width=200 height=200 {at}></video>"
    connected.show(f"{image(one, f'id=it {at}')}{video}")
    connected.ask()
    assert FILE in connected.verdict().text
    assert one.sha256 in connected.judged()
