"""Ways out: leaving a picture, undoing, an address where nothing is, and pages that are empty."""

from collections.abc import Iterator

import pytest
from kit.axe import axe
from kit.page_desk import Desk, desk_at, shoot
from playwright.sync_api import expect


@pytest.fixture
def desk(here, served, chromium) -> Iterator[Desk]:
    with desk_at(here, served, chromium) as made:
        yield made


def test_escape_leaves_a_picture_for_the_list_as_it_was(here, desk):
    here.add("cat.png", label="fake")
    here.add("dog.png", label="real")
    page = desk.open("/?verdict=fake")
    page.get_by_role("link", name="cat.png").click()
    expect(page.locator(".picture")).to_be_visible()
    page.get_by_label("note").fill("my own")
    page.keyboard.press("Escape")  # while typing it is for the field
    expect(page.locator(".picture")).to_be_visible()
    page.locator("h1").click()
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).not_to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_url("**/?verdict=fake")
    expect(desk.row("cat.png")).to_be_visible()
    expect(desk.row("dog.png")).to_have_count(0)


def test_control_and_z_undoes_but_not_while_the_user_types(here, desk):
    here.add("cat.png", label="fake")
    page = desk.open()
    desk.keys("j r")
    expect(desk.verdict("cat.png")).to_have_text("You said: real")
    search = page.get_by_label("Search by file name")
    search.press_sequentially("dog")
    search.press("Control+z")
    page.locator("#how-many").click()
    expect(desk.verdict("cat.png")).to_have_text("You said: real")
    desk.keys("Control+z")
    expect(desk.verdict("cat.png")).not_to_contain_text("You said")


def test_an_address_where_nothing_is_has_ways_back(desk):
    page = desk.open("/folders")
    page.goto(f"{desk.url}/no/such/page")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert axe(page) == []
    shoot(page, "not-there")
    page.get_by_role("button", name="Back").click()
    page.wait_for_url("**/folders")
    page.goto(f"{desk.url}/picture/0000000000000")
    page.get_by_role("link", name="To the history").click()
    expect(page).to_have_title("History · antifake")


@pytest.mark.parametrize("address", ["/", "/folders", "/review", "/browsers"])
def test_an_empty_page_shows_how_it_will_look(desk, address):
    page = desk.open(address)
    name = address.strip("/") or "history"
    expect(page.locator(".sample").first).to_contain_text("It will look like this")
    if address == "/review":  # "cannot tell" never has a percentage
        expect(page.locator(".sample .percent")).to_have_count(0)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == []
        shoot(page, f"empty-{name}-{scheme}")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shoot(page, f"empty-{name}-{width}")
