"""How our own programs reach the daemon: they find it, verify that it is the daemon, and only
then send it this computer's token."""

import http.client
import io
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from kit.pace import within
from kit.running import running
from kit.standin import StandIn
from kit.stranger import Stranger

from antifake.core.errors import AntifakeError
from antifake.daemon import app, client, instance, launcher
from antifake.daemon.cli import main
from antifake.daemon.client import DaemonError
from antifake.daemon.store import checks, open_store
from antifake.daemon.store.checks import Finding

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_ONCE, ROUNDS = 12, 20


@pytest.fixture
def daemon(where):
    """The whole daemon, in this process."""
    with instance.single_instance(where), app.started(where, lambda: None) as started:
        yield started


def ask(where) -> None:
    """Connects as every command does that needs the daemon."""
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


# --- Other programs -----------------------------------------------------------------------------


@pytest.mark.attack
def test_a_program_on_the_port_of_a_killed_daemon_gets_no_token(where):
    with running(where.home.root) as killed:
        killed.ready()
        killed.stop(signal.SIGKILL)
    with Stranger(killed.port) as stranger:
        ask_all_at_once(where)
    assert stranger.tokens == []


def test_a_program_that_listens_instead_of_the_daemon_gets_no_token(where):
    where.local_token.write_text("secret")
    with Stranger() as stranger, instance.single_instance(where):
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove") as error:
            client.need(where).get("/state")
    assert stranger.asked == ["/api/v1/hello"]
    assert stranger.tokens == []
    assert error.value.exit_code == 4


@pytest.mark.attack
@pytest.mark.usefixtures("daemon")
def test_a_program_that_forwards_the_challenge_to_the_daemon_gets_no_token(where):
    with Stranger(relay_to=instance.find(where).port) as stranger:
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove"):
            client.need(where).get("/state")
    assert stranger.asked == ["/api/v1/hello"]
    assert stranger.tokens == []


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"null", b'"x"', b"{}", b'{"proof": null}', b"\xff"]
)
def test_no_other_answer_is_accepted_as_a_proof(where, answer):
    where.local_token.write_text("secret")
    with Stranger(body=answer) as stranger, instance.single_instance(where):
        instance.announce(where, stranger.port, "0", NOW)
        with pytest.raises(DaemonError, match="cannot prove"):
            client.need(where).get("/state")
    assert stranger.tokens == []


@pytest.mark.attack
def test_requests_are_sent_only_over_the_proved_connection(where):
    """A program that proves itself and hangs up may not get the next connection."""
    with StandIn(where) as daemon:
        daemon.hangs_up_after_hello = True
        with pytest.raises(DaemonError, match="does not answer"):
            client.need(where).get("/state")
        assert daemon.asked == []


def test_a_connection_is_proved_once(where):
    with StandIn(where) as daemon:
        asked = client.need(where)
        for _ in range(5):
            asked.state()
        assert daemon.hellos == 1
        assert len(daemon.asked) == 5


def test_a_program_on_the_port_of_a_daemon_we_talked_to_gets_no_token(where):
    """The icon does this: it sends requests for days."""
    with StandIn(where) as daemon:
        asked, port = client.need(where), daemon.port
        asked.state()
    with Stranger(port) as stranger, pytest.raises(DaemonError, match=r"cannot prove|not answer"):
        asked.state()
    assert stranger.tokens == []


# --- Processes and locks ------------------------------------------------------------------------


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


@pytest.mark.attack
def test_a_process_with_the_number_of_a_dead_daemon_is_not_stopped(where, bystander):
    with instance.single_instance(where):
        running = instance.announce(where, 1, "0", NOW)
        where.running.write_text(json.dumps(asdict(replace(running, pid=bystander.pid))))
        assert instance.find(where) is None
        with pytest.raises(launcher.LaunchError, match="just starting"):
            launcher.stop(where, within_s=0.2)
    assert bystander.poll() is None


def test_the_daemons_file_counts_only_while_its_lock_is_held(where):
    with instance.single_instance(where):
        instance.announce(where, 1, "0", NOW)
        said = where.running.read_bytes()
        assert instance.find(where) is not None
    where.running.write_bytes(said)
    assert instance.find(where) is None
    with pytest.raises(launcher.NotRunningError):
        launcher.stop(where)


