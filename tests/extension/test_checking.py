"""From pairing to a row of the history; and a worker that dies at every step of a check."""

import re

from kit.daemon import Asked
from kit.desk import IT_IS_MADE, IT_IS_REAL, THAT_IS_RIGHT, Desk, correction, has_verdict, image
from kit.extension import OPTIONS, ORIGIN
from kit.overlays import card
from kit.page_desk import SCREENS
from kit.pictures import picture, saved
from kit.sites import CDN
from kit.waiting import eventually
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect

from antifake.core.samples import photographs


def history_page(page: Page, daemon: Asked, path: str) -> Page:
    """Opens a page of the daemon, as its tray does."""
    page.goto(daemon.post("/logins", {"next": path}).json["url"])
    return page


def is_waiting(desk: Desk) -> bool:
    """Returns whether the extension knows that the daemon has a picture and is not done."""
    kept = desk.browser.stored("session").values()
    return any(isinstance(one, dict) and one.get("tone") == "waiting" for one in kept)


def test_from_pairing_to_a_corrected_picture_in_the_history(desk: Desk, with_mini: Asked) -> None:
    """The whole way of a new person: real daemon, real model, real browser."""
    desk.daemon = with_mini
    options = desk.browser.open(OPTIONS)
    options.locator("summary").click()
    options.locator("#port").fill(str(with_mini.port))
    options.locator("#port").press("Tab")
    options.get_by_role("button", name="Connect").click()
    code = options.locator(".code")
    shown = re.sub(r"\D", "", code.inner_text())[:6]
    clients = history_page(desk.browser.context.new_page(), with_mini, "/browsers")
    expect(clients.locator(".code")).to_have_text(shown)
    clients.get_by_role("button", name="Accept").click()
    clients.get_by_role("button", name="Let it in").click()
    expect(options.locator("#connection .state").first).to_contain_text("Connected")
    (token,) = [one for one in with_mini.get("/tokens").json["tokens"] if one["origin"]]
    assert token["origin"] == ORIGIN
    assert sorted(token["scopes"]) == ["check", "correct"]

    photograph = photographs()[0].read_bytes()
    desk.sites.picture("/holiday.jpg", photograph)
    desk.show('<img id=it src="/holiday.jpg?secret=1" width=320>')
    desk.ask()
    found = desk.verdict()
    assert "Original file" in found.text
    found.press(IT_IS_MADE)
    desk.card("You said: AI-made").press("Undo")
    desk.card(lambda text: "%" in text and "You said" not in text).press(THAT_IS_RIGHT)
    desk.card("You said: real")

    (row,) = desk.history()
    assert (row["name"], row["page"], row["source"]) == ("holiday.jpg", "site.test", "extension")
    assert row["said"]["label"] == "real"
    assert "secret" not in str(row)
    history = history_page(desk.browser.context.new_page(), with_mini, "/")
    line = history.locator(".row").first
    expect(line).to_contain_text("holiday.jpg")
    expect(line).to_contain_text("real")


def test_a_picture_whose_file_says_ai_is_shown_so_with_what_it_says(desk: Desk) -> None:
    note = PngInfo()
    note.add_text("parameters", "a hill\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1")
    desk.browser.connect(desk.daemon)
    desk.sites.picture("/made.png", saved(picture(77, 300), "PNG", pnginfo=note))
    desk.show('<img id=it src="/made.png" width=300>')
    desk.ask()
    found = desk.card("Marked as AI-made")
    assert "The file holds Stable Diffusion's recipe for making it." in found.text
    desk.page.wait_for_timeout(300)  # until it has faded in
    SCREENS.mkdir(parents=True, exist_ok=True)
    desk.page.screenshot(path=SCREENS / "extension-card-marked.png")


def test_details_open_the_picture_in_the_history_after_one_more_permission(desk: Desk) -> None:
    desk.browser.connect(desk.daemon)
    desk.show_picture()
    desk.ask()
    desk.verdict().press("Details")
    with desk.browser.context.expect_page() as opened:
        desk.card("not allowed to do that").press("Allow it")
    (pairing,) = eventually(lambda: desk.daemon.get("/pairings").json["pairings"])
    assert sorted(pairing["scopes"]) == ["check", "correct", "open"]
    desk.daemon.post(f"/pairings/{pairing['id']}/accept")
    expect(opened.value.locator("#connection .state").first).to_contain_text("Connected")
    opened.value.close()
    tokens = [one for one in desk.daemon.get("/tokens").json["tokens"] if one["origin"]]
    valid = [one for one in tokens if one["revoked"] is None]
    assert [sorted(one["scopes"]) for one in valid][-1] == ["check", "correct", "open"]
    desk.page.bring_to_front()
    with desk.browser.context.expect_page() as history:
        desk.card("Details").press("Details")
    history.value.wait_for_url(f"**:{desk.daemon.port}/picture/{desk.history()[0]['id']}")


