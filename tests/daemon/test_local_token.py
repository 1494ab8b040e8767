"""This computer's token, which may do everything: attempts to get it, or to have others ended."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest
from kit.command_line import antifake
from kit.daemon import free_port
from kit.pace import within
from kit.running import running
from kit.stranger import Stranger
from kit.threads import one_thread

from antifake.core.errors import AntifakeError
from antifake.daemon import app, client, instance, launcher
from antifake.daemon.doctor.daemon import DaemonChecks
from antifake.daemon.places import Places
from antifake.daemon.service.access import THIS_COMPUTER
from antifake.daemon.tray.follower import Follower
from antifake.daemon.tray.view_model import ViewModel

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOT_ON_WINDOWS = pytest.mark.skipif(os.name == "nt", reason="there is no fork there")


def fix_port(where: Places, port: int) -> None:
    where.config.write_text(f"[server]\nport = {port}\n")


# --- The lookup ---------------------------------------------------------------------------------

PROCESSES, LOOKUPS = 50, 10
LOOK = f"""
import os
from contextlib import suppress
from antifake.daemon import client
from antifake.daemon.places import places

where = places()
wait, go = os.pipe()
children = []
for _ in range({PROCESSES}):
    child = os.fork()
    if not child:
        os.close(go)
        os.read(wait, 1)  # until all are there
        for _ in range({LOOKUPS}):
            with suppress(client.DaemonError):
                client.need(where).get("/state")
        os._exit(0)
    children.append(child)
os.close(go)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * {PROCESSES}
"""


def look_from_many_processes() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", LOOK])


def note_of_killed(where: Places) -> bytes:
    with running(where.home.root) as killed:
        killed.ready()
        said = where.running.read_bytes()
        killed.stop(signal.SIGKILL)
    assert where.running.read_bytes() == said
    return said


@NOT_ON_WINDOWS
def test_hundreds_of_lookups_at_once_after_a_kill_give_no_token_away(where):
    """Meanwhile the lock is taken and released, as by a daemon that cannot start."""
    said = note_of_killed(where)
    with Stranger(json.loads(said)["port"]) as stranger:
        looking = look_from_many_processes()
        while looking.poll() is None:
            with suppress(instance.AlreadyRunningError), instance.single_instance(where):
                where.running.write_bytes(said)  # as if it had not been removed yet
            where.running.write_bytes(said)
        assert looking.returncode == 0
    assert stranger.tokens == []
    assert stranger.asked == []  # it was not even taken for a daemon


@NOT_ON_WINDOWS
def test_hundreds_of_lookups_of_a_note_with_a_living_process_give_no_token_away(where):
    """All that a note can say is right, and yet another program is on the port."""
    where.local_token.write_text("secret")
    with Stranger() as stranger, instance.single_instance(where):
        instance.announce(where, stranger.port, "0", NOW)
        assert look_from_many_processes().wait(within(60)) == 0
    assert set(stranger.asked) == {"/api/v1/hello"}
    assert stranger.tokens == []


COMMANDS = [
    ["daemon", "status"],
    ["open", "--print"],
    ["history"],
    ["pair", "list"],
    ["check", "picture.png"],
]


def test_no_command_of_ours_gives_the_token_to_a_program_that_relays(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    fix_port(where, free_port())
    with (
        instance.single_instance(where),
        app.started(where, lambda: None) as daemon,
        Stranger(relay_to=daemon.running.port) as stranger,
        one_thread(),
    ):
        instance.announce(where, stranger.port, "0", NOW)
        for words in COMMANDS:
            with suppress(AntifakeError, AssertionError):  # they fail, as they should
                antifake(*words)
        assert not DaemonChecks(where).token().ok
        Follower(lambda: client.find(where), ViewModel(time.monotonic)).step()
    assert set(stranger.asked) == {"/api/v1/hello"}
    assert len(stranger.asked) >= len(COMMANDS)
    assert stranger.tokens == []


def test_after_a_restart_a_client_uses_the_new_token_and_a_stranger_on_the_old_port_gets_none(
    where,
):
    """The icon runs for days, and so over restarts."""
    port = free_port()
    fix_port(where, port)
    with instance.single_instance(where), app.started(where, lambda: None):
        asked = client.need(where)
        first = where.local_token.read_text()
        assert [one["name"] for one in asked.tokens()] == [THIS_COMPUTER]
    with instance.single_instance(where), app.started(where, lambda: None) as again:
        assert again.running.port == port
        assert where.local_token.read_text() != first
        assert [one["name"] for one in asked.tokens()] == [THIS_COMPUTER]
    with (
        Stranger(port) as stranger,
        instance.single_instance(where),
        app.started(where, lambda: None) as moved,
    ):
        assert moved.running.port != port
        assert asked.state()["mode"]
        assert asked.address == f"http://127.0.0.1:{moved.running.port}/"
        assert stranger.tokens == []
    with Stranger(moved.running.port) as stranger, pytest.raises(client.DaemonError):
        asked.state()
    assert stranger.tokens == []


# --- Signals ------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from datetime import datetime, UTC
from antifake.daemon import instance
from antifake.daemon.places import places

where = places()
with instance.single_instance(where):
    instance.announce(where, int(sys.argv[1]), "0", datetime.now(UTC))
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def bystander():
    """A process that has nothing to do with antifake."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_stopping_sends_no_token_to_a_stranger_and_ends_only_who_holds_the_lock(where):
    where.local_token.write_text("secret")
    with Stranger() as stranger:
        command = [sys.executable, "-c", HOLDER, str(stranger.port)]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == b"ready\n"
            launcher.stop(where)
            assert holder.wait(within(5)) == -signal.SIGTERM
        finally:
            holder.kill()
            holder.stdout.close()
    assert stranger.tokens == []


def test_a_number_that_was_given_to_another_process_is_not_signalled(where, bystander):
    """The daemon may end, and its number be given away, between the look and the signal."""
    with instance.single_instance(where):
        own = instance.announce(where, 1, "0", NOW)
    for process_started in (own.process_started, "", own.process_started.partition(":")[2]):
        instance.ask_to_end(replace(own, pid=bystander.pid, process_started=process_started))
    time.sleep(0.2)
    assert bystander.poll() is None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    instance.ask_to_end(replace(own, pid=gone.pid))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are told apart by dates")
def test_a_process_of_another_boot_with_the_same_number_and_tick_is_not_the_daemon(where):
    with instance.single_instance(where):
        own = instance.announce(where, 1, "0", NOW)
        boot, _, ticks = own.process_started.partition(":")
        assert len(boot) == 36
        assert ticks.isdigit()
        assert instance.find(where) == own
        other = replace(own, process_started=f"{boot[::-1]}:{ticks}")
        where.running.write_text(json.dumps(asdict(other)))
        assert instance.find(where) is None
