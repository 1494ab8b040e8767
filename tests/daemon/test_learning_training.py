"""Trainings with the real trainer and the tiny model: followed, suspended, cancelled, killed."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psutil
import pytest
from conftest import tiny_prompt
from kit.command_line import process
from kit.daemon import running_daemon, tiny_home_in
from kit.pace import within
from kit.pictures import picture, png, saved
from kit.processes import has_ended, trainers
from kit.running import post, running
from kit.waiting import eventually
from PIL import Image

from antifake.core.promptbook import Promptbook
from antifake.daemon.client import DaemonError, LearningClient
from antifake.daemon.learning.scheduling import ON_BATTERY, Schedule
from antifake.daemon.learning.trainer_process import NICE, end_left_over
from antifake.daemon.learning.words import fingerprint
from antifake.daemon.store import checks, corrections, trainings
from antifake.daemon.store.checks import Finding
from antifake.trainer.personal.stages import STAGES

pytestmark = pytest.mark.timeout(600)
EACH = 11


def tinted(seed: int, *, is_warm: bool) -> bytes:
    tint = np.array([40, 0, -40]) if is_warm else np.array([-40, 0, 40])
    pixels = (np.asarray(picture(seed), float) * 0.6 + 50 + tint).clip(0, 255).astype(np.uint8)
    return saved(Image.fromarray(pixels), "PNG")


@pytest.fixture(scope="module")
def corrected(tiny_source, tmp_path_factory):
    """The home of a user who has corrected enough pictures, made by a daemon that has ended."""
    root = tmp_path_factory.mktemp("corrected")
    home = tiny_home_in(root, tiny_source)
    Promptbook(home.prompts)
    with running(root) as daemon:
        asked = daemon.ready()
        for seed in range(EACH):
            for said, is_warm in (("fake", True), ("real", False)):
                check = post(asked, tinted(seed + 100 * is_warm, is_warm=is_warm))
                asked.correct([check["id"]], said, source="cli")
    return root


@pytest.fixture
def root(corrected, tmp_path):
    """A copy of that home."""
    return shutil.copytree(corrected, tmp_path / "home")


def started(asked) -> tuple[LearningClient, dict]:
    learning = LearningClient(asked)
    return learning, learning.start("cli")


def until(learning, number: int, *states: str) -> dict:
    def look():
        found = learning.training(number)
        return found if found["state"] in states else None

    return eventually(look, 240)


def test_a_training_is_followed_to_its_version_used_and_taken_back(root):
    with running(root) as daemon:
        asked = daemon.ready()
        before = post(asked, png(1))["prompt"]
        after = asked.state()["last_event"]
        learning, training = started(asked)
        (trainer,) = eventually(lambda: trainers(daemon.process.pid))
        eventually(lambda: trainer.nice() == NICE)
        trainer.suspend()
        with pytest.raises(DaemonError) as again:
            learning.start("cli")
        assert again.value.code == "training_already"
        trainer.resume()
        stages = []
        found = learning.wait(training["id"], lambda stage, *_: stages.append(stage))
        assert found["state"] == "done", found
        assert {"features", "bias", "word"} <= set(stages)
        assert not trainers(daemon.process.pid)
        kinds = [
            event["data"].get("state")
            for event in asked.events(after, 0)["events"]
            if event["kind"] == "training"
        ]
        assert (kinds[0], kinds[-1]) == ("running", "done")
        # The tiny model has no base set, so nothing is put into use by itself.
        assert (found["outcome"], found["promoted"]) == ("candidate", False)
        assert found["candidate"] == "personal-0001"
        assert found["reason"].endswith(".")
        assert post(asked, png(2))["prompt"] == before
        state = learning.state()
        assert (state["new_words"], state["running"]) == (0, None)
        assert state["why_not"] == "Nothing has changed since the last training."
        made = next(one for one in learning.versions() if one["name"] == "personal-0001")
        assert (made["words_real"], made["words_fake"]) == (EACH, EACH)
        assert made["made"] == found["chosen"]
        assert made["parent"] == before
        assert made["training"] == training["id"]
        for flip in learning.flips(training["id"]):
            assert flip["kind"] in ("mended", "broken", "changed")
        assert learning.promote(training["id"])["promoted"]
        assert post(asked, png(3))["prompt"] == made["version"]
        assert learning.roll_back()["version"] == before
        assert post(asked, png(4))["prompt"] == before
        assert not list(daemon.places.training.glob("[0-9]*"))


def test_a_cancelled_training_changes_nothing(root):
    with running(root) as daemon:
        asked = daemon.ready()
        prompts = sorted(daemon.places.home.prompts.iterdir())
        learning, training = started(asked)
        (trainer,) = eventually(lambda: trainers(daemon.process.pid))
        trainer.suspend()
        found = learning.cancel(training["id"])
        assert (found["state"], found["candidate"]) == ("cancelled", None)
        assert not trainers(daemon.process.pid)
        assert sorted(daemon.places.home.prompts.iterdir()) == prompts
        assert learning.state()["why_not"] is None
        with pytest.raises(DaemonError, match="This training is already over"):
            learning.cancel(training["id"])


def test_a_training_stands_still_while_pictures_are_judged(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        daemon.wait_for_model()
        for seed in range(EACH):
            for said, is_warm in (("fake", True), ("real", False)):
                check = daemon.check(tinted(seed + 100 * is_warm, is_warm=is_warm)).json
                daemon.send("PUT", f"/checks/{check['id']}/label", {"label": said})
        number = daemon.post("/learning/trainings", {}).json["id"]
        pid = psutil.Process().pid
        (trainer,) = eventually(lambda: trainers(pid))
        with daemon.model_paused():
            assert daemon.check(png(1), prefer="wait=0").status == 202
            eventually(lambda: trainer.status() == psutil.STATUS_STOPPED)
            assert daemon.get("/learning").json["running"]["is_suspended"]
        eventually(lambda: daemon.get(f"/learning/trainings/{number}").json["state"] == "done", 240)


def test_a_killed_trainer_is_reported_and_the_next_training_works(root):
    with running(root) as daemon:
        asked = daemon.ready()
        learning = LearningClient(asked)
        command = subprocess.Popen(
            process("retrain", "--wait", "--json"),
            env=os.environ | {"ANTIFAKE_HOME": str(root)},
            stdout=subprocess.PIPE,
        )
        (trainer,) = eventually(lambda: trainers(daemon.process.pid))
        trainer.kill()
        shown, _ = command.communicate(timeout=within(60))
        assert command.returncode == 1
        found = json.loads(shown)
        assert found["state"] == "failed"
        assert found["reason"] == "The training ended without a result (exit code -9)."
        assert any("The training failed" in one for one in asked.state()["notices"])
        _, again = started(asked)
        assert again["state"] == "running"
        learning.cancel(again["id"])


def kill_in(daemon, asked, stage: str) -> tuple[dict, list[psutil.Process]]:
    """Kills the daemon once a training is in that stage, or past it. Returns it and its trainer."""
    learning, training = started(asked)
    order = list(STAGES)

    def has_come():
        now = learning.state()["running"]
        return now is None or order.index(now["stage"]) >= order.index(stage)

    eventually(has_come, 120)
    left = trainers(daemon.process.pid)
    # As it stands while pictures are judged: it notices nothing. Before it is noted, nobody
    # suspends it, and it ends by itself when it has nobody to tell its progress to.
    for one in left if (daemon.places.training / "trainer.json").exists() else []:
        with suppress(psutil.Error):
            one.suspend()
    daemon.stop(signal.SIGKILL)
    return training, left


def test_a_killed_daemon_reports_the_training_and_the_old_prompt_goes_on(root):
    training, left, before = None, [], None
    for number, stage in enumerate(("words", "features", "word", None)):
        with running(root) as daemon:
            asked = daemon.ready()
            learning = LearningClient(asked)
            if training is not None:
                eventually(lambda left=left: all(map(has_ended, left)))
                found = learning.training(training["id"])
                if found["state"] != "done":  # it was over just before the kill
                    assert found["state"] == "interrupted"
                    assert any(
                        "A training was interrupted" in one for one in asked.state()["notices"]
                    )
                assert learning.state()["running"] is None
                assert learning.state()["version"]["version"] == before
                assert post(asked, png(number))["prompt"] == before
            if stage is not None:
                before = learning.state()["version"]["version"]
                learning.set_budget(100 + number)  # so that there is always something to learn
                training, left = kill_in(daemon, asked, stage)


# --- Killed between two steps of the end ----------------------------------------------------


@pytest.fixture
def daemon(tiny_source, tmp_path):
    with running_daemon(tmp_path, tiny_source) as daemon:
        yield daemon


REPORT = {"outcome": "promote", "reason": "It is better.", "chosen": "bias"}


def killed(daemon, *, is_added: bool, is_used: bool) -> tuple[str, int]:
    """Leaves what a kill after the report leaves. Returns a name for the notice, and the id."""
    learning, book = daemon.service.learning, Promptbook(daemon.places.home.prompts)
    now = datetime.now(UTC)
    with daemon.service.store.writing() as session:
        one = trainings.begin(session, "nightly", "tiny@1", "00" * 32, now)
        trainings.reported(session, one.id, REPORT, "personal-0001")
    if is_added:
        book.add("personal-0001", tiny_prompt(5).to_bytes())
    if is_used:
        book.use("personal-0001", daemon.places.home.bundle())
    learning._recover()
    return learning.state().version.name, one.id


@pytest.mark.parametrize("is_added", [False, True])
def test_a_version_that_was_not_in_use_yet_is_not_put_into_use_later(daemon, is_added):
    name, number = killed(daemon, is_added=is_added, is_used=False)
    assert name == "first"
    found = daemon.service.learning.training(number)
    assert (found.state, found.promoted) == ("interrupted", False)
    assert found.candidate == ("personal-0001" if is_added else None)
    assert any("interrupted" in one for one in daemon.service.state().notices)
    if is_added:
        assert daemon.service.learning.promote(number).promoted


def test_a_version_that_was_in_use_already_is_recorded_as_such(daemon):
    name, number = killed(daemon, is_added=True, is_used=True)
    assert name == "personal-0001"
    found = daemon.service.learning.training(number)
    assert (found.state, found.promoted, found.reason) == ("done", True, "It is better.")
    (notice,) = daemon.service.state().notices
    assert "version personal-0001 is in use" in notice


def test_only_what_has_changed_since_the_last_training_is_new(daemon):
    learning = daemon.service.learning
    finding = Finding(source="api", label="real", p_fake=0.1, sha256="ab" * 32)
    with daemon.service.store.writing() as session:
        check = checks.add(session, finding, daemon.service.clock())
    label = f"/checks/{check.id}/label"
    daemon.send("PUT", label, {"label": "real"})
    model = daemon.places.home.bundle().manifest.version
    with daemon.service.store.writing() as session:
        words = fingerprint(corrections.words(session), one_in=0)
        now = daemon.service.clock()
        one = trainings.begin(session, "cli", model, words, now)
        trainings.finish(session, one.id, "done", "It is better.", now)
    assert learning.state().new_words == 0
    daemon.send("PUT", label, {"label": "fake"})
    assert learning.state().new_words == 1
    daemon.post("/labels:undo", {"ids": [check.id]})
    assert learning.state().new_words == 0, "everything is as it was"
    daemon.send("PATCH", "/settings", {"learning.false_alarms": 7})
    assert learning.state().new_words == 1, "another budget is another training"


def test_the_same_version_keeps_its_first_name(daemon):
    versions, bundle = daemon.service.learning._place.versions, daemon.places.home.bundle()
    for number in (1, 7):
        versions.book.add(f"personal-{number:04d}", tiny_prompt(number).to_bytes())
    known = versions.files(bundle)["personal-0001"].sha256
    assert versions.name_for(bundle, known) == ("personal-0001", True)
    assert versions.name_for(bundle, "00" * 32) == ("personal-0008", False)


def test_only_the_noted_trainer_is_ended_and_no_other_process(tmp_path):
    note, us = tmp_path / "trainer.json", psutil.Process()
    note.write_text(f'{{"pid": {us.pid}, "created": {us.create_time() - 1}}}')
    assert not end_left_over(note)
    for text in ("", "[]", '{"pid": "x"}', '{"pid": 99999999, "created": 1}'):
        note.write_text(text)
        assert not end_left_over(note)
        assert not note.exists()


# --- When -----------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = datetime.now(UTC)
        self.is_on_battery = False


@pytest.fixture
def clock(daemon, monkeypatch):
    """The time and the battery of the daemon's learning."""
    clock, learning = Clock(), daemon.service.learning
    callbacks = replace(
        learning.callbacks, clock=lambda: clock.now, is_on_battery=lambda: clock.is_on_battery
    )
    monkeypatch.setattr(learning, "_callbacks", callbacks)
    return clock