# The browser may end the worker at any moment: after 30 s, when memory is short, at an update.


def test_the_worker_dies_right_after_the_click(connected: Desk) -> None:
    """While the browser still puts the content scripts into a busy page."""
    picture = connected.picture()
    wait = connected.sites.held_picture("/wait", picture.data)
    connected.show(image(picture))
    connected.browser.let_into(connected.page)
    tab = connected.browser.tab_of(connected.page)
    blocks = """() => {
      const asked = new XMLHttpRequest();
      asked.open("GET", "/wait", false);
      setTimeout(() => asked.send());
    }"""
    connected.page.evaluate(blocks)
    wait.wait_until_asked()
    connected.browser.click_menu(
        tab, mediaType="image", srcUrl=connected.sites.url(picture.path), pageUrl=connected.page.url
    )
    connected.browser.kill_worker()
    wait.let_go()
    connected.verdict()
    assert picture.sha256 in connected.judged()


def test_the_worker_dies_before_it_fetches(connected: Desk) -> None:
    small, large = connected.picture(150), connected.picture()
    connected.browser.allow_all_sites()
    connected.show(f'<a href="{large.path}">{image(small)}</a>')
    connected.ask()
    question = connected.card("Check the larger picture it links to?")
    connected.browser.kill_worker()
    question.press("Check the linked file")
    assert "Linked file" in connected.verdict().text
    assert {large.sha256} == {small.sha256, large.sha256} & connected.judged()


def test_the_worker_dies_while_it_fetches_from_a_slow_server(connected: Desk) -> None:
    connected.browser.allow_all_sites()
    picture = connected.picture()
    held = connected.sites.held_picture(picture.path, picture.data, free=1)
    connected.show(f'<img id=it src="{connected.sites.url(picture.path, CDN)}" width=200>')
    connected.page.wait_for_function("() => it.complete && it.naturalWidth")
    connected.ask()
    held.wait_until_asked(2)
    connected.browser.kill_worker()
    held.let_go()
    connected.verdict()
    assert picture.sha256 in connected.judged()


def test_the_worker_dies_after_it_has_sent_the_picture(connected: Desk) -> None:
    picture = connected.show_picture()
    with connected.daemon.model_paused():
        connected.ask()
        eventually(lambda: connected.daemon.get("/state").json["mode"] == "working")
        connected.browser.kill_worker()
    connected.verdict()
    assert len([one for one in connected.history() if one["sha256"] == picture.sha256]) == 1


def test_the_worker_dies_while_it_waits_for_the_verdict(connected: Desk) -> None:
    connected.show_picture()
    with connected.daemon.model_paused():
        connected.ask()
        connected.browser.until(lambda: is_waiting(connected))
        connected.browser.kill_worker()
    connected.verdict()


def test_the_worker_is_dead_when_the_person_corrects(connected: Desk) -> None:
    picture = connected.show_picture()
    connected.ask()
    found = connected.verdict()
    connected.browser.kill_worker()
    wanted = correction(found)  # which verdict the tiny model gives is chance
    found.press(wanted)
    word = {IT_IS_REAL: "real", IT_IS_MADE: "AI-made"}[wanted]
    said = connected.card(f"You said: {word}")
    connected.browser.kill_worker()
    said.press("Undo")
    connected.card(lambda text: has_verdict(text) and "You said" not in text)
    assert connected.row(picture)["said"] is None


def test_a_second_picture_waits_for_the_first_card(connected: Desk) -> None:
    first, second = connected.picture(), connected.picture()
    connected.show(image(first, "id=first") + image(second, "id=second"))
    with connected.daemon.model_paused():
        connected.ask("#first")
        connected.card("Stop waiting")
        connected.ask("#second")
        connected.card("Next picture")
    connected.verdict().press("Next picture")
    connected.browser.until(lambda: {first.sha256, second.sha256} <= connected.judged())
    card(connected.page, lambda text: has_verdict(text) and "Next" not in text)
