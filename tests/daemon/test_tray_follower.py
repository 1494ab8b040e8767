"""Following a daemon that starts, works, forgets us and ends; and what a click does.

The daemon is a stand-in that speaks the few questions of the HTTP interface that the tray asks.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from kit.pace import within
from kit.standin import StandIn
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.daemon import client
from antifake.daemon.client import DaemonError
from antifake.daemon.places import Places
from antifake.daemon.tray.actions import Errands
from antifake.daemon.tray.follower import LONGEST_PAUSE_S, Follower
from antifake.daemon.tray.view_model import OFFLINE, Board, View, view_of


@pytest.fixture
def where(tmp_path):
    return Places(
        Home(tmp_path), tmp_path / "config.toml", tmp_path, tmp_path / "run", tmp_path / "logs"
    )


@pytest.fixture
def board():
    return Board(time.monotonic)


@pytest.fixture
def follower(where, board):
    return Follower(lambda: client.find(where), board, wait_s=0)


def errands(where, board, start=None):
    return Errands(lambda: client.need(where), board, start, lambda: None)


def notes_of(board, within_s=5.0):
    """What is told next."""
    end = time.monotonic() + within(within_s)
    while time.monotonic() < end:
        if notes := board.news(board.view, 0.2)[1]:
            return notes
    raise AssertionError("nothing was told")


def check(name="c1", **about):
    return {"id": name, "state": "done", "word": "likely AI-made", "percent": 84,
            "summary": "Likely AI-made (84 %)",
            "path": "/home/a/holiday.png", "page": None, "label": "fake",
            "explanation": ["The model finds it likely."], **about}  # fmt: skip


def test_no_daemon_is_said_and_asked_for_ever_more_rarely(follower, board):
    pauses = [follower.step() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == LONGEST_PAUSE_S
    assert board.view == View("offline", OFFLINE)


def test_a_daemon_that_comes_goes_and_comes_again_is_followed(where, follower, board):
    for _ in range(2):
        with StandIn(where) as daemon:
            daemon.checks = [check()]
            follower.step()
            assert (board.view.mode, board.view.line) == ("ready", "Ready")
            assert [one.words for one in board.view.recent] == [
                "Likely AI-made (84 %): holiday.png"
            ]
            daemon.set_state(mode="working", waiting={"person": 1, "folder": 2})
            follower.step()
            assert board.view.line == "Checking, 3 more waiting"
        follower.step()
        assert board.view.mode == "offline"


def test_only_what_happens_after_the_start_is_told(where, follower, board):
    with StandIn(where) as daemon:
        daemon.tell("check", label="fake", word="AI-made", source="watch", name="old.png")
        follower.step()
        daemon.tell("check", label="fake", word="AI-made", source="watch", name="new.png")
        daemon.tell("check", label="fake", word="AI-made", source="extension", name="mine.png")
        follower.step()
    assert [note.text for note in notes_of(board)] == ["new.png"]


def test_changed_settings_count_at_once(where, follower, board):
    with StandIn(where) as daemon:
        follower.step()
        daemon.settings = {"notifications.level": "none"}
        daemon.tell("settings")
        follower.step()
        daemon.tell("check", label="fake", word="AI-made", source="watch", name="new.png")
        follower.step()
        daemon.pairings = [{"id": "p1", "name": "Firefox <b>", "code": "123 456"}]
        daemon.tell("pairing")
        follower.step()
        (note,) = notes_of(board)
        assert "Firefox" in note.title
        assert "<" not in note.title
        assert "123 456" in note.text
        daemon.tell("pairing")
        follower.step()
        assert board.news(board.view, 0.0)[1] == [], "told once"


def test_a_gap_in_the_events_is_read_over(where, follower, board):
    with StandIn(where) as daemon:
        follower.step()
        daemon._events.clear()
        daemon._first = 5000
        daemon.checks = [check(word="cannot tell", percent=None, summary="Cannot tell")]
        follower.step()
        assert [one.words for one in board.view.recent] == ["Cannot tell: holiday.png"]
        daemon.tell("check", label="real", word="likely real", source="watch", name="a.png")
        follower.step()
        assert [note.title for note in notes_of(board)] == ["Likely real"]


@pytest.mark.parametrize("answer", [[], {}, {"mode": "ready"}, None, "hello", {"mode": 3}])
def test_another_programs_answers_do_not_end_the_loop(where, follower, board, answer):
    with StandIn(where) as daemon:
        real, daemon.answer = daemon.answer, lambda *_: (200, answer)
        for _ in range(3):
            assert follower.step() > 0
        assert board.view.mode == "offline"
        daemon.answer = real
        follower.step()
        assert board.view.mode == "ready"


def test_a_token_that_is_refused_is_said(where, follower, board):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (401, {"detail": "Who are you?", "code": "unauthorized"})
        follower.step()
    assert (board.view.mode, board.view.line) == ("offline", "Who are you?")


def test_a_daemon_that_cannot_prove_itself_is_said(where, follower, board):
    with StandIn(where) as daemon:
        where.local_token.write_text("another")
        follower.step()
        assert daemon.asked == []
    assert board.view.mode == "offline"
    assert "cannot prove" in board.view.line


def test_the_thread_ends_when_it_is_told_to(where, board):
    stop = threading.Event()
    follower = Follower(lambda: client.find(where), board)
    thread = threading.Thread(target=follower.run, args=(stop,), daemon=True)
    thread.start()
    stop.set()
    follower.hurry()
    thread.join(5)
    assert not thread.is_alive()


def test_states_are_words():
    until = datetime.now(UTC).astimezone() + timedelta(days=2)
    lines = [
        view_of({"mode": "working", "model": {"phase": "loading"}}, []).line,
        view_of({"mode": "paused", "paused_until": until.isoformat()}, []).line,
        view_of({"mode": "paused", "paused_until": "later"}, []).line,
        view_of({"mode": "attention", "notices": ["The disk is full."]}, []).line,
        view_of({"mode": "attention", "notices": []}, []).line,
    ]
    assert lines == [
        "Waking the model",
        f"Folders are paused until {until:%Y-%m-%d %H:%M}",
        "Folders are paused until later",
        "The disk is full.",
        "antifake needs you: open the history.",
    ]


def test_a_click_that_cannot_be_served_says_why(where, board):
    errands(where, board).pause()
    (note,) = notes_of(board)
    assert note.text.startswith("The antifake daemon is not running")


def test_pausing_shows_at_once(where, board):
    with StandIn(where) as daemon:
        errands(where, board).pause()
        eventually(lambda: board.view.mode == "paused")
        assert daemon.asked_for("POST", "/watches:pause") == [b'{"minutes": 60}']
        assert board.view.is_paused
        errands(where, board).go_on()
        eventually(lambda: board.view.mode == "ready")


def test_the_one_time_link_of_a_stranger_is_not_opened(where, board):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (201, {"url": "http://example.org/open?code=1"})
        errands(where, board).open_history()
        (note,) = notes_of(board)
    assert "not its own" in note.text


def test_the_daemon_is_started_by_whoever_knows_how(where, board):
    started = threading.Event()
    errands(where, board, started.set).start_daemon()
    assert started.wait(5)

    def fail():
        raise DaemonError("It does not start: no port is free.")

    errands(where, board, fail).start_daemon()
    assert notes_of(board)[0].text == "It does not start: no port is free."


def test_even_a_mistake_of_ours_ends_in_a_sentence(where, board, caplog):
    def fail():
        raise ZeroDivisionError

    errands(where, board, fail).start_daemon()
    assert "did not work" in notes_of(board)[0].text
    assert "ZeroDivisionError" in caplog.text


def test_an_impatient_click_asks_once(where, board):
    go, calls = threading.Event(), []

    def start():
        calls.append(1)
        go.wait(5)

    busy = errands(where, board, start)
    for _ in range(5):
        busy.start_daemon()
    go.set()
    eventually(lambda: not busy._running)
    assert calls == [1]


def test_a_snooze_is_seen_and_can_be_taken_back():
    now = [0.0]
    board = Board(lambda: now[0])
    snoozing = Errands(lambda: None, board, None, lambda: None)
    snoozing.snooze()
    assert board.is_snoozed
    now[0] = 3599
    assert board.is_snoozed
    now[0] = 3600
    assert not board.is_snoozed
    snoozing.snooze()
    snoozing.snooze()
    assert not board.is_snoozed
