"""The review at the size at which one can judge: the original, zoom, order, undo."""

import hashlib

import pytest
from kit.axe import axe
from kit.page_desk import desk_at, shoot
from kit.pages import ago, scene
from kit.pictures import saved
from playwright.sync_api import expect

from antifake.daemon.config import Folder

P = {"a.jpg": 0.58, "b.jpg": 0.51, "c.jpg": 0.44}


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as made:
        yield made


@pytest.fixture
def album(here, tmp_path):
    """Three pictures in a folder that the model is unsure of; b is the oldest, and least sure."""
    folder = tmp_path / "album"
    folder.mkdir()
    here.service.settings.watch(Folder(path=folder))
    for seed, (name, p_fake) in enumerate(P.items()):
        data = saved(scene(seed, 1800, 1200), "JPEG")
        (folder / name).write_bytes(data)
        about = {"label": "unsure", "p_fake": p_fake, "path": str(folder / name)}
        at = ago(hours=(5, 9, 7)[seed])
        sha256 = hashlib.sha256(data).hexdigest()
        here.add(None, sha256=sha256, at=at, thumb=scene(seed), width=1800, height=1200, **about)
    return folder


def name(page):
    return page.locator(".judged .name")


@pytest.mark.usefixtures("album")
def test_the_original_is_shown_and_zoomed_by_keys(desk):
    page = desk.open("/review?order=oldest")
    expect(page.locator("figcaption")).to_contain_text("The original file.")
    img = page.locator(".canvas img")
    assert img.evaluate("one => one.naturalWidth") == 1800
    desk.keys("1")
    expect(page.locator(".scale")).to_have_text("100 %")
    assert img.evaluate("one => one.clientWidth") == 1800
    desk.keys("0")
    assert img.evaluate("one => one.clientWidth") < 900


@pytest.mark.usefixtures("album")
def test_the_oldest_or_the_least_sure_come_first_and_stay_so(desk):
    page = desk.open("/review")
    page.get_by_label("Order").select_option("oldest")
    for shown in ("b.jpg", "c.jpg", "a.jpg"):
        expect(name(page)).to_have_text(shown)
        expect(page.get_by_label("Order")).to_have_value("oldest")
        desk.keys("r")
    expect(page.locator(".empty")).to_contain_text("3 pictures are done")


@pytest.mark.usefixtures("album")
def test_the_least_sure_come_first(me):
    page = me.get("/review?order=unsure").text
    assert 'class="name" title="b.jpg"' in page
    assert me.get("/review?order=prettiest").status_code == 400


@pytest.mark.usefixtures("album")
def test_undo_shows_what_it_undid(here, desk):
    page = desk.open("/review?order=oldest")
    first = page.locator("article").get_attribute("data-id")
    desk.keys("a")
    expect(name(page)).to_have_text("c.jpg")
    toast = page.locator("#toast")
    expect(toast).to_contain_text("You said: AI-made.")
    expect(toast.locator("img")).to_have_attribute("src", f"/thumb/{first}")
    toast.get_by_role("button", name="Undo").click()
    expect(name(page)).to_have_text("b.jpg")
    expect(toast).to_contain_text("Undone. It is “cannot tell” again.")
    expect(toast.locator("img")).to_have_attribute("src", f"/thumb/{first}")
    assert here.service.get(first).correction is None


@pytest.mark.usefixtures("album")
def test_what_is_left_is_what_will_be_asked(here, me, desk):
    for number in range(12):
        here.add(f"{number}.jpg", label="unsure", thumb=scene(20 + number), at=ago(days=2 + number))
    page = desk.open("/review")
    heading = page.locator(".heading")
    expect(heading).to_contain_text("10 pictures left today; 5 more on other days")
    desk.keys("r")
    expect(heading).to_contain_text("9 pictures left today, 1 done; 5 more on other days")
    desk.keys("z")
    expect(heading).to_contain_text("10 pictures left today; 5 more on other days")
    # One that is looked at again, although it is not among them, counts as well.
    said = here.add("said.jpg", label="fake", thumb=scene(50), at=ago(days=40))
    here.service.correct([said.id], "real", "import")
    assert "11 pictures left today" in me.get(f"/review?at={said.id}").text


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_review_keeps_to_the_rules_and_fits(desk, scheme):
    desk.page.emulate_media(color_scheme=scheme)
    page = desk.open("/review?order=oldest")
    desk.keys("a")
    expect(name(page)).to_have_text("c.jpg")
    expect(page.locator("#toast img")).to_be_visible()
    for wide, high in ((1180, 860), (590, 430), (390, 844)):
        page.set_viewport_size({"width": wide, "height": high})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
        shoot(page, f"review-{scheme}-{wide}")
