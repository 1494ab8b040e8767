"""The places where a picture was seen, on the pages in a real browser."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from kit.axe import axe
from kit.page_desk import Desk, desk_at, page_browser, shoot
from kit.pages import NOW, scene, serving, world
from playwright.sync_api import expect

from antifake.daemon.store import occurrences
from antifake.daemon.store.checks import Check
from antifake.daemon.store.occurrences import Occurrence

TRICKY = "summer \u202egnp.<b>name</b> " + "that is long " * 14 + ".png"


@pytest.fixture
def seen(tmp_path, tiny_home) -> Iterator[tuple[Desk, Check]]:
    with world(tmp_path, tiny_home) as here, serving(here.app()) as url, page_browser() as browser:
        here.add("another.png", at=NOW - timedelta(hours=1))
        check = here.add("beach.jpg", thumb=scene(1), label="fake", at=NOW - timedelta(days=1))
        places = (
            {"source": "watch", "path": "/home/me/Pictures/Holiday/Copy of beach.jpg"},
            {"source": "extension", "page": "news.example", "name": "beach-800.jpg", "times": 3},
            {"source": "page", "name": TRICKY},
        )
        with here.store.writing() as session:
            for minutes, place in enumerate(places):
                at = NOW - timedelta(minutes=10 - minutes)
                occurrences.add(session, str(check.sha256), Occurrence(at=at, **place))
        with desk_at(here, url, browser) as desk:
            yield desk, check


def test_a_picture_shows_where_it_was_seen_and_is_found_by_each_name(seen):
    desk, check = seen
    page = desk.open("/?q=COPY+OF")
    expect(page.locator(".row")).to_have_count(1)
    expect(desk.row("beach.jpg")).to_contain_text("Seen 6 times, also as")
    shoot(page, "seen-history")
    page.locator(".row a.name").click()
    places = page.locator(".seen li")
    expect(page.get_by_role("heading", name="Seen 6 times")).to_be_visible()
    expect(places).to_have_count(4)
    expect(places.nth(0)).to_contain_text("summer \ufffdgnp.<b>name</b>")
    expect(places.nth(0)).to_contain_text("this page")
    expect(places.nth(1)).to_contain_text("beach-800.jpg")
    expect(places.nth(1)).to_contain_text("news.example")
    expect(places.nth(1)).to_contain_text("3 times")
    expect(places.nth(2)).to_contain_text("/home/me/Pictures/Holiday")
    expect(places.nth(3).locator("time")).to_have_attribute("datetime", words(check))
    expect(page.locator(".seen b")).to_have_count(0)

    desk.open("/?q=another")
    expect(page.locator(".row")).not_to_contain_text("Seen")


def words(check: Check) -> str:
    return check.at.isoformat(timespec="seconds")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_places_keep_to_the_rules_and_fit_narrow_and_enlarged(seen, scheme):
    desk, check = seen
    desk.page.emulate_media(color_scheme=scheme)
    for path, name in ((f"/picture/{check.id}", "seen"), ("/?q=beach", "seen-row")):
        page = desk.open(path)
        # 590 pixels are what is left of 1180 at 200 %.
        for width, height in ((1180, 860), (390, 800), (590, 430)):
            page.set_viewport_size({"width": width, "height": height})
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            shoot(page, f"{name}-{scheme}-{width}")