def test_the_schedule_says_why_it_skips(daemon, clock):
    learning = daemon.service.learning
    learning.nightly()
    skipped = learning.state().skipped
    assert skipped.endswith("10 more real and 10 more AI-made pictures are needed.")
    assert skipped.startswith(f"Skipped on {clock.now.astimezone():%Y-%m-%d %H:%M}")
    clock.is_on_battery = True
    learning.nightly()
    assert learning.state().skipped == ON_BATTERY
    clock.is_on_battery = False
    learning.tick()  # it has waited, and is tried now
    assert learning.state().skipped == skipped


def test_a_missed_night_is_made_up_for_once_and_not_at_once(daemon, clock):
    learning = daemon.service.learning
    schedule = Schedule(learning)
    schedule.catch_up()
    schedule.tick()
    assert schedule.skipped is None, "the computer may just have been started"
    clock.now += timedelta(minutes=11)
    schedule.tick()
    assert schedule.skipped is not None
    schedule.skipped = None
    schedule.tick()
    assert schedule.skipped is None
    with daemon.service.store.writing() as session:
        one = trainings.begin(session, "nightly", "tiny@1", "00" * 32, clock.now)
        trainings.finish(session, one.id, "done", "", clock.now)
    schedule.catch_up()
    clock.now += timedelta(minutes=11)
    schedule.tick()
    assert schedule.skipped is None, "it has trained since"


def test_the_next_night_follows_the_setting(daemon, clock):
    learning = daemon.service.learning
    daemon.send("PATCH", "/settings", {"learning.hour": 4})
    next_run = learning.state().next_run
    assert next_run.astimezone().hour == 4
    assert timedelta() < next_run - clock.now <= timedelta(days=1, hours=1)
    for when in ("words", "never"):
        daemon.send("PATCH", "/settings", {"learning.when": when})
        assert learning.state().next_run is None
        learning.nightly()
        assert learning.state().skipped is None
