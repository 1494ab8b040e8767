"""The card in pages, friendly and hostile ones, for every answer of a worker."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from kit.content import DONE, Content, axe_faults, content_browser, open_shadows
from kit.desk import IT_IS_MADE, IT_IS_REAL, THAT_IS_RIGHT
from kit.overlays import attributes, card, cards, drawn, name_of, no_card, overlays
from kit.pictures import png
from kit.waiting import eventually
from playwright.sync_api import Page

PICTURES = '<img id="one" src="/p1.png" width="300" height="200" alt="One">' + (
    '<img id="two" src="/p2.png" width="300" height="200" alt="Two">'
)
WAITING = {"state": "waiting", "id": "c1", "text": "Loading the model…", "seen": "file"}
REAL = DONE | {
    "tone": "real",
    "word": "You said: real",
    "sure": "",
    "said": {"label": "real", "isNearCopy": False},
    "canUndo": True,
}
ASK = {
    "state": "ask",
    "question": "linked",
    "text": "Check the larger picture?",
    "reason": "The link leads to it.",
    "choices": [{"id": "yes", "text": "Check it"}, {"id": "no", "text": "Only this one"}],
}
HOST = "[...document.querySelectorAll('[popover=manual]')].at(-1)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Content]:
    with content_browser() as found:
        for place in (1, 2):
            found.sites.picture(f"/p{place}.png", png(place, 640))
        yield found


@pytest.fixture
def content(browser: Content) -> Content:
    browser.reset()
    browser.answer(check=DONE, poll=DONE, correct=REAL, undo=DONE, details={"state": "opened"})
    browser.answer(act={})
    return browser


def middle(page: Page, target: str) -> tuple[float, float]:
    box = page.locator(target).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def open_card(content: Content, page: Page, target: str = "#one", says: str = "AI-made") -> Any:
    content.right_click(page, *middle(page, target))
    return card(page, says)


def test_the_card_says_the_word_how_sure_why_and_what_was_judged(content: Content) -> None:
    page = content.open(PICTURES)
    found = open_card(content, page)
    told = ["AI-made", "Sure to 97 %", "The model finds traces", "Original file, 1600 x 1200"]
    assert [found.text.index(one) for one in told] == sorted(found.text.index(one) for one in told)
    assert set(found.buttons) == {"Close", THAT_IS_RIGHT, IT_IS_REAL, "Details"}
    dialog = found.with_role("dialog")[0]
    assert attributes(dialog)["aria-labelledby"] == "word"
    assert [name_of(one) for one in found.with_role("status")] == ["AI-made. Sure to 97 %"]
    asked = content.asked("picture.check")[0]
    assert asked["picture"]["url"] == page.evaluate("document.getElementById('one').src")
    assert asked["isAutomatic"] is False


def test_a_correction_and_its_undo(content: Content) -> None:
    page = content.open(PICTURES)
    open_card(content, page).press(IT_IS_REAL)
    said = card(page, "You said: real")
    assert IT_IS_REAL not in said.buttons
    assert "Original file" in said.text
    said.press("Undo")
    card(page, THAT_IS_RIGHT).press("Details")
    eventually(lambda: content.asked("picture.details"))
    told = [(one["type"], one.get("label")) for one in content.asked("picture.")[1:]]
    assert told == [("picture.correct", "real"), ("picture.undo", None), ("picture.details", None)]


@pytest.mark.parametrize(
    ("tone", "offered", "label"),
    [
        ("made", [THAT_IS_RIGHT, IT_IS_REAL], "fake"),
        ("real", [THAT_IS_RIGHT, IT_IS_MADE], "real"),
        ("unsure", [IT_IS_REAL, IT_IS_MADE], "real"),
    ],
)
def test_a_verdict_is_confirmed_with_one_press(content, tone, offered, label) -> None:
    """Where the model cannot tell, there is nothing to confirm."""
    content.answer(check=DONE | {"tone": tone})
    page = content.open(PICTURES)
    found = open_card(content, page)
    assert [
        one for one in found.buttons if one in (THAT_IS_RIGHT, IT_IS_REAL, IT_IS_MADE)
    ] == offered
    found.press(offered[0])
    card(page, "You said")
    assert [one["label"] for one in content.asked("picture.correct")] == [label]


def test_a_refused_correction_is_said_and_the_verdict_stays(content: Content) -> None:
    trouble = {
        "state": "problem",
        "cause": "scope",
        "text": "This browser may not correct.",
        "button": {"action": "connect:correct", "text": "Allow it"},
    }
    content.answer(correct=trouble)
    page = content.open(PICTURES)
    open_card(content, page).press(IT_IS_REAL)
    found = card(page, "may not correct")
    assert "AI-made" in found.text
    found.press("Allow it")
    eventually(lambda: content.asked("problem.act"))
    assert content.asked("problem.act")[0]["action"] == "connect:correct"


def test_waiting_is_visible_and_can_be_stopped(content: Content) -> None:
    content.answer(check=WAITING, poll=WAITING | {"text": "3 pictures before it…"})
    page = content.open(PICTURES)
    found = open_card(content, page, says="3 pictures before it")
    assert content.asked("picture.poll")[0]["seen"] == "file"
    found.press("Stop waiting")
    no_card(page)
    page.wait_for_timeout(500)
    polls = len(content.asked("picture.poll"))
    page.wait_for_timeout(1000)
    assert len(content.asked("picture.poll")) == polls


def test_a_message_without_an_answer_is_sent_again(content: Content) -> None:
    content.answer(check=["silent", "silent", WAITING], poll=["silent", DONE])
    page = content.open(PICTURES)
    open_card(content, page)
    assert len(content.asked("picture.check")) == 3


def test_a_worker_that_never_answers_is_said(content: Content) -> None:
    content.answer(check="silent")
    page = content.open(PICTURES)
    open_card(content, page, says="did not answer")
    assert len(content.asked("picture.check")) == 5


def test_the_second_picture_waits_until_the_first_is_finished(content: Content) -> None:
    content.answer(check=[WAITING, DONE | {"id": "c2"}], poll=WAITING)
    page = content.open(PICTURES)
    open_card(content, page, "#one", "Loading")
    found = open_card(content, page, "#two", "Next picture")
    assert "Loading" in found.text
    assert len(cards(page)) == 1
    found.press("Next picture")
    card(page, "AI-made").press("Next picture")
    card(page, "Loading")  # it was not given up
    content.answer(poll=DONE)
    card(page, "AI-made").press("Close")
    no_card(page)
    assert len(content.asked("picture.check")) == 2


def test_a_press_counts_although_the_text_changes_meanwhile(content: Content) -> None:
    content.answer(check=WAITING, poll=WAITING | {"text": "Looking…"})
    page = content.open(PICTURES)
    content.worker.evaluate("self.delay = 2000")
    found = open_card(content, page, says="Loading")
    stop = next(node for name, node in found.buttons.items() if name.startswith("Stop"))
    page.mouse.move(*found.middle(stop))
    page.mouse.down()
    card(page, "Looking")
    page.mouse.up()
    no_card(page)


def test_consent_to_the_linked_picture_is_asked_once(content: Content) -> None:
    content.answer(check=[ASK, DONE])
    page = content.open(f'<a href="/full/lake.JPG?x=1">{PICTURES}</a>')
    open_card(content, page, says="The link leads to it").press("Check it")
    card(page, "AI-made")
    first, second = content.asked("picture.check")
    assert first["picture"]["linked"].endswith("/full/lake.JPG?x=1")
    assert (first["answers"], second["answers"]) == ({"linked": None}, {"linked": "yes"})


def test_a_permission_is_asked_for_and_its_grant_checks_again(content: Content) -> None:
    ask = {
        "state": "ask",
        "question": "permission",
        "text": "Allow reading pictures of cdn.test?",
        "reason": "Without it only a screen copy can be checked.",
        "choices": [{"id": "permission:x", "text": "Allow…"}, {"id": "screen", "text": "Copy"}],
    }
    content.answer(check=[ask, DONE])
    page = content.open(PICTURES)
    open_card(content, page, says="Allow reading").press("Allow…")
    eventually(lambda: content.asked("problem.act"))
    assert content.asked("problem.act")[0]["action"] == "permission:x"
    assert cards(page)
    content.send(type="card.retry")
    card(page, "AI-made")


def test_a_copy_of_the_screen_holds_the_picture_and_nothing_of_ours(content: Content) -> None:
    content.answer(check=[{"state": "bytes", "ways": ["screen"]}, DONE])
    page = content.open(PICTURES)
    page.set_viewport_size({"width": 330, "height": 300})
    before = page.screenshot()
    open_card(content, page)
    given = content.asked("picture.check")[1]
    assert given["bytes"] == {"way": "screen", "length": None}
    rect = given["picture"]["rect"]
    assert (rect["width"], rect["height"]) == (300, 200)
    shot = content.worker.evaluate("self.shot").partition(",")[2]
    assert page.evaluate(_DIFFERENCE, [_base64(before), shot]) == 0
    assert page.evaluate(_DIFFERENCE, [_base64(page.screenshot()), shot]) > 1000


def test_no_copy_is_made_of_a_screen_that_stands_still(content: Content) -> None:
    """The card would still be on it."""
    content.answer(check=[{"state": "bytes", "ways": ["screen"]}, DONE])
    page = content.open(PICTURES)
    content.worker.evaluate("""() => chrome.scripting.executeScript({target: {tabId: self.tab},
      func: () => { globalThis.requestAnimationFrame = () => 0; }})""")
    open_card(content, page, says="not being drawn")
    assert len(content.asked("picture.check")) == 1


@pytest.mark.parametrize("kind", ["same origin", "blob", "canvas", "tainted"])
def test_bytes_that_only_the_page_has_are_sent(content: Content, kind: str) -> None:
    content.answer(check=[{"state": "bytes", "ways": ["page", "canvas"]}, DONE])
    foreign = content.sites.url("/p1.png", "cdn.test")
    page = content.open(PICTURES + '<canvas id="three" width="300" height="200"></canvas>')
    page.evaluate(_FILL, [kind, foreign])
    target = {"same origin": "#one", "blob": "#one"}.get(kind, "#three")
    open_card(content, page, target)
    given = content.asked("picture.check")[1]["bytes"]
    if kind == "tainted":
        assert given == {"way": "canvas", "length": None}
        return
    assert given["way"] == ("canvas" if kind == "canvas" else "page")
    sent = content.worker.evaluate("self.lastBytes")
    if kind != "canvas":
        assert sent == _base64(png(1, 640))
    else:
        assert page.evaluate(_PIXEL, sent) == [200, 30, 40, 255]


def test_the_keyboard_reaches_the_card_and_comes_back(content: Content) -> None:
    page = content.open(f'<button id="mine">Mine</button>{PICTURES}')
    page.focus("#mine")
    content.send(type="pick.start")
    page.keyboard.press("Enter")
    card(page, "AI-made")
    assert page.evaluate(f"document.activeElement === {HOST}")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    eventually(lambda: content.asked("picture.correct"))
    card(page, "You said: real")
    page.keyboard.press("Escape")
    no_card(page)
    assert page.evaluate("document.activeElement.id") == "mine"


def test_the_card_follows_its_picture_and_says_when_it_is_gone(content: Content) -> None:
    page = content.open(f'{PICTURES}<p style="height: 4000px"></p>')
    found = open_card(content, page)
    top = found.box(found.with_role("dialog")[0])[1]
    page.mouse.wheel(0, 60)
    eventually(lambda: page.evaluate("scrollY") == 60)

    def has_followed() -> bool:
        page.wait_for_timeout(50)
        found = card(page)
        return abs(found.box(found.with_role("dialog")[0])[1] - max(8, top - 60)) < 2

    eventually(has_followed)
    page.evaluate("scrollTo(0, 2000)")
    card(page, "out of view").press("Show it")
    eventually(lambda: page.evaluate("scrollY") < 200)
    page.evaluate("document.getElementById('one').remove()")
    found = card(page, "has removed this picture")
    assert IT_IS_REAL in found.buttons


@pytest.mark.parametrize(("width", "height"), [(320, 480), (240, 200), (500, 350), (1000, 700)])
def test_the_card_is_never_larger_than_the_window(
    content: Content, width: int, height: int
) -> None:
    long = [{"text": "Donaudampfschifffahrts" * 9, "lang": "de"}] * 6
    content.answer(check=DONE | {"lines": long})
    page = content.open(PICTURES)
    page.set_viewport_size({"width": width, "height": height})
    content.right_click(page, 20, 100)
    found = card(page, "AI-made")
    left, top, right, bottom = found.box(found.with_role("dialog")[0])
    assert min(left, top) >= 0
    assert min(width - right, height - bottom) >= 0
    for button in found.buttons.values():
        box = found.box(button)
        assert min(box[2] - box[0], box[3] - box[1]) >= 24
        assert min(box[0] - left, right - box[2], box[1] - top, bottom - box[3]) >= 0


NAMES = [
    "antifake",
    "documentElement",
    "body",
    "querySelectorAll",
    "createElement",
    "createElementNS",
    "baseURI",
    "activeElement",
    "elementsFromPoint",
    "addEventListener",
    "getElementById",
    "chrome",
    "hidden",
    "nodeType",
    "childNodes",
]
INNER_NAMES = [
    "parentNode",
    "getAttribute",
    "attachShadow",
    "append",
    "shadowRoot",
    "style",
    "dom",
    "card",
]
STRICT = (
    "default-src 'none'; img-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
STYLED = """<style>
  * { display: none !important; opacity: 0 !important; pointer-events: none !important;
    transform: scale(0) !important; visibility: hidden !important; }
  html, body, img { all: revert !important; display: block !important; }
  img { width: 300px !important; height: 200px !important; }
  #over { all: revert !important; display: block !important; position: fixed !important;
    inset: 0 !important; z-index: 2147483647 !important; background: white !important; }
