"""antifake itself asks again before a change that deletes something or lets somebody in."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from kit.axe import axe
from kit.page_desk import desk_at, look, shoot
from kit.pages import NOW, ago, scene
from kit.waiting import eventually
from playwright.sync_api import expect

from antifake.daemon.service.confirmations import (
    CONFIRMATION_FOR_S,
    MOST_CONFIRMATIONS,
    Confirmations,
)
from antifake.daemon.store.forgetting import retire

SENDER = {"X-Requested-By": "antifake"}
SAME = {"sha256": hashlib.sha256(b"x").hexdigest()}


@pytest.fixture
def desk(here, served, chromium):
    with desk_at(here, served, chromium) as desk:
        yield desk


def change(me, where, confirmation="", **body):
    headers = SENDER | ({"X-Confirmation": confirmation} if confirmation else {})
    return me.post(f"/changes/{where}", json=body, headers=headers)


def asked(me, where, confirmation="", **body):
    """Sends a change that has to be confirmed. Returns the question."""
    answer = change(me, where, confirmation, **body)
    assert (answer.status_code, answer.json["code"]) == (409, "confirm"), answer.text
    return answer.json


def let_in(here, name="Firefox"):
    return here.access.ask(name, "moz-extension://5f0c", ["check"])


@pytest.mark.attack
def test_one_request_lets_nobody_in(here, me):
    pairing = let_in(here)
    question = asked(me, "pairing", id=pairing.id, accept=True)
    assert question["title"] == "Let “Firefox” in?"
    told = " ".join(question["words"])
    for said in ("moz-extension://5f0c", "It may have pictures checked.", pairing.code):
        assert said in told
    for wrong in ("x", "0" * 43, "é", question["confirmation"] + "x"):
        asked(me, "pairing", wrong, id=pairing.id, accept=True)
    assert [one.id for one in here.access.pending()] == [pairing.id]
    yes = question["confirmation"]
    assert change(me, "pairing", yes, id=pairing.id, accept=True).status_code == 200
    assert here.access.poll(pairing.id, pairing.secret).token


@pytest.mark.attack
def test_a_confirmation_counts_for_one_thing_only_and_once(here, me):
    one, other = here.add("a.jpg"), here.add("b.jpg")
    yes = asked(me, "forget", ids=[one.id])["confirmation"]
    for wrong in ([other.id], [one.id, other.id]):
        again = asked(me, "forget", yes, ids=wrong)
        assert again["again"] == "This was answered too late, or something has changed since."
        yes = asked(me, "forget", ids=[one.id])["confirmation"]
    assert asked(me, "learning/crops", yes, sha256s=[one.sha256])
    pairing = let_in(here)
    yes = asked(me, "forget", ids=[one.id])["confirmation"]
    asked(me, "pairing", yes, id=pairing.id, accept=True)
    asked(me, "forget", yes, ids=[one.id])
    yes = asked(me, "forget", ids=[one.id])["confirmation"]
    assert change(me, "forget", yes, ids=[one.id]).status_code == 200
    assert change(me, "forget", yes, ids=[one.id]).status_code == 404
    asked(me, "forget", yes, ids=[other.id])
    assert here.service.get(other.id)


@pytest.mark.attack
def test_a_confirmation_of_another_session_is_none(here, me):
    one, thief = here.add("a.jpg"), here.app().test_client()
    thief.get(f"/enter?code={here.access.mint_login()}")
    yes = asked(me, "forget", ids=[one.id])["confirmation"]
    stolen = asked(thief, "forget", yes, ids=[one.id])["confirmation"]
    asked(me, "forget", stolen, ids=[one.id])
    assert here.service.get(one.id)


@pytest.mark.attack
def test_what_has_changed_since_is_asked_about_again(here, me):
    one = here.add("a.jpg", **SAME, thumb=scene(1))
    first = asked(me, "forget", ids=[one.id])
    here.add("copy.jpg", **SAME)  # the same bytes: it would go, too
    second = asked(me, "forget", first["confirmation"], ids=[one.id])
    assert ("1 check," in first["words"][0], "2 checks," in second["words"][0]) == (True, True)
    assert change(me, "forget", second["confirmation"], ids=[one.id]).status_code == 200

    pairing = let_in(here)
    yes = asked(me, "pairing", id=pairing.id, accept=True)["confirmation"]
    here.access.give_up(pairing.id, pairing.secret)
    namesake = let_in(here)
    assert change(me, "pairing", yes, id=pairing.id, accept=True).status_code == 404
    asked(me, "pairing", yes, id=namesake.id, accept=True)
    assert here.access.poll(namesake.id, namesake.secret).state == "waiting"


@pytest.mark.attack
def test_a_confirmation_lasts_a_minute_and_few_are_kept():
    now = [100.0]
    confirmations = Confirmations(lambda: now[0])
    in_time, late = confirmations.ask("s", "x"), confirmations.ask("s", "x")
    now[0] += CONFIRMATION_FOR_S - 0.1
    assert confirmations.take(in_time, "s", "x")
    now[0] += 0.1
    assert not confirmations.take(late, "s", "x")
    first, *others = [confirmations.ask("s", "x") for _ in range(MOST_CONFIRMATIONS + 1)]
    assert not confirmations.take(first, "s", "x")
    assert all(confirmations.take(one, "s", "x") for one in others)
    for session, what in (("s", "y"), ("t", "x"), ("sx", ""), ("", "sx")):
        assert not confirmations.take(confirmations.ask("s", "x"), session, what)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("keep_days", "1", "2 checks more"),
        ("keep_checks", "1", "2 checks more"),
        ("thumbnails", "0", "3 small pictures more"),
        ("database", "postgresql://me:secret@evil.example/x", "me:***@evil.example"),
    ],
)
def test_a_setting_that_would_delete_or_give_away_the_history_is_asked_about(
    here, me, name, value, told
):
    for days in (0, 5, 6):
        here.add(f"{days}.jpg", at=ago(days=days), thumb=scene(days))
    full = f"history.{name}"
    question = asked(me, "setting", name=full, value=value)
    assert told in " ".join(question["words"])
    assert "secret" not in " ".join(question["words"])
    asked(me, "setting", question["confirmation"], name=full, value=f"{value} ")
    assert here.service.config.get(full) == type(here.service.config)().get(full)
    yes = asked(me, "setting", name=full, value=value)["confirmation"]
    assert change(me, "setting", yes, name=full, value=value).status_code == 200


def test_a_setting_that_deletes_nothing_is_saved_at_once(here, me):
    here.add("a.jpg", thumb=scene(1))
    for name, value in (("keep_days", "1"), ("keep_checks", "1"), ("thumbnails", "1")):
        saved = change(me, "setting", name=f"history.{name}", value=value)
        assert saved.status_code == 200, saved.text
    for value in ("-1", "999999999999", "x"):
        wrong = change(me, "setting", name="history.keep_days", value=value)
        assert wrong.status_code == 422, wrong.text


def test_the_question_of_settings_counts_what_upkeep_then_deletes(here):
    found = [here.add(f"{n}.jpg", at=ago(days=n), thumb=scene(n)) for n in range(6)]
    here.service.correct([found[5].id], "real", "page")
    kept = here.service.config.history
    counted = {
        days: here.service.to_clean_up(replace(kept, keep_days=days)).checks for days in (1, 3, 9)
    }
    deleted = {days: retire(here.store, NOW - timedelta(days=days)) for days in (9, 3)}
    assert (counted, deleted) == ({1: 3, 3: 1, 9: 0}, {9: 0, 3: 1})


# --- In the browser -----------------------------------------------------------------------


def test_a_browser_is_let_in_by_keyboard_after_a_second_look(here, desk):
    page = desk.open("/browsers")
    pairing = let_in(here, "Firefox on this laptop")
    accept, dialog = page.get_by_role("button", name="Accept"), page.get_by_role("dialog")
    accept.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Let “Firefox on this laptop” in?")
    expect(dialog).to_contain_text(f"Its code is {pairing.code}.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(accept).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(accept).to_be_focused()
    assert [one.id for one in here.access.pending()] == [pairing.id]
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#pairings")).to_be_empty()
    desk.toast("It may connect now.")
    assert here.access.poll(pairing.id, pairing.secret).state == "accepted"


def test_a_double_click_asks_one_question(here, desk):
    page = desk.open("/browsers")
    pairing = let_in(here, "Firefox on this laptop")
    answers: list[int] = []
    page.on("response", lambda one: "/changes/" in one.url and answers.append(one.status))
    page.get_by_role("button", name="Accept").evaluate("one => { one.click(); one.click(); }")
    page.wait_for_function("() => document.querySelector('#confirm').open")
    eventually(lambda: page.wait_for_timeout(20) or answers == [409, 409])
    page.get_by_role("dialog").get_by_role("button", name="Let it in").click()
    desk.toast("It may connect now.")
    assert answers == [409, 409, 200]
    assert here.access.poll(pairing.id, pairing.secret).state == "accepted"


def test_what_changes_while_the_dialog_is_open_is_asked_about_again(here, desk):
    one = here.add("cat.jpg", **SAME, thumb=scene(5))
    page = desk.open(f"/picture/{one.id}")
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Forget this picture").click()
    expect(dialog).to_contain_text("this deletes 1 check,")
    here.add("copy.jpg", **SAME)
    dialog.get_by_role("button", name="Forget").click()
    expect(dialog).to_contain_text("something has changed since")
    expect(dialog).to_contain_text("this deletes 2 checks,")
    assert here.service.get(one.id)
    shoot(page, "confirm-again")
    dialog.get_by_role("button", name="Forget").click()
    expect(page.locator(".empty")).to_contain_text("Nothing has been checked yet.")


def test_a_setting_goes_back_if_the_answer_is_no(here, desk):
    here.add("old.jpg", at=ago(days=30))
    page = desk.open("/settings")
    days, dialog = page.get_by_label("Keep checks for", exact=True), page.get_by_role("dialog")
    days.fill("7")
    days.press("Enter")
    expect(dialog).to_contain_text("delete 1 check more than now")
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(days).to_have_value("0")
    assert here.service.config.history.keep_days == 0
    days.fill("7")
    days.press("Enter")
    dialog.get_by_role("button", name="Save").click()
    desk.toast("Keep checks for: 7 days.")
    assert here.service.config.history.keep_days == 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_is_whole_and_clean_in_any_size(here, served, chromium, scheme):
    name = "Das sehr lange Programm mit einem sehr langen Namen, der niemals aufhören will"
    here.access.ask(name, "moz-extension://5f0c4d3e-8f00-4f00-9f00-0123456789ab", ["check", "open"])
    with chromium.new_context(bypass_csp=True, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(f"{served}/enter?code={here.access.mint_login()}")
        for width in (1180, 390):
            page.set_viewport_size({"width": width, "height": 844})
            look(page, f"{served}/browsers")
            page.get_by_role("button", name="Accept").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert axe(page) == []
            shoot(page, f"confirm-{scheme}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.keyboard.press("Escape")
