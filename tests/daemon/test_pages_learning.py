"""The Learning page and the review in a real browser: every state, by axe's rules, in light and
dark, and on a narrow screen. Screenshots are kept in build/screens."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from kit.daemon import tiny_home_in
from kit.learned import BETTER, TOO_FEW_TO_TELL, answer, begin_training, keep_crops, report, trained
from kit.page_desk import AXE, axe, page_browser, shoot
from kit.pages import World, scene, serving, world
from playwright.sync_api import expect

from antifake.core.catalog import Home


@pytest.fixture(scope="module")
def chromium():
    with page_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def installed(tiny_source, tmp_path_factory):
    return tiny_home_in(tmp_path_factory.mktemp("home"), tiny_source)


@pytest.fixture
def here(tmp_path, installed) -> Iterator[World]:
    shutil.copytree(installed.root, tmp_path / "home")
    with world(tmp_path, Home(tmp_path / "home")) as made:
        yield made


def nothing_said(_: World) -> str:
    return "/learning"


def too_few(here: World) -> str:
    keep_crops(here, answer(here, 14, 3))
    return "/learning"


def ready(here: World) -> str:
    keep_crops(here, answer(here, 60, 12))
    return "/learning"


def running(here: World) -> str:
    answer(here, 14, 12)
    begin_training(here)._note_progress({"stage": "features", "done": 37, "total": 180})
    return "/learning"


def promoted(here: World) -> str:
    found = answer(here, 14, 12)
    keep_crops(here, found)
    others = [here.add(f"other-{n}.png", label="fake", thumb=scene(90 + n)) for n in range(3)]
    said = report("promote", BETTER, found[:20:2], others)
    trained(here, "done", BETTER, said, "personal-0001", promoted=True)
    here.service.settings.put("learning.false_alarms", 20)
    return "/learning"


def kept_as_candidate(here: World) -> str:
    found = answer(here, 14, 12)
    said = report("candidate", TOO_FEW_TO_TELL, found[:6:2])
    trained(here, "done", TOO_FEW_TO_TELL, said, "personal-0001")
    return "/learning"


def failed(here: World) -> str:
    answer(here, 14, 12)
    trained(here, "failed", "The trainer ended without a result (-9).")
    return "/learning"


def flip_report(here: World) -> str:
    promoted(here)
    return "/learning/trainings/1"


def compared(here: World) -> str:
    promoted(here)
    return "/learning/compare?a=personal-0001&b=first"


def copies(here: World) -> str:
    keep_crops(here, [*answer(here, 3, 2), here.add("held.png", thumb=scene(50))])
    return "/learning/crops"


def no_copies(_: World) -> str:
    return "/learning/crops"


STATES: list[Callable[[World], str]] = [
    nothing_said,
    too_few,
    ready,
    running,
    promoted,
    kept_as_candidate,
    failed,
    flip_report,
    compared,
    copies,
    no_copies,
]


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(here, chromium, state):
    path = state(here)
    with serving(here.app()) as url, chromium.new_context(bypass_csp=True) as context:
        context.add_init_script(AXE)
        page = context.new_page()
        page.goto(f"{url}/enter?code={here.access.mint_login()}")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": 1180, "height": 860})
            page.goto(url + path)
            expect(page.locator("html.js")).to_be_attached()
            assert axe(page) == [], scheme
            for size, width in [("", 1180), ("-narrow", 360)]:
                page.set_viewport_size({"width": width, "height": 860})
                shoot(page, f"learning-{state.__name__}-{scheme}{size}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
