"""Marks on their own: only on chosen sites, only what is looked at, below what people ask for."""

import re

import pytest
from kit.daemon import CHECKS_LOG, judged_in_order
from kit.desk import Desk, Picture, image
from kit.extension import AT_ONCE
from kit.overlays import Overlay, attributes, name_of, overlays
from kit.sites import SITE


@pytest.fixture
def marked(connected: Desk) -> Desk:
    """Pictures of the site are to be marked."""
    connected.browser.allow_all_sites()
    connected.browser.choose_sites({SITE: "auto"})
    return connected


def marks(desk: Desk) -> list[Overlay]:
    """Returns what is drawn over the page and has a mark in it."""
    return [one for one in overlays(desk.page) if any("Show why" in name for name in one.buttons)]


def names(desk: Desk) -> list[str]:
    found = [node for one in marks(desk) for node in one.elements if node["nodeName"] == "BUTTON"]
    return [name_of(node) for node in found if "hidden" not in attributes(node)]


def asked(desk: Desk, pictures: list[Picture]) -> list[str]:
    """Returns the hashes of those that were judged."""
    known = desk.judged()
    return [one.sha256 for one in pictures if one.sha256 in known]


def test_nothing_is_marked_where_nobody_asked_for_it(connected: Desk) -> None:
    connected.browser.allow_all_sites()
    one, other = connected.picture(), connected.picture()
    connected.show(image(one, "id=one") + image(other, "id=it"))
    connected.ask()
    connected.verdict()
    assert one.sha256 not in connected.judged()


def test_pictures_in_view_are_marked_and_icons_are_not(marked: Desk) -> None:
    shown = [marked.picture() for _ in range(3)]
    icon, below = marked.picture(), marked.picture()
    marked.show(
        "".join(image(one, "") for one in shown)
        + f'<img src="{icon.path}" width=64 height=64><div style="height: 4000px"></div>'
        + image(below, "id=below")
    )
    marked.browser.until(lambda: len(asked(marked, shown)) == 3, 40)
    marked.browser.until(lambda: len(names(marked)) == 3)
    assert asked(marked, [icon, below]) == []
    marked.page.locator("#below").scroll_into_view_if_needed()
    marked.browser.until(lambda: asked(marked, [below]))
    assert asked(marked, [icon]) == []


def test_at_most_thirty_pictures_of_a_page(marked: Desk) -> None:
    many = [marked.picture(160) for _ in range(36)]
    style = "<style>img {width: 130px; height: 130px; float: left}</style>"
    marked.page.set_viewport_size({"width": 1300, "height": 900})
    marked.show(style + "".join(f'<img src="{one.path}">' for one in many))
    marked.browser.until(lambda: len(asked(marked, many)) == 30, 60)
    last = marked.picture(160)
    marked.page.evaluate("(src) => { document.images[0].src = src; }", last.path)
    marked.page.wait_for_timeout(1500)  # long enough for one more
    assert len(asked(marked, [*many, last])) == 30


def test_what_people_ask_for_goes_first(marked: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", CHECKS_LOG)
    others = [marked.picture() for _ in range(8)]
    mine = marked.picture()

    def waiting() -> dict[str, int]:
        found: dict[str, int] = marked.daemon.get("/state").json["waiting"]
        return found

    # Before the page opens: a fast machine judges all of its pictures in that time.
    with marked.daemon.model_busy(marked.picture().data) as earlier:
        marked.show("".join(image(one, "") for one in others) + image(mine))
        marked.browser.until(lambda: waiting()["batch"] == AT_ONCE)
        marked.ask()
        marked.card("Stop waiting")
        marked.browser.until(lambda: waiting()["person"])
        assert waiting() == {"person": 1, "folder": 0, "batch": AT_ONCE}
    marked.verdict(40)
    marked.browser.until(lambda: len(asked(marked, others)) == len(others), 40)
    assert judged_in_order(caplog.messages)[:2] == [earlier, marked.row(mine)["id"]]


def test_equal_bytes_are_sent_once(marked: Desk) -> None:
    one = marked.picture()
    sent = [f'<img src="{one.path}?{number}" width=200 height=200>' for number in range(4)]
    marked.show("".join(sent))
    marked.browser.until(lambda: len(names(marked)) == 4)
    assert len([each for each in marked.history() if each["sha256"] == one.sha256]) == 1


def test_a_site_that_is_turned_off_loses_its_marks(marked: Desk) -> None:
    one = marked.picture()
    marked.show(image(one, ""))
    marked.browser.until(lambda: names(marked))
    marked.browser.store({"sites": {}})
    marked.browser.until(lambda: not names(marked))


def test_marks_stop_while_antifake_is_away_and_say_nothing_in_the_page(marked: Desk) -> None:
    marked.browser.store({"settings": {"port": 9}})
    one = marked.picture()
    marked.show(image(one, ""))
    marked.browser.until(lambda: marked.browser.badge(marked.page) == "!")
    assert not names(marked)
    assert not re.search("antifake", marked.page.content())
