"""Pick mode, and marks that are put on pictures by themselves."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit.content import DONE, Content, axe_faults, content_browser, open_shadows
from kit.desk import IT_IS_REAL
from kit.overlays import Overlay, attributes, card, cards, name_of, no_card, overlays, picker
from kit.pace import within
from kit.pictures import png
from kit.waiting import eventually
from playwright.sync_api import Page

GRID = "<style>body { margin: 0 } img { width: 200px; height: 150px; margin: 10px }</style>"
LIMITS = {"perPage": 30, "atOnce": 4, "minSide": 128}
REAL = DONE | {"tone": "real", "word": "Likely real"}
WAITING = {"state": "waiting", "id": "c1", "text": "Checking", "seen": "file"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Content]:
    with content_browser() as found:
        for place in range(1, 9):
            found.sites.picture(f"/p{place}.png", png(place, 320))
        found.sites.picture("/small.png", png(9, 64))
        yield found


@pytest.fixture
def content(browser: Content) -> Content:
    browser.reset()
    browser.answer(check=DONE, poll=DONE, marks={"isOn": True, "limits": LIMITS})
    return browser


def images(*numbers: int) -> str:
    return "".join(f'<img id="i{n}" src="/p{n}.png" alt="Number {n}">' for n in numbers)


def chosen(page: Page) -> str:
    """The name of the picture that pick mode would check."""
    found = picker(page)
    assert found is not None
    options = found.with_role("option")
    return next((name_of(one) for one in options if "aria-selected" in attributes(one)), "")


def pick(content: Content, page: Page) -> Overlay:
    content.send(type="pick.start")
    found: Overlay = eventually(lambda: page.wait_for_timeout(10) or picker(page))
    return found


def test_arrow_keys_choose_and_enter_checks(content: Content) -> None:
    page = content.open(GRID + images(1, 2, 3, 4, 5, 6, 7, 8))
    page.set_viewport_size({"width": 700, "height": 560})
    found = pick(content, page)
    assert len(found.with_role("option")) == 8
    assert chosen(page) == "Number 5, 200 x 150".replace("x", "\N{MULTIPLICATION SIGN}")
    for key, number in [("ArrowUp", 2), ("ArrowRight", 3), ("ArrowRight", 3), ("ArrowDown", 6)]:
        page.keyboard.press(key)
        assert chosen(page).startswith(f"Number {number},"), key
    page.keyboard.press("Tab")
    assert chosen(page).startswith("Number 7,")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    card(page, "AI-made")
    assert content.asked("picture.check")[0]["picture"]["url"].endswith("/p6.png")
    assert picker(page) is None


def test_escape_leaves_and_the_focus_comes_back(content: Content) -> None:
    page = content.open('<button id="mine">Mine</button>' + GRID + images(1, 2))
    page.focus("#mine")
    pick(content, page)
    page.keyboard.press("Escape")
    eventually(lambda: page.wait_for_timeout(10) or picker(page) is None)
    assert page.evaluate("document.activeElement.id") == "mine"
    assert content.asked("picture.check") == []


def test_a_click_checks_and_the_page_does_not_hear_of_it(content: Content) -> None:
    page = content.open(
        f'{GRID}<a href="/elsewhere" onclick="clicks++">{images(1, 2)}</a>'
        "<script>window.clicks = 0; window.keys = 0;"
        " document.addEventListener('click', () => clicks++, true);"
        " document.addEventListener('keydown', () => keys++, true);</script>"
    )
    pick(content, page)
    page.keyboard.press("ArrowLeft")
    page.mouse.move(330, 100)
    eventually(lambda: page.wait_for_timeout(10) or chosen(page).startswith("Number 2,"))
    page.mouse.click(330, 100)
    card(page, "AI-made")
    assert page.evaluate("[clicks, keys, location.pathname]") == [0, 0, "/"]
    assert content.asked("picture.check")[0]["picture"]["url"].endswith("/p2.png")


def test_events_made_by_script_pick_nothing(content: Content) -> None:
    page = content.open(GRID + images(1, 2))
    pick(content, page)
    page.evaluate("""() => {
      const host = document.elementFromPoint(100, 100);
      for (const type of ["pointerdown", "pointermove", "pointerup", "click"]) {
        host.dispatchEvent(new PointerEvent(type, {bubbles: true, clientX: 100, clientY: 100}));
      }
      for (const key of ["Enter", "Escape"]) {
        host.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
      }
    }""")
    page.wait_for_timeout(300)
    assert picker(page) is not None
    assert content.asked() == []


def test_what_is_under_the_pointer_is_chosen_first(content: Content) -> None:
    page = content.open(GRID + images(1, 2, 3))
    page.mouse.move(100, 100)
    page.wait_for_timeout(100)
    pick(content, page)
    assert chosen(page).startswith("Number 1,")


def test_hidden_and_tiny_pictures_cannot_be_picked(content: Content) -> None:
    page = content.open(
        GRID
        + images(1)
        + '<img src="/p2.png" style="visibility: hidden"><img src="/p3.png" style="opacity: 0">'
        '<img src="/p4.png" style="width: 20px; height: 20px"><p style="height: 2000px"></p>'
        + images(5)
    )
    assert len(pick(content, page).with_role("option")) == 1


def test_scrolling_brings_other_pictures(content: Content) -> None:
    page = content.open(GRID + images(1) + '<p style="height: 900px"></p>' + images(5))
    pick(content, page)
    for _ in range(4):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(100)
    eventually(lambda: page.wait_for_timeout(50) or chosen(page).startswith("Number 5,"))


def test_no_picture_and_frames_out_of_reach_are_said(content: Content) -> None:
    page = content.open('<p>Text</p><iframe src="/p1.png" width="200" height="200"></iframe>')
    found = pick(content, page)
    assert "There is no picture in view." in found.text
    assert "One embedded frame is not part of this" in found.text
    page.keyboard.press("Enter")
    assert content.asked() == []


# --- Marks --------------------------------------------------------------------------------------


def marks(page: Page) -> list[str]:
    """The names of the marks that are shown."""
    return [
        name_of(node)
        for one in overlays(page)
        for node in one.elements
        if "mark" in attributes(node).get("class", "").split() and "hidden" not in attributes(node)
    ]


def wait_for_marks(page: Page, count: int) -> list[str]:
    def look() -> bool:
        page.wait_for_timeout(50)
        return len(marks(page)) == count

    eventually(look)
    return marks(page)


def start(content: Content, html: str, **about: Any) -> Page:
    page = content.open(GRID + html, **about)
    content.send(type="marks.start")
    return page


def test_pictures_in_view_are_marked_and_a_mark_opens_its_card(content: Content) -> None:
    content.answer(check=[DONE, REAL])
    page = start(content, images(1, 2) + '<p style="height: 3000px"></p>' + images(3))
    names = wait_for_marks(page, 2)
    assert sorted(one.partition(".")[0] for one in names) == [
        "AI-made, Sure to 97 %",
        "Likely real, Sure to 97 %",
    ]
    assert [one["isAutomatic"] for one in content.asked("picture.check")] == [True, True]
    page.mouse.click(30, 30)
    card(page, "AI-made")
    assert len(content.asked("picture.check")) == 2
    page.keyboard.press("Escape")
    no_card(page)
    page.evaluate("scrollTo(0, 9999)")
    wait_for_marks(page, 1)
    assert len(content.asked("picture.check")) == 3


def test_what_is_not_worth_a_mark_is_not_sent(content: Content) -> None:
    page = start(
        content,
        '<img src="/small.png"><img src="/p2.png" style="width: 100px; height: 100px">'
        '<img src="/p3.png" style="opacity: 0"><img src="/p4.png" style="visibility: hidden">'
        '<div style="width: 200px; height: 200px; background-image: url(/p5.png)"></div>'
        '<div style="width: 200px; height: 200px; background: url(/p6.png) -10px -20px"></div>'
        '<img src="data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22 width=%22300%22'
        ' height=%22300%22/>">' + images(1),
    )
    wait_for_marks(page, 1)
    page.wait_for_timeout(1500)
    assert [one["picture"]["url"][-7:] for one in content.asked("picture.check")] == ["/p1.png"]


def test_marking_is_off_unless_the_site_wants_it(content: Content) -> None:
    content.answer(marks={"isOn": False, "limits": LIMITS})
    page = start(content, images(1, 2))
    page.wait_for_timeout(1500)
    assert content.asked("picture.check") == []
    assert not marks(page)


def test_never_more_than_the_limits(content: Content) -> None:
    limits = LIMITS | {"perPage": 6, "atOnce": 2}
    content.answer(marks={"isOn": True, "limits": limits}, check=WAITING, poll=WAITING)
    page = start(content, images(*range(1, 9)))
    eventually(lambda: page.wait_for_timeout(50) or len(content.asked("picture.check")) == 2)
    page.wait_for_timeout(1000)
    assert len(content.asked("picture.check")) == 2
    content.answer(check=DONE, poll=DONE)
    wait_for_marks(page, 6)
    page.wait_for_timeout(1500)
    assert len(content.asked("picture.check")) == 6


def test_a_picture_that_is_shown_twice_is_checked_once(content: Content) -> None:
    page = start(
        content,
        images(1)
        + images(1)
        + '<div style="position: absolute; top: 200px; width: 200px; height: 150px">'
        '<div style="position: absolute; inset: 0; background: url(/p2.png) 0 0 / cover"></div>'
        '<img src="/p2.png" style="position: absolute; left: 0; top: 0; margin: 0"></div>',
    )
    wait_for_marks(page, 3)
    assert len(content.asked("picture.check")) == 2


def test_marks_go_with_their_pictures(content: Content) -> None:
    page = start(content, images(1, 2, 3))
    wait_for_marks(page, 3)
    page.evaluate("document.getElementById('i1').remove()")
    wait_for_marks(page, 2)
    page.evaluate("document.getElementById('i2').src = '/p5.png'")
    eventually(lambda: page.wait_for_timeout(50) or len(content.asked("picture.check")) == 4)
    wait_for_marks(page, 2)
    page.evaluate("document.getElementById('i3').style.display = 'none'")
    wait_for_marks(page, 1)
    content.send(type="marks.stop")
    wait_for_marks(page, 0)


def test_pictures_that_are_added_later_are_marked(content: Content) -> None:
    page = start(content, "<main></main>")
    page.wait_for_timeout(300)
    page.evaluate("(html) => { document.querySelector('main').innerHTML = html; }", images(1, 2))
    wait_for_marks(page, 2)


def test_a_mark_is_not_drawn_over_what_covers_the_picture(content: Content) -> None:
    page = start(
        content,
        '<header style="position: fixed; top: 0; left: 0; right: 0; height: 90px;'
        ' background: white; z-index: 5">Head</header>' + images(1, 2),
    )
    eventually(lambda: len(content.asked("picture.check")) == 2)
    page.wait_for_timeout(1000)
    assert not marks(page)
    page.evaluate("document.querySelector('header').style.height = '5px'")
    wait_for_marks(page, 2)


def test_without_a_daemon_marking_waits_until_the_connection_is_mended(content: Content) -> None:
    trouble = {"state": "problem", "cause": "not-running", "text": "Not running", "button": None}
    content.answer(check=trouble)
    page = start(content, images(1, 2, 3, 4, 5, 6, 7, 8))
    eventually(lambda: page.wait_for_timeout(50) or content.asked("picture.check"))
    page.wait_for_timeout(1500)
    tried = len(content.asked("picture.check"))
    assert 1 <= tried <= 4
    assert not cards(page)
    content.answer(check=DONE)
    content.send(type="card.retry")
    wait_for_marks(page, 8)


def test_questions_are_not_asked_for_marks(content: Content) -> None:
    ask = {"state": "ask", "question": "permission", "text": "?", "reason": "", "choices": []}
    content.answer(check=[ask, {"state": "bytes", "ways": ["screen"]}, DONE])
    page = start(content, images(1, 2, 3))
    wait_for_marks(page, 1)
    assert not cards(page)
    assert all(one.get("bytes") is None for one in content.asked("picture.check"))


def test_a_correction_on_the_card_changes_the_mark(content: Content) -> None:
    said = {"word": "You said: real", "said": {"label": "real", "isNearCopy": False}}
    content.answer(check=DONE, correct=REAL | said)
    page = start(content, images(1, 2))
    wait_for_marks(page, 2)
    page.mouse.click(30, 30)
    card(page, "AI-made").press(IT_IS_REAL)
    card(page, "You said: real")
    eventually(lambda: page.wait_for_timeout(50) or any("You said" in one for one in marks(page)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_pick_mode_and_marks(content: Content, scheme: Any) -> None:
    page = content.open(GRID + images(1, 2, 3), inject=False)
    page.emulate_media(color_scheme=scheme)
    open_shadows(content)
    content.inject()
    content.send(type="marks.start")
    wait_for_open_marks = (
        "document.documentElement.lastElementChild.shadowRoot?.querySelector('.mark')"
    )
    eventually(lambda: page.wait_for_timeout(50) or page.evaluate(f"!!{wait_for_open_marks}"))
    page.wait_for_timeout(300)
    assert axe_faults(page) == []
    content.send(type="pick.start")
    page.wait_for_timeout(300)
    assert axe_faults(page) == []


def test_five_hundred_pictures_cost_little(content: Content) -> None:
    page = content.open(
        "<style>img { width: 130px; height: 130px }</style>"
        + "".join(f'<img src="/p{n % 8 + 1}.png?{n}">' for n in range(500))
    )
    page.wait_for_timeout(500)
    session = page.context.new_cdp_session(page)
    # The time of its processor: that of a clock counts what other programs do.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy_ms() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        found = {one["name"]: one["value"] for one in metrics}
        return 1000 * float(found["ScriptDuration"] + found["LayoutDuration"])

    def scroll() -> float:
        before = busy_ms()
        for _ in range(40):
            page.mouse.wheel(0, 150)
            page.wait_for_timeout(20)
        page.mouse.wheel(0, -99999)
        page.wait_for_timeout(300)
        return busy_ms() - before

    without = scroll()
    before = busy_ms()
    content.send(type="marks.start")
    eventually(lambda: len(content.asked("picture.check")) == 30)
    page.wait_for_timeout(1000)
    setting_up = busy_ms() - before
    scrolling = scroll() - without
    print(f"marks on 500 pictures: {setting_up:.0f} ms, scrolling {scrolling:.0f} ms more")
    assert setting_up < within(600)
    assert scrolling < within(400)