def test_programs_that_look_at_the_lock_are_not_mistaken_for_a_daemon(where):
    where.lock.touch()
    barrier = threading.Barrier(AT_ONCE)

    def look(_: int) -> list[bool]:
        barrier.wait()
        return [instance.is_running(where) for _ in range(100)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(look, range(AT_ONCE)):
            assert not any(found)


# --- With a daemon and without one --------------------------------------------------------------


@pytest.fixture
def ids(where):
    """Three checks in the history, oldest first."""
    with open_store(where.database, NOW) as store, store.writing() as session:
        return [
            checks.add(
                session,
                Finding(
                    source="watch",
                    model="mini@1",
                    prompt="p@1",
                    path=f"/home/anna/{n}.png",
                    label="fake",
                    p_fake=0.9 + n / 100,
                    sha256=f"{n:064x}",
                ),
                NOW + timedelta(seconds=n),
            ).id
            for n in range(3)
        ]


def everything_asked(where, ids, folder) -> list:
    """Calls each method that works without a daemon, in one order. Returns the results."""
    with client.connect(where) as asked:
        exported = io.BytesIO()
        asked.export(exported, "jsonl", {"label": "fake"})
        told = [
            list(asked.history({}, 2)),
            list(asked.history({"q": "1.png"}, 2)),
            asked.show(ids[0])["path"],
            [one["summary"] for one in asked.correct(ids[:2], "real", "it is mine", source="cli")],
            asked.show(ids[0])["said"]["note"],
            [one["summary"] for one in asked.undo(ids[:2], source="cli")],
            asked.watch({"path": str(folder), "recursive": False}),
            [(one["path"], one["recursive"], one["problem"]) for one in asked.watches()["folders"]],
            asked.unwatch(folder),
            asked.watches(),
            asked.settings(),
            exported.getvalue(),
            asked.forget(ids[:1]),
            len(list(asked.history({}, 10))),
        ]
        for wrong in (
            lambda: asked.show("0" * 13),
            lambda: asked.show("nonsense"),
            lambda: asked.revoke(99),
            lambda: asked.unwatch(folder),
            lambda: asked.watch({"path": "relative"}),
            lambda: asked.watch({"path": str(folder), "include": ["/x"]}),
            lambda: list(asked.history({"label": "fake?"}, 1)),
            lambda: asked.undo(ids[1:2], source="cli"),
        ):
            with pytest.raises(AntifakeError) as error:
                wrong()
            told.append((str(error.value), error.value.exit_code))
    return told


def test_every_method_does_the_same_with_and_without_a_daemon(where, ids, tmp_path):
    (tmp_path / "pictures").mkdir()
    kept = where.database.read_bytes()
    without = everything_asked(where, ids, tmp_path / "pictures")
    for leftover in where.database.parent.glob("history.db*"):
        leftover.unlink()
    where.database.write_bytes(kept)
    with instance.single_instance(where), app.started(where, lambda: None):
        with_daemon = everything_asked(where, ids, tmp_path / "pictures")
    assert without == with_daemon


@pytest.mark.parametrize("has_daemon", [False, True])
def test_a_correction_by_the_command_line_is_stored_as_its_own(where, ids, has_daemon):
    with ExitStack() as held:
        if has_daemon:
            held.enter_context(instance.single_instance(where))
            held.enter_context(app.started(where, lambda: None))
        for words in (["label", ids[0], "real"], ["label", "undo", ids[0]]):
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, done.output
        with client.connect(where) as asked:
            assert asked.is_daemon == has_daemon
            asked.correct(ids[1:2], "real", source="tray")
    with closing(sqlite3.connect(where.database)) as database:
        rows = list(database.execute("SELECT label, source FROM corrections ORDER BY seq"))
    assert rows == [("real", "cli"), (None, "cli"), ("real", "tray")]


def test_a_file_of_any_size_is_imported_without_a_daemon(where, tmp_path):
    large = tmp_path / "large.jsonl"
    row = {
        "id": "3" * 13,
        "at": NOW.isoformat(),
        "sha256": "a" * 64,
        "label": "real",
        "p_fake": 0.1,
        "model": "mini@1",
        "prompt": "p@1",
        "source": "cli",
    }
    with large.open("w") as file:
        file.write(json.dumps(row) + "\n")
        for _ in range(26):
            file.write(" " * 2_000_000 + "\n")
    with client.connect(where) as asked:
        assert not asked.is_daemon
        asked.import_(large, "jsonl", lambda *_: None, done := {})
        assert done["added"] == 1
        assert [one["id"] for one in asked.history({}, 5)] != []


def test_no_header_makes_a_stranger_the_owner(daemon):
    names = ("antifake.in_process", "Antifake-In-Process", "HTTP_antifake.in_process")
    for name in names:
        connection = http.client.HTTPConnection(
            "127.0.0.1", daemon.running.port, timeout=within(20)
        )
        connection.request("GET", "/api/v1/state", headers={name: "True"})
        assert connection.getresponse().status in (400, 401)
        connection.close()


def test_a_client_waits_for_a_starting_daemon_and_then_says_so(where):
    with (
        instance.single_instance(where),
        pytest.raises(DaemonError, match="just starting"),
        client.connect(where, within_s=0.2),
    ):
        pass


def test_a_daemon_whose_token_file_is_gone_still_counts_as_running(where, daemon):
    where.local_token.unlink()
    with pytest.raises(DaemonError, match="token is gone"), client.connect(where):
        pass
    assert daemon.running.port
