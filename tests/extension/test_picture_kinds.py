"""Pictures of every kind: each is judged from its true bytes, or the card says what it was."""

import hashlib
from itertools import count

import pytest
from kit.desk import Desk
from kit.gallery import ASKS, CASES, SCREEN, TRUE_BYTES, Case, Scene, address_of, scene_of

_SEEDS = count(1000)
NAMES = [case.name for case in CASES]


def show(desk: Desk, case: Case) -> Scene:
    scene = scene_of(desk.sites, next(_SEEDS))
    desk.page.goto(address_of(scene, case))
    desk.page.wait_for_function(f"() => {case.ready}")
    return scene


def expect_judged(desk: Desk, seen: str, scene: Scene) -> None:
    """Expects that the card says what was judged, and that it is true."""
    assert seen in desk.verdict().text
    judged = desk.judged()
    assert (hashlib.sha256(scene.data).hexdigest() in judged) == (seen in TRUE_BYTES)
    assert hashlib.sha256(scene.other).hexdigest() not in judged


# The narrow ones are first: they need the extension as it is after the installation.


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_this_tab_only(case: Case, connected: Desk) -> None:
    scene = show(connected, case)
    connected.ask()
    if case.narrow == ASKS:
        connected.card(ASKS).press("Use a screen copy")
    expect_judged(connected, SCREEN if case.narrow == ASKS else case.narrow, scene)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_every_site(case: Case, connected: Desk) -> None:
    connected.browser.allow_all_sites()
    scene = show(connected, case)
    connected.ask()
    expect_judged(connected, case.allowed, scene)
