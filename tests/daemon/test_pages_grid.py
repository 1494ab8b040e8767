"""The history as a grid of pictures in their own shapes, or as a list, and what is remembered."""

import pytest
from kit.axe import axe
from kit.page_desk import SMALL_TARGETS, desk_at, look, shoot
from kit.pages import ago, scene
from playwright.sync_api import expect

SHAPES = [(480, 320), (213, 320), (320, 320), (480, 120), (427, 320), (480, 270), (240, 320)]
LABELS = ["fake", "real", "unsure", "real", "fake", "real", "real"]


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as made:
        yield made


def fill(here, n=21):
    for number in range(n):
        width, height = SHAPES[number % len(SHAPES)]
        about = {"label": LABELS[number % len(LABELS)], "width": 4 * width, "height": 4 * height}
        name = f"picture-number-{number:02}-of-a-holiday.jpg"
        at = ago(hours=3 * number)
        here.add(name, at=at, thumb=scene(number, width, height), **about)
    here.add_failed("half-a-download.jpg", "The picture ends in the middle.")


def ratios(page):
    return page.evaluate(
        "() => [...document.querySelectorAll('.row img.thumb')].map((one) =>"
        " [one.clientWidth / one.clientHeight, one.naturalWidth / one.naturalHeight])"
    )


LOADED = "() => [...document.querySelectorAll('.row img.thumb')].every((one) => one.naturalWidth)"


def test_grid_or_list_is_remembered_also_without_javascript(here, me):
    here.add("cat.jpg", thumb=scene(1))
    assert 'class="grid"' in me.get("/").text
    answer = me.get("/?view=list&verdict=real")
    assert (answer.status_code, answer.location) == (303, "/?verdict=real")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert 'class="list"' in me.get("/").text
    me.get("/?view=grid")
    assert 'class="grid"' in me.get("/").text
    me.get("/?view=<script>")
    assert 'class="grid"' in me.get("/").text


def test_room_is_kept_for_each_picture_in_its_own_shape(here, me, desk):
    fill(here, 4)
    assert 'width="213" height="320"' in me.get("/").text
    page = desk.open()
    expect(page.locator(".row img.thumb").last).to_be_visible()
    page.wait_for_function(LOADED)
    for shown, own in ratios(page)[:3]:
        assert shown == pytest.approx(own, rel=0.03)
    # On a screen with twice as many dots the thumbnail still has one for each.
    assert page.locator(".row img.thumb").nth(1).evaluate("one => one.clientHeight") == 160


def test_one_click_on_a_picture_opens_it_and_a_box_selects_it(here, desk):
    fill(here, 3)
    page = desk.open()
    page.get_by_label("Select picture-number-01").check()
    expect(page.locator("#picked")).to_have_text("1 selected")
    # The link of the name covers the picture.
    box = page.locator(".row img.thumb").first.bounding_box()
    page.mouse.click(box["x"] + 80, box["y"] + 80)
    expect(page.locator("h1")).to_contain_text("picture-number-00")


def test_the_list_is_chosen_by_mouse_and_stays(here, desk):
    fill(here, 3)
    page = desk.open()
    page.get_by_role("link", name="List").click()
    expect(page.locator("#rows.list")).to_be_attached()
    desk.open("/?verdict=fake")
    expect(page.locator("#rows.list")).to_be_attached()
    expect(page.get_by_role("link", name="List")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("view", ["grid", "list"])
def test_on_a_phone_the_first_picture_is_in_the_first_half_of_the_screen(here, desk, view):
    here.add("cat.jpg", thumb=scene(1, 480, 320))
    desk.page.set_viewport_size({"width": 390, "height": 844})
    page = desk.open(f"/?view={view}")
    top = page.locator(".row .thumb").evaluate("one => one.getBoundingClientRect().top")
    assert top < 422


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["grid", "list"])
def test_the_history_keeps_to_the_rules_and_fits(here, desk, view, scheme):
    fill(here)
    desk.page.emulate_media(color_scheme=scheme)
    page = desk.open(f"/?view={view}")
    page.get_by_label("Select picture-number-02").check()
    for wide, high in ((1180, 860), (590, 430), (390, 844)):
        page.set_viewport_size({"width": wide, "height": high})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
        shoot(page, f"history-{view}-{scheme}-{wide}")
    look(page, desk.url)
    assert page.evaluate(SMALL_TARGETS) == []
