"""Pictures of every kind: each is judged from its true bytes, or the card says what it was."""

import hashlib
import io
from itertools import count

import pytest
from kit.daemon import Asked
from kit.extension import Chromium
from kit.gallery import ASKS, CASES, FILE, SCREEN, TRUE_BYTES, Case, Scene, address_of, scene_of
from kit.overlays import Overlay, card
from kit.sites import Sites
from playwright.sync_api import Page

_SEEDS = count(1000)
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module", autouse=True)
def connected(browser: Chromium, daemon: Asked) -> None:
    browser.connect(daemon)


@pytest.fixture(scope="module")
def allowed(browser: Chromium, connected: None) -> None:
    browser.allow_all_sites()


@pytest.fixture
def scene(sites: Sites) -> Scene:
    return scene_of(sites, next(_SEEDS))


def judged(daemon: Asked) -> set[str]:
    """Returns the hashes of all pictures in the history."""
    return {one["sha256"] for one in daemon.get("/checks?limit=500").json["checks"]}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def show(page: Page, scene: Scene, case: Case) -> None:
    page.goto(address_of(scene, case))
    page.wait_for_function(f"() => {case.ready}")


def has_verdict(text: str) -> bool:
    return "%" in text and "antifake, on this computer" in text


def expect_judged(found: Overlay, seen: str, scene: Scene, daemon: Asked) -> None:
    """Expects that the card says what was judged, and that it is true."""
    assert seen in found.text
    assert (sha256(scene.data) in judged(daemon)) == (seen in TRUE_BYTES)
    assert sha256(scene.other) not in judged(daemon)


# The narrow ones are first: they need the extension as it is after the installation.


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_this_tab_only(
    case: Case, scene: Scene, browser: Chromium, daemon: Asked, page: Page
) -> None:
    show(page, scene, case)
    browser.let_into(page)
    browser.right_click(page, "#it")
    if case.narrow == ASKS:
        card(page, ASKS).press("Use a screen copy")
    found = card(page, has_verdict)
    expect_judged(found, SCREEN if case.narrow == ASKS else case.narrow, scene, daemon)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_with_the_right_to_every_site(
    case: Case, scene: Scene, browser: Chromium, daemon: Asked, page: Page, allowed: None
) -> None:
    show(page, scene, case)
    browser.let_into(page)
    browser.right_click(page, "#it")
    expect_judged(card(page, has_verdict), case.allowed, scene, daemon)
