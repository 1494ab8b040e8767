"""Following a daemon that starts, works, forgets us and ends; and what a click does.

The daemon is a stand-in that answers the few requests that the tray sends.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

import pytest
from kit.pace import within
from kit.standin import StandIn
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.daemon import client
from antifake.daemon.client import DaemonError
from antifake.daemon.config.quiet_hours import QuietHours
from antifake.daemon.instance import OFFLINE, OTHER_VERSION
from antifake.daemon.places import Places
from antifake.daemon.tray.actions import Actions
from antifake.daemon.tray.follower import LONGEST_PAUSE_S, Follower
from antifake.daemon.tray.notifications import Note
from antifake.daemon.tray.view_model import View, ViewModel, judgements, view_of


@pytest.fixture
def where(tmp_path):
    return Places(
        Home(tmp_path), tmp_path / "config.toml", tmp_path, tmp_path / "run", tmp_path / "logs"
    )


@pytest.fixture
def view_model():
    return ViewModel(time.monotonic)


@pytest.fixture
def follower(where, view_model):
    return Follower(lambda: client.find(where), view_model, wait_s=0)


def actions(where, view_model, start=None):
    return Actions(lambda: client.need(where), view_model, start, lambda: None)


def notes_of(view_model):
    """Returns the next notifications."""
    return eventually(lambda: view_model.notes(0.2))


def check(name="c1", **about):
    return {
        "id": name,
        "state": "done",
        "word": "likely AI-made",
        "percent": 84,
        "summary": "Likely AI-made (84 %)",
        "path": "/home/a/holiday.png",
        "name": "holiday.png",
        "page": None,
        "label": "fake",
        "explanation": ["The model finds it likely."],
        **about,
    }


def test_a_missing_daemon_is_reported_and_looked_for_less_and_less_often(follower, view_model):
    pauses = [follower.step() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == LONGEST_PAUSE_S
    assert view_model.view == View("offline", OFFLINE)


def test_a_daemon_that_starts_stops_and_starts_again_is_followed(where, follower, view_model):
    for _ in range(2):
        with StandIn(where) as daemon:
            daemon.checks = [check()]
            follower.step()
            assert (view_model.view.mode, view_model.view.line) == ("ready", "Ready")
            assert [one.words for one in view_model.view.recent] == [
                "Likely AI-made (84 %): holiday.png"
            ]
            daemon.set_state(mode="working", waiting={"person": 1, "folder": 2})
            follower.step()
            assert view_model.view.line == "Checking, 3 more waiting"
        follower.step()
        assert view_model.view.mode == "offline"


def test_only_events_after_the_start_are_notified(where, follower, view_model):
    with StandIn(where) as daemon:
        daemon.tell("check", label="fake", word="AI-made", source="watch", name="old.png")
        follower.step()
        daemon.tell("check", label="fake", word="AI-made", source="watch", name="new.png")
        daemon.tell("check", label="fake", word="AI-made", source="extension", name="mine.png")
        follower.step()
    assert [note.text for note in notes_of(view_model)] == ["new.png"]


def test_changed_settings_take_effect_at_once(where, follower, view_model):
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
        (note,) = notes_of(view_model)
        assert "Firefox" in note.title
        assert "<" not in note.title
        assert "123 456" in note.text
        daemon.tell("pairing")
        follower.step()
        assert view_model.notes(0.0) == [], "told once"


def test_quiet_hours_hold_pictures_back_and_then_tell_of_them_together(where):
    """What answers a click is told all the same."""
    now = [datetime(2026, 11, 28, 23, 30)]  # noqa: DTZ001  # local time
    view_model = ViewModel(time.monotonic, lambda: now[0])
    follower = Follower(lambda: client.find(where), view_model, wait_s=0)
    with StandIn(where) as daemon:
        daemon.settings = {"notifications.quiet_hours": "22:00-07:00"}
        follower.step()
        for name in ("a.png", "b.png"):
            daemon.tell("check", label="fake", word="AI-made", source="watch", name=name)
        follower.step()
        assert view_model.notes(0.0) == []
        view_model.tell(Note("You said: real", "c.png"))
        assert view_model.notes(0.0) == [Note("You said: real", "c.png")]
        now[0] = datetime(2026, 11, 29, 6, 59)  # noqa: DTZ001
        assert view_model.notes(0.0) == []
        now[0] = datetime(2026, 11, 29, 7, 0)  # noqa: DTZ001
        assert [note.text for note in notes_of(view_model)] == ["2 look AI-made."]


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("22:00-07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "21:59"]),
        ("13:00-14:30", ["13:00", "14:29"], ["12:59", "14:30", "00:00"]),
        ("09:00-09:00", [], ["09:00", "00:00"]),
        ("", [], ["00:00", "12:00"]),
    ],
)
def test_quiet_hours_begin_and_end_at_the_minute(hours, quiet, loud):
    parsed = QuietHours.parse(hours)
    moments = [time_of_day.fromisoformat(one) for one in quiet + loud]
    assert [parsed.covers(one) for one in moments] == [True] * len(quiet) + [False] * len(loud)


def test_pictures_are_left_out_of_notifications_on_request(where, follower, view_model):
    with StandIn(where) as daemon:
        follower.step()
        assert view_model.shows_pictures
        daemon.settings = {"notifications.pictures": False}
        daemon.tell("settings")
        follower.step()
        assert not view_model.shows_pictures


def test_after_a_gap_in_the_events_everything_is_read_again(where, follower, view_model):
    with StandIn(where) as daemon:
        follower.step()
        daemon._events.clear()
        daemon._first = 5000
        daemon.checks = [check(word="cannot tell", percent=None, summary="Cannot tell")]
        follower.step()
        assert [one.words for one in view_model.view.recent] == ["Cannot tell: holiday.png"]
        daemon.tell("check", label="real", word="likely real", source="watch", name="a.png")
        follower.step()
        assert [note.title for note in notes_of(view_model)] == ["Likely real"]


@pytest.mark.parametrize("answer", [[], {}, {"mode": "ready"}, None, "hello", {"mode": 3}])
def test_answers_of_another_program_do_not_end_the_loop(where, follower, view_model, answer):
    with StandIn(where) as daemon:
        real, daemon.answer = daemon.answer, lambda *_: (200, answer)
        for _ in range(3):
            assert follower.step() > 0
        assert view_model.view.mode == "offline"
        daemon.answer = real
        follower.step()
        assert view_model.view.mode == "ready"


def test_a_refused_token_is_reported(where, follower, view_model):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (401, {"detail": "Who are you?", "code": "unauthorized"})
        follower.step()
    assert (view_model.view.mode, view_model.view.line) == ("offline", "Who are you?")


def test_a_daemon_that_cannot_prove_itself_is_reported(where, follower, view_model):
    with StandIn(where) as daemon:
        where.local_token.write_text("another")
        follower.step()
        assert daemon.asked == []
    assert view_model.view.mode == "offline"
    assert "cannot prove" in view_model.view.line


def test_the_thread_ends_when_it_is_told_to(where, view_model):
    stop = threading.Event()
    follower = Follower(lambda: client.find(where), view_model)
    thread = threading.Thread(target=follower.run, args=(stop,), daemon=True)
    thread.start()
    stop.set()
    follower.hurry()
    thread.join(within(20))
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
        "Loading the model",
        f"Folders are paused until {until:%Y-%m-%d %H:%M}",
        "Folders are paused",
        "The disk is full.",
        "antifake needs you: open the history.",
    ]


def test_todays_pictures_to_review_are_counted(where, follower, view_model):
    """Again after a correction. A daemon that cannot say how many is followed all the same."""
    with StandIn(where) as daemon:
        daemon.to_review = [{"why": "It is unsure."}] * 3
        follower.step()
        assert view_model.view.to_review == 3
        daemon.to_review = daemon.to_review[1:]
        daemon.tell("correction", id="c1")
        follower.step()
        assert view_model.view.to_review == 2
        daemon.to_review = None
        daemon.tell("correction", id="c1")
        follower.step()
        assert (view_model.view.mode, view_model.view.to_review) == ("ready", 0)
    follower.step()
    assert view_model.view == View("offline", OFFLINE)


def test_a_daemon_of_another_version_is_told_apart_from_none(where, follower, view_model):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (200, {"unheard of": 1})
        follower.step()
        assert view_model.view == View("offline", OTHER_VERSION)
        daemon.answer = lambda *_: (200, ["no object"])
        follower.step()
        assert view_model.view == View("offline", OTHER_VERSION)


def test_a_running_training_is_shown_until_it_is_over(where, follower, view_model):
    with StandIn(where) as daemon:
        follower.step()
        daemon.tell("training", id=1, state="running", stage="words", done=0, total=0)
        follower.step()
        assert view_model.view.line == "Learning from your answers"
        daemon.tell("training", id=1, state="running", stage="features", done=37, total=1180)
        follower.step()
        assert view_model.view.line == "Learning from your answers, 37 of 1,180"
        daemon.set_state(mode="working")
        follower.step()
        assert view_model.view.line == "Checking a picture"
        daemon.set_state(mode="ready")
        daemon.tell("training", id=1, state="done", promoted=True)
        follower.step()
        assert view_model.view.line == "Ready"


def test_a_click_that_fails_says_why(where, view_model):
    actions(where, view_model).pause()
    (note,) = notes_of(view_model)
    assert note.text.startswith("antifake is not running: start it")


def test_pausing_shows_at_once(where, view_model):
    with StandIn(where) as daemon:
        actions(where, view_model).pause()
        eventually(lambda: view_model.view.mode == "paused")
        assert daemon.asked_for("POST", "/watches:pause") == [b'{"minutes": 60}']
        assert view_model.view.is_paused
        actions(where, view_model).go_on()
        eventually(lambda: view_model.view.mode == "ready")


def test_the_menu_offers_to_confirm_or_correct_a_verdict():
    said = {"label": "real", "said": {"label": "real"}}
    checks = [check(), check(**said, alike=True), check(**said), check(label="unsure")]
    offered = [judgements(one) for one in view_of({"mode": "ready"}, checks).recent]
    real, made, unsure = ("It's real", "real"), ("It's AI-made", "fake"), ("Cannot tell", "unsure")
    assert offered[0] == [("Yes, that's right", "fake"), real, unsure]
    assert offered[1] == [("Yes, that's right", "real"), made, unsure]
    assert offered[2] == offered[3] == [real, made, unsure]


def test_a_daemon_that_refuses_to_stop_is_quoted(where, view_model):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (503, {"detail": "It is busy.", "code": "busy"})
        actions(where, view_model).stop_daemon()
        (note,) = notes_of(view_model)
    assert note.text == "It is busy."


def test_stop_asks_the_daemon_to_stop(where, view_model):
    with StandIn(where) as daemon:
        actions(where, view_model).stop_daemon()
        eventually(lambda: daemon.asked_for("POST", "/daemon:stop"))
    actions(where, view_model).stop_daemon()
    assert notes_of(view_model)[0].text.startswith("antifake is not running: start it")


@pytest.mark.attack
def test_a_one_time_link_of_another_program_is_not_opened(where, view_model):
    with StandIn(where) as daemon:
        daemon.answer = lambda *_: (201, {"url": "http://example.org/open?code=1"})
        actions(where, view_model).open_history()
        (note,) = notes_of(view_model)
    assert "not its own" in note.text


def test_the_menu_starts_the_daemon_if_a_way_was_given(where, view_model):
    started = threading.Event()
    actions(where, view_model, started.set).start_daemon()
    assert started.wait(within(20))

    def fail():
        raise DaemonError("It does not start: no port is free.")

    actions(where, view_model, fail).start_daemon()
    assert notes_of(view_model)[0].text == "It does not start: no port is free."


def test_even_an_internal_error_ends_in_a_message(where, view_model, caplog):
    def fail():
        raise ZeroDivisionError

    actions(where, view_model, fail).start_daemon()
    assert "did not work" in notes_of(view_model)[0].text
    assert "ZeroDivisionError" in caplog.text


def test_repeated_clicks_run_an_action_once(where, view_model):
    go, calls = threading.Event(), []

    def start():
        calls.append(1)
        go.wait(within(20))

    busy = actions(where, view_model, start)
    for _ in range(5):
        busy.start_daemon()
    go.set()
    eventually(lambda: not busy._running)
    assert calls == [1]


def test_a_snooze_is_shown_and_can_be_ended():
    now = [0.0]
    view_model = ViewModel(lambda: now[0])
    snoozing = Actions(lambda: None, view_model, None, lambda: None)
    snoozing.snooze()
    assert view_model.is_snoozed
    now[0] = 3599
    assert view_model.is_snoozed
    now[0] = 3600
    assert not view_model.is_snoozed
    snoozing.snooze()
    snoozing.snooze()
    assert not view_model.is_snoozed