</style>"""


def test_a_strict_policy_and_hostile_styles_do_not_hide_the_card(content: Content) -> None:
    page = content.open(f"{STYLED}{PICTURES}", Content_Security_Policy=STRICT)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    content.right_click(page, 20, 20)
    page.evaluate("""() => {
      const over = document.createElement("div");
      over.id = "over";
      document.documentElement.append(over);
    }""")
    found = card(page, "AI-made")
    assert page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y)?.popover",
        list(found.middle(found.with_role("dialog")[0])),
    )
    found.press(IT_IS_REAL)
    card(page, "You said: real")
    assert problems == []


def test_the_strictest_policy_lets_the_card_be_styled(content: Content) -> None:
    policy = "default-src 'none'; img-src 'self'; require-trusted-types-for 'script'; sandbox"
    page = content.open(PICTURES, Content_Security_Policy=policy)
    found = open_card(content, page)
    left, _, right, _ = found.box(found.with_role("dialog")[0])
    assert right - left == 340


def test_a_page_that_removes_the_card_gets_it_back_a_few_times(content: Content) -> None:
    page = content.open(PICTURES)
    open_card(content, page)
    for _ in range(3):
        page.evaluate(f"{HOST}.remove()")
        card(page, "AI-made")
    page.evaluate(f"{HOST}.hidePopover()")
    card(page, "AI-made").press(IT_IS_REAL)
    card(page, "You said: real")


def test_a_page_that_always_removes_the_card_wins_but_the_check_goes_on(content: Content) -> None:
    content.answer(check=WAITING, poll=[WAITING] * 6 + [DONE])
    page = content.open(PICTURES)
    page.evaluate("""() => {
      new MutationObserver((records) => {
        for (const record of records) for (const one of record.addedNodes) {
          if (one.popover) one.remove();
        }
      }).observe(document, {childList: true, subtree: true});
    }""")
    content.right_click(page, *middle(page, "#one"))
    eventually(lambda: len(content.asked("picture.poll")) >= 7)
    no_card(page)
    assert page.evaluate("1 + 1") == 2


def test_attributes_that_a_page_puts_on_the_card_are_taken_away(content: Content) -> None:
    page = content.open(PICTURES)
    open_card(content, page)
    page.evaluate(f"""() => {{
      const host = {HOST};
      host.inert = true;
      host.hidden = true;
      host.style.cssText = "display: none !important; opacity: 0 !important; left: -9999px";
      host.setAttribute("aria-hidden", "true");
    }}""")
    page.wait_for_function(f"() => {HOST}.getAttributeNames().join() === 'popover'")
    card(page, "AI-made").press(IT_IS_REAL)
    card(page, "You said: real")


def test_events_made_by_script_do_nothing(content: Content) -> None:
    page = content.open(PICTURES)
    page.mouse.move(*middle(page, "#two"))
    content.right_click(page, *middle(page, "#one"))
    found = card(page, "AI-made")
    where = list(found.middle(found.buttons[IT_IS_REAL]))
    page.evaluate(
        """([x, y]) => {
          const host = document.elementFromPoint(x, y);
          const about = {bubbles: true, composed: true, clientX: x, clientY: y, detail: 1};
          for (const type of ["mousedown", "mouseup", "click"]) {
            host.dispatchEvent(new MouseEvent(type, about));
          }
          host.click();
          host.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
          window.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}));
          for (const element of document.querySelectorAll("#two")) {
            element.dispatchEvent(new PointerEvent("contextmenu", {bubbles: true}));
          }
          window.postMessage({type: "card.open", srcUrl: "https://evil.test/x.png"}, "*");
        }""",
        where,
    )
    page.wait_for_timeout(500)
    assert cards(page)
    assert [one["type"] for one in content.asked()] == ["picture.check"]
    content.send(type="card.open", srcUrl=None, mediaType=None, targetElementId=None)
    page.wait_for_timeout(300)
    assert len(content.asked("picture.check")) == 1  # it is still about #one


def test_a_page_cannot_look_into_the_card(content: Content) -> None:
    page = content.open(
        PICTURES
        + """<script>
        window.seen = [];
        const attach = Element.prototype.attachShadow;
        Element.prototype.attachShadow = function (options) {
          seen.push("attachShadow");
          return attach.call(this, {...options, mode: "open"});
        };
        const made = document.createElement;
        Document.prototype.createElement = function (...rest) {
          seen.push("createElement");
          return made.apply(this, rest);
        };
        class Spy extends HTMLElement {
          constructor() { super(); seen.push(this.attachInternals().shadowRoot); }
        }
        for (const name of ["antifake-card", "anti-fake"]) customElements.define(name, Spy);
        Object.defineProperty(Array.prototype, "0", {set() { seen.push("array"); }});
        Promise.prototype.then = function () { seen.push("then"); return this; };
        JSON.stringify = () => { seen.push("json"); return ""; };
        window.chrome = {runtime: {sendMessage: () => seen.push("message")}};
        addEventListener("message", (event) => seen.push(event.data));
        </script>"""
    )
    found = open_card(content, page)
    found.press(IT_IS_REAL)
    card(page, "You said: real")
    assert page.evaluate("seen.length") == 0
    assert page.evaluate(f"{HOST}.shadowRoot") is None
    assert page.evaluate(f"{HOST}.outerHTML") == '<div popover="manual"></div>'
    assert "AI-made" not in page.evaluate("document.documentElement.innerText")


def test_names_that_disturb_the_dom_do_not_disturb_the_card(content: Content) -> None:
    clobbers = "".join(f'<img name="{one}"><form name="{one}" id="{one}"></form>' for one in NAMES)
    inner = "".join(f'<input name="{one}">' for one in INNER_NAMES)
    page = content.open(f'{clobbers}<form id="antifake">{inner}{PICTURES}</form>')
    open_card(content, page).press(IT_IS_REAL)
    card(page, "You said: real")
    assert content.asked("picture.check")[0]["picture"]["url"].endswith("/p1.png")


def test_a_picture_in_a_modal_dialog_has_its_card_there(content: Content) -> None:
    page = content.open(f'<dialog id="box">{PICTURES}</dialog>')
    page.evaluate("document.getElementById('box').showModal()")
    open_card(content, page).press(IT_IS_REAL)
    card(page, "You said: real")
    assert page.evaluate("document.getElementById('box').open")


def test_a_card_moves_into_a_dialog_that_opens_later(content: Content) -> None:
    page = content.open(f'{PICTURES}<dialog id="box">A question</dialog>')
    open_card(content, page)
    page.evaluate("document.getElementById('box').showModal()")
    eventually(lambda: page.evaluate(f"{HOST}.parentNode.id") == "box")
    card(page, "AI-made").press(IT_IS_REAL)
    card(page, "You said: real")


def test_a_press_on_the_card_is_not_one_beside_the_dialog(content: Content) -> None:
    page = content.open(
        PICTURES + '<script>window.outside = 0; addEventListener("click", () => outside++);'
        'document.addEventListener("pointerdown", () => outside++);</script>'
    )
    found = open_card(content, page)
    page.evaluate("window.outside = 0")  # the right click was one
    found.press(IT_IS_REAL)
    card(page, "You said: real")
    assert page.evaluate("outside") == 0


def test_a_picture_in_full_screen_has_its_card_above(content: Content) -> None:
    page = content.open(f'<div id="full">{PICTURES}</div>')
    page.evaluate("document.getElementById('full').requestFullscreen()")
    page.wait_for_function("() => document.fullscreenElement")
    open_card(content, page).press(IT_IS_REAL)
    card(page, "You said: real")


def test_a_press_on_a_covered_card_does_not_count(content: Content) -> None:
    page = content.open(PICTURES)
    found = open_card(content, page)
    page.evaluate("""() => {
      const over = document.createElement("div");
      over.popover = "manual";
      over.textContent = "Win a prize!";
      over.style.cssText = "width: 100vw; height: 100vh; margin: 0; pointer-events: none";
      document.body.append(over);
      over.showPopover();
    }""")
    drawn(page)
    found.press(IT_IS_REAL)
    card(page, "Something was in front")
    assert content.asked("picture.correct") == []
    drawn(page)
    card(page).press(IT_IS_REAL)
    card(page, "You said: real")


PROBLEM = {
    "state": "problem",
    "cause": "not-running",
    "text": "antifake is not running.",
    "button": {"action": "try-again", "text": "Try again"},
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tone", ["made", "real", "unsure", "failed"])
def test_axe_finds_no_fault_in_a_verdict(content: Content, tone: str, scheme: Any) -> None:
    long = [{"text": "One more reason for it, in some words. " * 3, "lang": "en"}] * 9
    content.answer(check=DONE | {"tone": tone, "lines": long})
    assert faults(content, scheme) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("outcome", [WAITING, PROBLEM, ASK, REAL])
def test_axe_finds_no_fault_in_other_states(
    content: Content, outcome: dict[str, Any], scheme: Any
) -> None:
    content.answer(check=outcome, poll=outcome)
    assert faults(content, scheme) == []


def faults(content: Content, scheme: Any) -> list[str]:
    page = content.open(PICTURES, inject=False)
    page.emulate_media(color_scheme=scheme)
    open_shadows(content)
    content.inject()
    content.right_click(page, *middle(page, "#one"))
    eventually(lambda: content.asked("picture.check"))
    page.wait_for_timeout(300)
    return axe_faults(page)


def test_scripts_that_are_put_in_twice_work_once(content: Content) -> None:
    page = content.open(PICTURES)
    content.inject()
    content.inject()
    open_card(content, page)
    assert len(content.asked("picture.check")) == 1
    assert len(overlays(page)) == 1


def test_a_card_of_an_extension_that_was_reloaded_goes_too(content: Content) -> None:
    """The last test: the scripted worker is another one afterwards."""
    page = content.open(PICTURES)
    open_card(content, page)
    content.worker.evaluate("() => { setTimeout(() => chrome.runtime.reload(), 10); }")
    no_card(page)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_DIFFERENCE = """async ([one, two]) => {
  const pixels = async (base64) => {
    const image = new Image();
    image.src = "data:image/png;base64," + base64;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height).data;
  };
  const [a, b] = [await pixels(one), await pixels(two)];
  let count = Math.abs(a.length - b.length);
  for (let i = 0; i < a.length; i++) if (Math.abs(a[i] - b[i]) > 3) count++;
  return count;
}"""
_PIXEL = """async (base64) => {
  const image = new Image();
  image.src = "data:image/png;base64," + base64;
  await image.decode();
  const context = new OffscreenCanvas(300, 200).getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(150, 100, 1, 1).data];
}"""
_FILL = """async ([kind, foreign]) => {
  const image = document.getElementById("one");
  if (kind === "blob") {
    const blob = await (await fetch(image.src)).blob();
    image.src = URL.createObjectURL(blob);
    await image.decode();
  }
  const context = document.getElementById("three").getContext("2d");
  context.fillStyle = "rgb(200 30 40)";
  context.fillRect(0, 0, 300, 200);
  if (kind === "tainted") {
    const other = new Image();
    other.src = foreign;
    await other.decode();
    context.drawImage(other, 0, 0);
  }
}"""
