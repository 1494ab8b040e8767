"""Every cause why a picture is not checked: its own sentence, and one button that mends it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kit.daemon import Asked, free_port, running_daemon
from kit.desk import Desk, image
from kit.extension import POPUP
from kit.pictures import picture, saved
from kit.popup import Popup
from kit.sites import CDN, Answer
from kit.stranger import Stranger
from kit.waiting import eventually

CONNECT = "Connect\N{HORIZONTAL ELLIPSIS}"
ALLOW = "Allow\N{HORIZONTAL ELLIPSIS}"


def connect_to(desk: Desk, port: int) -> None:
    """Connects, but to another port, on which antifake alone is looked for."""
    desk.browser.connect(desk.daemon)
    desk.browser.store({"settings": {"port": port}})


def expect_problem(
    desk: Desk, sentence: str, button: str | None, *, is_of_page: bool = False
) -> None:
    """Expects a card with this sentence and this button, and that the popup says the same."""
    desk.show_picture()
    desk.ask()
    found = desk.card(sentence)
    buttons = [one for one in found.buttons if one != "Close"]
    assert buttons == ([] if button is None else [button])
    if is_of_page:
        popup_of_page(desk, sentence, button).close()
    else:
        expect_in_popup(desk, sentence, button)


def popup_of_page(desk: Desk, sentence: str, button: str | None) -> Popup:
    """Expects that the popup over this page says so too. It is still open then."""
    desk.browser.until(lambda: desk.browser.badge(desk.page) == "!")
    popup = Popup.over(desk.browser, desk.page)
    (text,) = popup.shown("#page .note p")
    assert sentence in text
    assert popup.shown("#page .note button") == ([] if button is None else [button])
    assert popup.text("#state") == "Connected"
    return popup


def expect_in_popup(desk: Desk, sentence: str, button: str | None) -> None:
    """Expects that the popup says so too, with the same button and no other."""
    with desk.browser.page(POPUP) as popup:
        problem = popup.locator("#problem")
        problem.get_by_text(sentence).wait_for()
        assert problem.get_by_role("button").all_inner_texts() == (
            [] if button is None else [button]
        )
    desk.page.bring_to_front()


def test_antifake_is_not_running(desk: Desk) -> None:
    connect_to(desk, free_port())
    expect_problem(desk, "antifake is not running on this computer", "Try again")
    desk.browser.store({"settings": {"port": desk.daemon.port}})
    desk.card("Try again").press("Try again")
    desk.verdict()


def test_another_program_is_on_the_port(desk: Desk) -> None:
    with Stranger() as stranger:
        connect_to(desk, stranger.port)
        expect_problem(desk, "Another program is using the port of antifake", "Open the settings")
        assert stranger.tokens == []
        assert not any("/checks" in path for path in stranger.asked)


def test_a_program_that_relays_to_antifake_gets_neither_token_nor_picture(desk: Desk) -> None:
    with Stranger(relay_to=desk.daemon.port) as between:
        connect_to(desk, between.port)
        expect_problem(desk, "does not recognise this browser, or another program", CONNECT)
        assert between.tokens == []
        assert not any("/checks" in path for path in between.asked)


def test_the_browser_is_not_connected_yet(desk: Desk) -> None:
    desk.browser.store({"settings": {"port": desk.daemon.port}})
    expect_problem(desk, "This browser is not connected to antifake yet", CONNECT)
    with desk.browser.context.expect_page() as opened:
        desk.card("not connected").press("Connect")
    (pairing,) = eventually(lambda: desk.daemon.get("/pairings").json["pairings"])
    desk.daemon.post(f"/pairings/{pairing['id']}/accept")
    opened.value.locator("#connection", has_text="Connected").wait_for()
    desk.page.bring_to_front()
    desk.verdict()  # the card has tried again by itself


def test_the_access_was_revoked(desk: Desk) -> None:
    number = desk.browser.connect(desk.daemon)
    desk.daemon.ask("DELETE", f"/tokens/{number}")
    expect_problem(desk, "no longer accepts this browser", CONNECT)


def test_the_token_may_not_check(desk: Desk) -> None:
    desk.browser.connect(desk.daemon, "correct")
    sentence = "not allowed to do that in antifake"
    expect_problem(desk, sentence, "Allow it\N{HORIZONTAL ELLIPSIS}")
    assert desk.browser.badge(desk.page) == "!"
    over = Popup.over(desk.browser, desk.page)
    assert sentence not in over.text("#page")  # It is said once, above.
    over.close()


def test_antifake_and_the_extension_do_not_fit_together(desk: Desk) -> None:
    body = b'{"service": "antifake", "version": "9.0.0", "api": "v9"}'
    with Stranger(body=body) as newer:
        connect_to(desk, newer.port)
        expect_problem(desk, "do not fit together", None)


def test_there_is_no_model(desk: Desk, tiny_source: Path, tmp_path: Path) -> None:
    with running_daemon(tmp_path, tiny_source, '[worker]\nmodel = "another"\n') as asked:
        desk.daemon = asked
        desk.browser.connect(asked)
        expect_problem(desk, "antifake has no model that works", "Try again")
        with desk.browser.page(POPUP) as popup:
            popup.locator("#state", has_text="Connected, but no model").wait_for()


def test_the_model_is_loading(desk: Desk, tiny_source: Path, tmp_path: Path) -> None:
    with running_daemon(tmp_path, tiny_source) as asked:
        desk.daemon = asked
        with asked.model_paused():  # before all else, which may take as long as the loading
            desk.browser.connect(asked)
            desk.show_picture()
            desk.ask()
            desk.card("Loading the model")
        desk.verdict(60)


@contextmanager
def full_queue(asked: Asked) -> Iterator[None]:
    several = [asked.token("check") for _ in range(3)]  # one alone does not fill it
    with asked.model_paused():
        for seed in range(18):
            data = saved(picture(90_000 + seed), "PNG")
            asked.check(data, token=several[seed % 3], prefer="wait=0")
        yield


def test_too_many_pictures_are_waiting(desk: Desk, tiny_source: Path, tmp_path: Path) -> None:
    with running_daemon(tmp_path, tiny_source, "[worker]\nqueue = 4\n") as asked:
        asked.wait_for_model()
        desk.daemon = asked
        desk.browser.connect(asked)
        with full_queue(asked):
            expect_problem(desk, "too many pictures waiting", "Try again", is_of_page=True)
        eventually(lambda: asked.get("/state").json["mode"] != "working")
        popup = popup_of_page(desk, "too many pictures waiting", "Try again")
        popup.click("#page .note button")
        desk.verdict()
        desk.browser.until(lambda: not popup.is_open())
        desk.browser.until(lambda: desk.browser.badge(desk.page) != "!")


def test_the_browser_does_not_let_the_extension_reach_this_computer(desk: Desk) -> None:
    desk.browser.connect(desk.daemon)
    desk.browser.set_host_access("ON_CLICK")
    try:
        expect_problem(desk, "does not let the extension reach antifake", ALLOW)
    finally:
        desk.browser.set_host_access("ON_ALL_SITES")
    desk.verdict()  # the card has tried again by itself


def test_the_site_may_not_be_read_yet(connected: Desk) -> None:
    connected.browser.deny_all_sites()
    one = connected.picture()
    connected.show(f'<img id=it src="{connected.sites.url(one.path, CDN)}" width=200 height=200>')
    connected.ask()
    found = connected.card("May antifake load pictures from cdn.test")
    assert list(found.buttons)[1:] == [ALLOW, "Use a screen copy"]
    with connected.browser.context.expect_page() as opened:
        found.press("Allow")
    opened.value.get_by_text("cdn.test").first.wait_for()
    opened.value.close()
    connected.browser.allow_all_sites()  # as the page's button does, after the browser's question
    connected.page.bring_to_front()
    connected.verdict()
    assert one.sha256 in connected.judged()
    connected.browser.deny_all_sites()


def test_a_page_of_the_browser_lets_nothing_in(connected: Desk) -> None:
    page = connected.page
    page.goto("chrome://version")
    tab = connected.browser.tab_of(page)
    connected.browser.click_menu(tab, pageUrl=page.url)
    popup_of_page(connected, "Your browser lets no extension work on this page", None).close()
    title = connected.browser.worker("(tabId) => chrome.action.getTitle({tabId})", tab["id"])
    assert title.startswith("Your browser lets no extension work on this page")


def test_a_picture_that_is_too_large(connected: Desk) -> None:
    large = saved(picture(77, 3400), "PNG", compress_level=0)
    assert len(large) > 32 * 1024 * 1024
    connected.sites.picture("/large.png", large)
    connected.show('<img id=it src="/large.png" width=200 height=200>')
    connected.browser.allow_all_sites()
    connected.ask()
    connected.card("larger than 32 MB")
    connected.browser.deny_all_sites()


def test_something_that_is_not_a_picture(connected: Desk) -> None:
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><rect width="9"/></svg>'
    )
    connected.sites.picture("/drawing.svg", svg)
    connected.show('<img id=it src="/drawing.svg" width=200 height=200>')
    connected.ask()
    # A drawing of SVG has no file that a model could read. What the screen shows can be.
    text = connected.card(lambda words: "%" in words or "not a picture" in words).text
    assert "Original file" not in text


def test_a_picture_that_is_gone(connected: Desk) -> None:
    one = connected.picture()
    connected.show(image(one))
    connected.page.wait_for_function("() => it.complete")
    connected.sites.put(one.path, Answer(status=404))
    connected.page.evaluate("() => { it.srcset = ''; }")
    connected.browser.allow_all_sites()
    connected.browser.right_click(connected.page, "#it")
    text = connected.card(lambda words: "%" in words or "cannot be loaded again" in words).text
    assert "Original file" not in text
    connected.browser.deny_all_sites()


def test_the_popup_says_the_same(desk: Desk) -> None:
    connect_to(desk, free_port())
    with desk.browser.page(POPUP) as popup:
        popup.get_by_text("antifake is not running on this computer").wait_for()
    desk.browser.store({"settings": {"port": desk.daemon.port}})
    with desk.browser.page(POPUP) as popup:
        popup.get_by_text("Connected").first.wait_for()


def test_antifake_has_moved_to_another_of_its_ports(
    desk: Desk, tiny_source: Path, tmp_path: Path
) -> None:
    """A daemon that finds its port taken takes the next one; the extension finds it there."""
    with running_daemon(tmp_path, tiny_source, port=usual_port()) as asked:
        asked.wait_for_model()
        desk.daemon = asked
        desk.browser.connect(asked)
        kept = desk.browser.stored()["connection"]
        desk.browser.store({"connection": kept | {"port": free_port()}})
        desk.show_picture()
        desk.ask()
        desk.verdict()
        assert desk.browser.stored()["connection"]["port"] == asked.port


def usual_port() -> int:
    """Returns a free one of the ports on which antifake is looked for."""
    for port in range(8785, 8764, -1):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("all ports of antifake are taken on this machine")
