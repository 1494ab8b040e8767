"""Pages that fight the extension: nothing breaks, and they learn and cause nothing."""

import json

import pytest
from kit.desk import IT_IS_MADE, IT_IS_REAL, Desk, Picture, correction, image
from kit.extension import ID
from kit.gallery import FILE
from kit.overlays import cards, drawn, overlays, picker

pytestmark = pytest.mark.attack

STRICT = (
    "default-src 'none'; img-src 'self'; script-src 'none'; style-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
BREAKS = {
    "hides all boxes": "<style>div, body > :not(img) {display: none !important}</style>",
    "covers everything": """<style>
        #cover {position: fixed; inset: 0; z-index: 2147483647; background: white}
      </style><script>
        addEventListener("contextmenu", () => setTimeout(() => {
          const cover = document.createElement("div");
          cover.id = "cover";
          document.body.append(cover);
        }, 300), {once: true});
      </script>""",
    "removes what it did not make": """<script>
        const own = new Set(document.querySelectorAll("*"));
        new MutationObserver((all) => {
          for (const {addedNodes} of all) {
            for (const node of addedNodes) {
              if (node.popover === "manual" && removals++ < 3) node.remove();
            }
          }
        }).observe(document.documentElement, {childList: true, subtree: true});
        let removals = 0;
      </script>""",
    "replaces what scripts are made of": """<script>
        const broken = () => { throw new Error("broken by the page"); };
        for (const name of ["map", "filter", "push", "find", "some", "includes", "join"]) {
          Array.prototype[name] = broken;
        }
        Promise.prototype.then = broken;
        window.Promise = broken;
        window.fetch = broken;
        Element.prototype.attachShadow = broken;
        Element.prototype.getBoundingClientRect = broken;
        Element.prototype.append = broken;
        Document.prototype.createElement = broken;
        Node.prototype.appendChild = broken;
        JSON.stringify = broken;
        EventTarget.prototype.addEventListener = broken;
      </script>""",
    "names its elements after the document's": """
        <form name=body></form><img name=createElement><form name=documentElement></form>
        <form name=querySelectorAll><input name=attributes><input name=shadowRoot></form>
        <img name=elementsFromPoint><form id=isConnected name=activeElement></form>""",
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_page_that(name: str, connected: Desk) -> None:
    picture = connected.picture()
    connected.show(image(picture) + BREAKS[name])
    if name == "replaces what scripts are made of":
        # The test's own scripts are broken there too.
        clicked_by_address(connected, connected.sites.url(picture.path))
    else:
        connected.ask()
    found = connected.verdict()
    assert picture.sha256 in connected.judged()
    assert found.box(found.with_role("dialog")[0])


def test_a_page_that_hides_itself_wholly(connected: Desk) -> None:
    """Nothing of it is shown, so no card can be either. The popup has the verdict."""
    picture = connected.picture()
    connected.show(image(picture) + "<style>* {display: none !important}</style>")
    clicked_by_address(connected, connected.sites.url(picture.path))
    connected.browser.until(lambda: picture.sha256 in connected.judged())
    connected.verdict()


def clicked_by_address(desk: Desk, address: str) -> None:
    desk.browser.let_into(desk.page)
    tab = desk.browser.tab_of(desk.page)
    desk.browser.click_menu(tab, mediaType="image", srcUrl=address, pageUrl=desk.page.url)


def test_a_page_with_the_strictest_policy(connected: Desk) -> None:
    picture = connected.show_picture(Content_Security_Policy=STRICT)
    connected.ask()
    found = connected.verdict()
    said, label = {IT_IS_REAL: ("real", "real"), IT_IS_MADE: ("AI-made", "fake")}[correction(found)]
    found.press(correction(found))
    connected.card(f"You said: {said}")
    assert connected.row(picture)["said"]["label"] == label


def test_a_page_that_covers_the_card_gets_no_correction_from_the_person(connected: Desk) -> None:
    """People must not press what they do not see."""
    picture = connected.show_picture()
    connected.ask()
    found = connected.verdict()
    x, y = found.middle(found.buttons[correction(found)])
    connected.page.evaluate(
        """() => {
          const cover = document.createElement("div");
          cover.style = "position: fixed; inset: 0; background: white; pointer-events: none";
          cover.popover = "manual";
          document.body.append(cover);
          cover.showPopover();
        }"""
    )
    drawn(connected.page)
    connected.page.mouse.click(x, y)
    connected.card("Something was in front of this card")
    assert connected.row(picture)["said"] is None


def test_a_script_presses_nothing(connected: Desk) -> None:
    """What a page does by script is not what the person does."""
    picture = connected.show_picture()
    connected.ask()
    found = connected.verdict()
    x, y = found.middle(found.buttons[correction(found)])
    before = len(connected.history())
    connected.page.evaluate(
        """([x, y]) => {
          for (const type of ["pointerdown", "mousedown", "mouseup", "click", "contextmenu"]) {
            const about = {bubbles: true, composed: true, clientX: x, clientY: y, button: 0};
            for (const one of [document.elementFromPoint(x, y), it, document, window]) {
              one?.dispatchEvent(new MouseEvent(type, about));
            }
          }
          for (const key of ["Enter", " "]) {
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key}));
          }
          document.elementFromPoint(x, y)?.click?.();
        }""",
        [x, y],
    )
    connected.page.keyboard.press("Shift")  # all events before it are done
    assert connected.row(picture)["said"] is None
    assert len(connected.history()) == before


def test_messages_of_a_page_reach_nobody(connected: Desk) -> None:
    """Neither before nor after the extension is in the page."""
    picture = connected.show_picture()
    send = """async (address) => {
      const told = [];
      const picture = {
        kind: "image", url: address, larger: null, linked: null, shown: {width: 1, height: 1},
        natural: null, rect: null, ratio: 1,
      };
      const message = {type: "picture.check", picture, bytes: null, isAutomatic: false,
        answers: {linked: null}};
      for (const one of [message, {type: "card.open", srcUrl: address, mediaType: "image",
        targetElementId: null}, {type: "pick.start"}, {type: "marks.start"}]) {
        window.postMessage(one, "*");
        window.dispatchEvent(new MessageEvent("message", {data: one}));
        document.dispatchEvent(new CustomEvent(one.type, {detail: one}));
        try {
          told.push(await globalThis.chrome?.runtime?.sendMessage?.("ID", one) ?? null);
        } catch (error) {
          told.push(null);
        }
      }
      return told;
    }"""
    address = connected.sites.url(picture.path)
    assert set(connected.page.evaluate(send.replace('"ID"', f'"{ID}"'), address)) == {None}
    assert overlays(connected.page) == []
    connected.ask()
    connected.verdict().press("Close")
    count = len(connected.history())
    assert set(connected.page.evaluate(send.replace('"ID"', f'"{ID}"'), address)) == {None}
    assert cards(connected.page) == []
    assert len(connected.history()) == count


def test_a_card_that_a_page_draws_itself_changes_nothing(connected: Desk) -> None:
    picture = connected.picture()
    connected.show(
        image(picture)
        + """<div id=spoof></div><script>
          const root = spoof.attachShadow({mode: "closed"});
          root.innerHTML = "<div role=alertdialog>AI-made 99 % <button data-act=real>It's real" +
            "</button></div>";
        </script>"""
    )
    connected.page.mouse.click(60, 230)
    connected.page.keyboard.press("Shift")
    assert picture.sha256 not in connected.judged()
    connected.ask()
    connected.verdict()  # the real one beside it


def test_a_page_sees_neither_the_token_nor_the_verdict(connected: Desk) -> None:
    picture = connected.picture()
    connected.show(
        """<script>
          window.seen = [];
          const keep = (what) => window.seen.push(String(what));
          new MutationObserver((all) => all.forEach((one) => {
            one.addedNodes.forEach((node) => {
              keep(node.outerHTML ?? node.data);
              keep(node.shadowRoot);
              keep(node.innerText);
            });
          })).observe(document, {childList: true, subtree: true, attributes: true});
          const shadow = Element.prototype.attachShadow;
          Element.prototype.attachShadow = function (how) {
            keep("attachShadow" + " was called");
            return shadow.call(this, {...how, mode: "open"});
          };
          for (const name of ["fetch", "postMessage", "XMLHttpRequest"]) {
            const real = window[name];
            window[name] = function (...all) { keep(all[0]); return real.apply(this, all); };
          }
          addEventListener("message", ({data}) => keep(JSON.stringify(data)));
        </script>"""
        + image(picture)
    )
    connected.ask()
    verdict = connected.verdict().text
    secret = connected.browser.stored()["connection"]["token"]
    seen = connected.page.evaluate(
        "() => JSON.stringify([window.seen, document.documentElement.outerHTML, "
        "Object.keys(window), {...localStorage}, document.cookie, performance.getEntries()])"
    )
    assert secret not in seen
    assert str(connected.daemon.port) not in seen
    for word in (
        verdict.split(" The model")[0],
        "The model (tiny",
        IT_IS_REAL,
        IT_IS_MADE,
        "attachShadow was called",
    ):
        assert word not in seen
    # The content script's own world has no token either, and cannot read where it is kept.
    assert secret not in json.dumps(worlds(connected))


def worlds(desk: Desk) -> list[object]:
    """Returns what the scripts of the extension can reach in the page."""
    session = desk.page.context.new_cdp_session(desk.page)
    found: list[dict[str, object]] = []
    session.on("Runtime.executionContextCreated", lambda event: found.append(event["context"]))
    session.send("Runtime.enable")
    desk.page.wait_for_timeout(50)
    own = [one for one in found if "chrome-extension" in str(one["origin"])]
    assert own, "the extension is not in the page"
    expression = """(async () => {
      const kept = [];
      for (const area of ["local", "session", "sync"]) {
        kept.push(await chrome.storage?.[area]?.get().catch(String));
      }
      return JSON.stringify([kept, Object.keys(globalThis.antifake)]);
    })()"""
    return [
        session.send(
            "Runtime.evaluate",
            {
                "expression": expression,
                "contextId": one["id"],
                "awaitPromise": True,
                "returnByValue": True,
            },
        )["result"]
        for one in own
    ]


def show_changing(desk: Desk) -> tuple[Picture, Picture]:
    """Shows a page that puts another picture in the place of the one that is clicked."""
    meant, other = desk.picture(), desk.picture()
    desk.show(
        image(meant)
        + f"""<script>
          addEventListener("contextmenu", () => setTimeout(() => {{ it.src = "{other.path}"; }}));
        </script>"""
    )
    desk.page.wait_for_function("() => it.complete && it.naturalWidth")
    return meant, other


def is_changed(other: Picture) -> str:
    return f"() => it.currentSrc.endsWith({other.path!r}) && it.complete && it.naturalWidth"


def test_the_picture_that_was_clicked_is_judged_also_if_the_page_changes_it(
    connected: Desk,
) -> None:
    connected.browser.allow_all_sites()  # Else its bytes could be had from the page alone.
    meant, other = show_changing(connected)
    put_in(connected)
    connected.ask()
    connected.page.wait_for_function(is_changed(other))
    assert FILE in connected.verdict().text
    assert {meant.sha256, other.sha256} & connected.judged() == {meant.sha256}
    connected.browser.deny_all_sites()


def put_in(desk: Desk) -> None:
    """Has the extension put its scripts into the page before the person clicks a picture."""
    desk.browser.let_into(desk.page)
    desk.browser.press_pick(desk.page)
    desk.browser.until(lambda: picker(desk.page))
    desk.page.keyboard.press("Escape")
    desk.browser.until(lambda: picker(desk.page) is None)


def test_a_person_picks_anew_if_the_page_has_changed_the_picture_unseen(connected: Desk) -> None:
    """Before the extension is in the page it knows the address alone, which nothing there has."""
    meant, other = show_changing(connected)
    tab = connected.browser.tab_of(connected.page)
    connected.browser.let_into(connected.page)
    connected.page.mouse.click(100, 100, button="right")
    connected.page.wait_for_function(is_changed(other))
    address = connected.sites.url(meant.path)
    connected.browser.click_menu(tab, mediaType="image", srcUrl=address, pageUrl=connected.page.url)
    connected.browser.until(lambda: picker(connected.page))
    assert cards(connected.page) == []
    assert {meant.sha256, other.sha256} & connected.judged() == set()
    connected.page.keyboard.press("Enter")  # The person picks what is there now.
    assert FILE in connected.verdict().text
    assert {meant.sha256, other.sha256} & connected.judged() == {other.sha256}


def test_nothing_is_asked_of_the_daemon_in_the_name_of_a_page(connected: Desk) -> None:
    """The daemon would refuse it, and must not even get it."""
    sent: list[str] = []
    connected.page.on("request", lambda request: sent.append(request.url))
    connected.show_picture()
    connected.ask()
    connected.verdict()
    to_daemon = f"http://127.0.0.1:{connected.daemon.port}/"
    assert not [url for url in sent if url.startswith(to_daemon)]
    connected.page.evaluate("(url) => fetch(url).catch(() => null)", to_daemon)
    assert to_daemon in sent  # it would have been seen


def test_five_hundred_pictures(connected: Desk) -> None:
    one = connected.picture()
    connected.show("".join(f'<img src="{one.path}?{n}" width=40 height=40>' for n in range(500)))
    connected.ask("img:nth-of-type(250)")
    connected.verdict()
    assert len([each for each in connected.history() if each["sha256"] == one.sha256]) == 1
