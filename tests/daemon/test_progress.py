"""How long things take is told beforehand: loading the model, and the pictures that wait."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kit.clock import Clock
from kit.command_line import antifake, process
from kit.daemon import Asked, daemon_of, tiny_home_in
from kit.pace import within
from kit.pages import NOW, world
from kit.pictures import png
from kit.tiny import IMAGE_SIZE
from kit.waiting import eventually

from antifake.core.durations import span
from antifake.core.load_times import LoadTimes, loading_words
from antifake.daemon.service import status
from antifake.daemon.service.progress import WINDOW_S, Pace
from antifake.daemon.store import jobs
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.web.guards import COOKIE
from antifake.daemon.worker.model_process import ModelProcess

posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal or a shell")


# --- Loading the model ----------------------------------------------------------------------


def test_the_last_time_of_each_model_is_kept(tmp_path):
    times = LoadTimes.at(tmp_path)
    assert times.expected_s("mini@1") is None
    times.note("mini@1", 4.2)
    times.note("big@1", 60.0)
    times.note("mini@1", 5.111)
    assert LoadTimes.at(tmp_path).expected_s("mini@1") == 5.11
    assert LoadTimes.at(tmp_path).expected_s("big@1") == 60.0


@pytest.mark.parametrize("text", ["", "[]", '{"mini@1": "x"}', '{"mini@1": -1}', "\0"])
def test_a_damaged_file_costs_the_estimate_only(text, tmp_path):
    (tmp_path / "load_times.json").write_text(text)
    times = LoadTimes.at(tmp_path)
    assert times.expected_s("mini@1") is None
    times.note("mini@1", 3.0)
    assert times.expected_s("mini@1") == 3.0


def test_the_words_for_it():
    assert loading_words(None) == "Loading the model"
    assert loading_words(5.4) == "Loading the model, about 5 s"
    assert loading_words(0.2) == "Loading the model, almost there"


def test_the_model_process_says_how_long_the_rest_takes(tiny_home):
    told: list[None] = []
    now_s = 1000.0
    with ModelProcess(tiny_home, clock=lambda: now_s, on_change=lambda: told.append(None)) as model:
        assert model.state().ready_in_s is None
        model.judge([np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)])
        eventually(lambda: len(told) == 2)
        version = model.state().model
    LoadTimes.at(tiny_home.root).note(version, 8.0)
    with ModelProcess(tiny_home, clock=lambda: now_s) as model:
        assert (model.state().phase, model.state().ready_in_s) == ("asleep", 8.0)
        model.wake()
        now_s += 3.0
        state = model.state()
        assert state.phase == "ready" or state.ready_in_s == 5.0


@pytest.fixture
def slow_daemon(tiny_source, tmp_path, monkeypatch) -> Iterator[Asked]:
    """A daemon whose model has taken 30 s before and now never comes to an end."""
    home = tiny_home_in(tmp_path / "home", tiny_source)
    LoadTimes.at(home.root).note(home.bundle("tiny").manifest.version, 30.0)
    script = tmp_path / "sleeper"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with daemon_of(home, tmp_path) as asked:
        model = asked.service.status._model
        monkeypatch.setattr(model, "_clock", lambda: model._load_began)  # it has just begun
        yield asked


@posix
def test_page_api_and_status_say_that_the_model_is_loading(slow_daemon):
    session = slow_daemon.access.login(slow_daemon.access.mint_login())
    about = slow_daemon.page(session, Content_Type="application/octet-stream")
    page = slow_daemon.ask("GET", "//pieces/state", token=None, Cookie=about["Cookie"])
    assert b"Loading the model, about 30 s" in page.body
    state = slow_daemon.get("/state").json
    assert (state["model"]["phase"], round(state["model"]["ready_in_s"])) == ("loading", 30)
    given = slow_daemon.ask("POST", "//changes/check?name=a.png", png(1), **about)
    assert given.json["waits_for"].startswith("Loading the model, about ")


@posix
@pytest.mark.usefixtures("one_picture")
def test_the_terminal_says_how_long_the_model_will_load(tiny_source, tmp_path, monkeypatch):
    home = tiny_home_in(tmp_path / "home", tiny_source)
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    command = process("check", "--no-daemon", "picture.png")
    _, said = on_terminal(command, tmp_path)
    assert "Loading the model …" in said
    LoadTimes.at(home.root).note(home.bundle("tiny").manifest.version, 7.0)
    out, said = on_terminal(command, tmp_path)
    assert "Loading the model, about 7 s …" in said
    assert "picture.png" in out
    # What was said is gone from the line once the model is there.
    assert said.rstrip("\r\n").endswith(" ")
    assert LoadTimes.at(home.root).expected_s(home.bundle("tiny").manifest.version) != 7.0


def test_without_a_terminal_nothing_of_it_is_said(tiny_source, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tiny_home_in(tmp_path / "home", tiny_source).root))
    (tmp_path / "picture.png").write_bytes(png(1))
    assert "Loading" not in antifake("check", "--no-daemon", tmp_path / "picture.png").output


@pytest.fixture
def one_picture(tmp_path) -> None:
    (tmp_path / "picture.png").write_bytes(png(1))


def on_terminal(command: list[str], folder: Path) -> tuple[str, str]:
    """Runs a command with its messages on a terminal. Returns its output and its messages."""
    import pty

    ours, theirs = pty.openpty()
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs, timeout=within(60), check=True
    )
    os.close(theirs)
    said = os.read(ours, 65_536).decode()
    os.close(ours)
    return done.stdout.decode(), said


# --- The queue ------------------------------------------------------------------------------


def test_the_time_left_is_that_of_the_last_pictures():
    pace = Pace()
    assert pace.left_s(100, 0.0) is None
    for second in range(0, 40, 2):
        pace.note(float(second))
    assert pace.left_s(100, 38.0) == 200.0
    assert pace.left_s(0, 38.0) is None
    for tenth in range(700):
        pace.note(40.0 + tenth / 10)
    assert pace.left_s(100, 109.9) == pytest.approx(10.0, rel=0.02)
    assert WINDOW_S == 60.0


def test_a_pause_does_not_count():
    pace = Pace()
    for second in (0.0, 2.0, 4.0):
        pace.note(second)
    pace.restart()
    assert pace.left_s(5, 3600.0) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "less than a minute"),
        (65, "about 1 minute"),
        (600, "about 10 minutes"),
        (9000, "about 2 hours"),
    ],
)
def test_a_time_in_words(seconds, words):
    assert span(seconds) == words


def test_the_page_shows_how_many_wait_and_the_time_left(tmp_path, tiny_home, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=clock.elapsed))
    with world(tmp_path, tiny_home) as made:
        with made.store.writing() as session:
            for n in range(50):
                path = f"/home/me/{n}.png"
                jobs.add(session, NewJob(source="watch", priority=Priority.FOLDER, path=path), NOW)
        assert made.service.state().left_s is None
        for _ in range(3):
            made.service.status.note_done()
            clock.go(seconds=0.1)
        assert made.service.state().left_s == pytest.approx(7.5)
        browser = made.app().test_client()
        browser.set_cookie(COOKIE, made.access.login(made.access.mint_login()), domain="127.0.0.1")
        assert "50 waiting, less than a minute left" in browser.get("/pieces/state").text
        made.service.settings.pause(NOW + timedelta(hours=1))
        assert made.service.state().left_s is None
