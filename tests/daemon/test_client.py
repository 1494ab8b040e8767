"""How our own programs ask the daemon: they find it, make sure that it is the daemon, and only
then send it this computer's token."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
from kit.running import running
from kit.standin import StandIn
from kit.stranger import Stranger

from antifake.daemon import app, client, instance, launcher
from antifake.daemon.client import DaemonError
from antifake.daemon.places import Places, places

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_ONCE, ROUNDS = 12, 20


@pytest.fixture
def where(tmp_path, monkeypatch) -> Places:
    """A fresh user's places, without a model."""
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = places()
    found.make()
    return found


@pytest.fixture
def daemon(where):
    """The whole daemon, in this process."""
    with instance.only_one(where), app.started(where, lambda: None) as started:
        yield started


def ask(where) -> None:
    """As every command does that asks the daemon."""
    with suppress(DaemonError):
        client.need(where).get("/state")


def ask_all_at_once(where) -> None:
    barrier = threading.Barrier(AT_ONCE)

    def one(_: int) -> None:
        barrier.wait()
        ask(where)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(ROUNDS):
            list(pool.map(one, range(AT_ONCE)))


# --- Strangers ----------------------------------------------------------------------------------


def test_who_takes_the_port_of_a_killed_daemon_is_sent_no_token(where):
    with running(where.home.root) as killed:
        killed.ready()
        killed.stop(signal.SIGKILL)
    with Stranger(killed.port) as stranger:
        ask_all_at_once(where)
    assert stranger.tokens == []


def test_who_listens_where_the_daemon_should_is_sent_no_token(where):
    where.local_token.write_text("secret")
    with Stranger() as stranger, instance.only_one(where):
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove") as error:
            client.need(where).get("/state")
    assert stranger.asked == ["/api/v1/hello"]
    assert stranger.tokens == []
    assert error.value.exit_code == 4


@pytest.mark.usefixtures("daemon")
def test_who_passes_the_question_on_to_the_daemon_is_sent_no_token(where):
    with Stranger(relay_to=instance.find(where).port) as stranger:
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove"):
            client.need(where).get("/state")
    assert stranger.asked == ["/api/v1/hello"]
    assert stranger.tokens == []


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"null", b'"x"', b"{}", b'{"proof": null}', b"\xff"]
)
def test_no_other_answer_is_taken_for_a_proof(where, answer):
    where.local_token.write_text("secret")
    with Stranger(body=answer) as stranger, instance.only_one(where):
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove"):
            client.need(where).get("/state")
    assert stranger.tokens == []


def test_nothing_follows_on_another_connection_than_the_proved_one(where):
    """Who answers /hello well and hangs up might not be who is called next."""
    with StandIn(where) as daemon:
        daemon.hangs_up_after_hello = True
        with pytest.raises(DaemonError, match="does not answer"):
            client.need(where).get("/state")
        assert daemon.asked == []


# --- Which process ------------------------------------------------------------------------------


BYSTANDER = """
import sys, time
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def bystander():
    """A process that has nothing to do with antifake."""
    process = subprocess.Popen([sys.executable, "-c", BYSTANDER], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_that_was_given_the_number_of_a_dead_daemon_is_not_stopped(where, bystander):
    with instance.only_one(where):
        running = instance.announce(where, 1, "0", NOW)
        where.running.write_text(json.dumps(asdict(replace(running, pid=bystander.pid))))
        assert instance.find(where) is None
        with pytest.raises(launcher.LaunchError, match="just starting"):
            launcher.stop(where, within_s=0.2)
    assert bystander.poll() is None


def test_a_file_without_a_lock_is_believed_by_nobody(where):
    with instance.only_one(where):
        instance.announce(where, 1, "0", NOW)
        said = where.running.read_bytes()
        assert instance.find(where) is not None
    where.running.write_bytes(said)
    assert instance.find(where) is None
    with pytest.raises(launcher.NotRunningError):
        launcher.stop(where)


def test_those_who_look_do_not_take_each_other_for_a_daemon(where):
    where.lock.touch()
    barrier = threading.Barrier(AT_ONCE)

    def look(_: int) -> list[bool]:
        barrier.wait()
        return [instance.is_running(where) for _ in range(100)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(look, range(AT_ONCE)):
            assert not any(found)
