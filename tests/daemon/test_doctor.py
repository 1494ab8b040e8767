"""The doctor: each failure is caused for real, and reported with the first thing to do."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import tiny_prompt
from kit.dbus_desktop import NotificationServer, Panel
from kit.display import OF_A_SESSION, private_bus
from kit.imports import python_path, unfitting_transformers
from kit.plain_user import plain_user
from kit.waiting import eventually
from sqlalchemy import text

from antifake.core.promptbook import Promptbook
from antifake.daemon import app, client, instance
from antifake.daemon.autostart import Session, turn_on
from antifake.daemon.config import Folder, add_folder, put
from antifake.daemon.doctor import System, examine, first_trouble
from antifake.daemon.doctor.installation import Free, ImportTrial, try_imports
from antifake.daemon.places import places
from antifake.daemon.store import open_store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MUCH = Free(10**12, 0, 10**12)


@pytest.fixture
def system(tiny_home, tmp_path, monkeypatch) -> System:
    """A sound model and prompt, without a running daemon."""
    for name in OF_A_SESSION:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/none")  # no systemctl
    where = places()
    where.make()
    put(where.config, "server.port", free_port())
    session = Session("linux", sys.executable, tmp_path / "person", os.environ)
    assert tiny_home.root == where.data
    return System(where, session, lambda _: MUCH, try_imports=lambda: ImportTrial(None, None))


@pytest.fixture
def bus(tmp_path):
    """The address of a session bus. Ask for it before `system`, which leaves no programs."""
    with private_bus(tmp_path) as address:
        yield address


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def healthy(system):
    """Runs a daemon for the system."""
    with ExitStack() as parts:
        parts.enter_context(instance.single_instance(system.where))
        yield parts.enter_context(app.started(system.where, lambda: None))


def trouble(system):
    """Returns the first failure; every finding must have a sentence and every failure a fix."""
    found = list(examine(system))
    assert all(finding.sentence.strip() for finding in found)
    assert all(finding.fix for finding in found if not finding.ok)
    return first_trouble(found)


def named(system, name):
    return next(finding for finding in examine(system) if finding.name == name)


# --- Healthy ------------------------------------------------------------------------------------


def test_a_healthy_system_has_no_failures(system):
    with healthy(system):
        found = list(examine(system))
    assert first_trouble(found) is None, found
    names = " ".join(finding.name.replace(" ", "-") for finding in found)
    assert names == (
        "folders settings disk libraries model prompt history daemon port token version "
        "watched-folders kernel's-watches tray autostart"
    )


def test_the_command_exits_with_0_or_1_and_names_the_first_thing_to_do(system):
    doctor = [sys.executable, "-m", "antifake.daemon", "doctor"]
    done = subprocess.run(doctor, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TROUBLE  daemon" in done.stdout
    assert done.stderr.splitlines()[-1] == "Do this first: antifake daemon start"
    with healthy(system):
        done = subprocess.run([*doctor, "--json"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert set(found[0]) == {"name", "ok", "sentence", "fix"}
    assert "All is well" in done.stderr


# --- Without a daemon ---------------------------------------------------------------------------


def test_libraries_that_do_not_load_are_trouble_before_the_model(system):
    broken = replace(system, try_imports=lambda: ImportTrial("ImportError: no torch", None))
    first = trouble(broken)
    assert first.name == "libraries"
    assert "no torch" in first.sentence


def test_a_transformers_unfit_for_lazy_imports_is_reported_but_is_no_failure(
    system, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", python_path(unfitting_transformers(tmp_path / "site")))
    found = named(replace(system, try_imports=try_imports), "libraries")
    assert found.ok
    assert "made for this test" in found.sentence


def test_libraries_are_imported_lazily_here():
    assert try_imports() == ImportTrial(None, None)


def test_a_folder_that_is_a_file(system):
    system.where.logs.rmdir()
    system.where.logs.write_text("")
    first = trouble(system)
    assert first.name == "folders"
    assert "is not a folder" in first.sentence


def test_a_folder_that_cannot_be_written(system):
    system.where.logs.chmod(0o500)
    with plain_user():
        assert "cannot be written" in trouble(system).sentence


@pytest.mark.parametrize("name", ["state", "local_token"])
def test_secret_files_that_others_can_read(system, name):
    path = getattr(system.where, name)
    if name == "local_token":
        path.write_text("secret")
    path.chmod(0o755)
    first = trouble(system)
    assert str(path) in first.sentence
    assert first.fix.startswith(f"chmod {'700' if path.is_dir() else '600'} ")


def test_settings_that_cannot_be_read(system):
    system.where.config.write_text("[server]\nprot = 1\n")
    first = trouble(system)
    assert first.name == "settings"
    assert "did you mean server.port?" in first.sentence
    assert str(system.where.config) in first.fix


def test_a_full_disk(system):
    first = trouble(replace(system, disk_usage=lambda _: Free(10**9, 10**9 - 10**6, 10**6)))
    assert first.name == "disk"
    assert "1 MB are free" in first.sentence


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("instructblip-vicuna-7b", "antifake model pull instructblip-vicuna-7b"),
        ("nonsense", "antifake config set worker.model ''"),
    ],
)
def test_a_model_that_is_missing(system, name, fix):
    put(system.where.config, "worker.model", name)
    first = trouble(system)
    assert (first.name, first.fix) == ("model", fix)


def test_a_model_in_use_that_was_removed_by_hand(system):
    (system.where.home.models / "active").write_text("gone")
    assert trouble(system).fix == "antifake model list, then antifake model use NAME"


def test_a_model_that_is_damaged(system):
    shard = next((system.where.home.models / "tiny").glob("model-*"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    first = trouble(system)
    assert first.name == "model"
    assert "damaged" in first.sentence


def test_a_prompt_in_the_settings_that_is_missing(system):
    put(system.where.config, "worker.prompt", "mine")
    first = trouble(system)
    assert (first.name, first.fix) == ("prompt", "antifake config set worker.prompt ''")


def test_a_prompt_in_use_that_is_missing(system):
    Promptbook(system.where.home.prompts).path("first").unlink()
    first = trouble(system)
    assert first.name == "prompt"
    assert "antifake prompt list" in first.fix


def test_a_prompt_of_another_model(system):
    prompt = tiny_prompt(1).tuned_for("f" * 64, "some-7b")
    Promptbook(system.where.home.prompts).add("foreign", prompt.to_bytes())
    put(system.where.config, "worker.prompt", "foreign")
    first = trouble(system)
    assert (first.name, first.fix) == ("prompt", "antifake config set worker.prompt ''")
    assert "some-7b" in first.sentence


def test_a_history_that_is_damaged(system):
    with open_store(system.where.database, NOW) as store:
        store.back_up(NOW)
    system.where.database.write_bytes(b"no database" * 100)
    system.where.database.chmod(0o600)
    first = trouble(system)
    assert first.name == "history"
    assert "damaged" in first.sentence
    assert "newest backup" in first.fix


def test_a_history_of_a_newer_version_or_of_another_program(system):
    with open_store(system.where.database, NOW) as store, store.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    first = trouble(system)
    assert (first.name, first.fix) == ("history", "Update antifake.")
    with open_store_raw(system.where.database) as connection:
        connection.execute("PRAGMA application_id=1")
    first = trouble(system)
    assert first.name == "history"
    assert "another program" in first.sentence


@contextmanager
def open_store_raw(path):
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


# --- The daemon ---------------------------------------------------------------------------------


def test_a_daemon_that_does_not_run(system):
    first = trouble(system)
    assert (first.name, first.fix) == ("daemon", "antifake daemon start")


def test_a_daemon_that_crashed(system):
    system.where.running.write_text('{"pid": 1, "port": 2, "version": "0", "started": "x"}')
    first = trouble(system)
    assert first.name == "daemon"
    assert "crashed" in first.sentence


def test_a_daemon_that_has_not_announced_its_port(system):
    with instance.single_instance(system.where):
        first = trouble(system)
    assert first.name == "daemon"
    assert "lock" in first.sentence


@contextmanager
def stranger(say: bytes, port: int = 0):
    """Runs a program that accepts connections, sends `say` and closes; for b"" it sends nothing."""
    stop = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            if not say:
                stop.wait(20)
                return
            self.request.sendall(say)
            self.request.recv(10_000)

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            stop.set()
            server.shutdown()


WEB = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"


@pytest.mark.parametrize("say", [WEB, SSH])
def test_another_program_on_the_daemons_port(system, say):
    with instance.single_instance(system.where), stranger(say) as port:
        instance.announce(system.where, port, "0", NOW)
        first = trouble(system)
    assert first.name == "port"
    assert "Another program" in first.sentence


def test_a_daemon_that_hangs(system):
    with instance.single_instance(system.where), stranger(b"") as port:
        instance.announce(system.where, port, "0", NOW)
        first = trouble(system)
    assert first.name == "port"
    assert "hangs" in first.sentence


def test_a_daemon_that_runs_but_does_not_listen(system):
    with instance.single_instance(system.where):
        instance.announce(system.where, free_port(), "0", NOW)
        first = trouble(system)
    assert (first.name, "hangs" in first.sentence) == ("port", True)


@pytest.mark.parametrize("say", [WEB, SSH])
def test_another_program_on_the_port_for_the_next_start(system, say):
    with stranger(say) as port:
        put(system.where.config, "server.port", port)
        found = named(system, "port")
    assert found.ok
    assert f"Another program has port {port}" in found.sentence


def test_the_antifake_of_another_user_on_that_port(system, tmp_path):
    theirs = replace(system.where, state=tmp_path / "s", data=tmp_path / "d", logs=tmp_path / "l")
    theirs.make()
    with instance.single_instance(theirs), app.started(theirs, lambda: None) as daemon:
        put(system.where.config, "server.port", daemon.running.port)
        assert "not yours" in named(system, "port").sentence


def test_a_token_that_is_gone(system):
    with healthy(system):
        system.where.local_token.unlink()
        first = trouble(system)
    assert first.name == "token"
    assert "gone" in first.sentence


def test_a_token_that_was_revoked(system):
    with healthy(system):
        asked = client.need(system.where)
        [mine] = asked.get("/tokens")["tokens"]
        asked.ask("DELETE", f"/tokens/{mine['id']}")
        first = trouble(system)
    assert first.name == "token"
    assert "revoked" in first.sentence


def test_a_daemon_of_another_version(system):
    with healthy(system) as daemon:
        instance.announce(system.where, daemon.running.port, "0.0.1", NOW)
        first = trouble(system)
    assert first.name == "version"
    assert "The daemon is 0.0.1" in first.sentence
    assert first.fix == "antifake daemon stop; antifake daemon start"


# --- The environment ----------------------------------------------------------------------------


def test_a_watched_folder_that_is_not_there(system, tmp_path):
    (tmp_path / "gone").mkdir()
    add_folder(system.where.config, Folder(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    with healthy(system):
        first = eventually(lambda: trouble(system))  # the thread that watches finds it
    assert first.name == "watched folders"
    assert str(tmp_path / "gone") in first.sentence
    assert "antifake watch remove" in first.fix


def test_more_folders_than_the_kernel_watches(system, tmp_path):
    for n in range(9):
        (tmp_path / "many" / f"{n}").mkdir(parents=True)
    (tmp_path / "inotify").mkdir()
    (tmp_path / "inotify" / "max_user_watches").write_text("10\n")
    add_folder(system.where.config, Folder(tmp_path / "many", exclude=("1",)))
    system = replace(system, inotify=tmp_path / "inotify")
    with healthy(system):
        first = trouble(system)
        assert first.name == "kernel's watches"
        assert "sysctl" in first.fix
        (tmp_path / "inotify" / "max_user_watches").write_text("100\n")
        assert named(system, "kernel's watches").sentence.startswith("9 folders")
        assert trouble(system) is None


def test_without_a_screen_there_is_no_icon_and_no_trouble(system):
    found = named(system, "tray")
    assert found.ok
    assert "no screen" in found.sentence
    assert "There are no notifications, because there is no session bus here." in found.sentence


def test_what_a_panel_and_a_service_for_notifications_can_do_is_said(bus, system, monkeypatch):
    with Panel(bus):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        found = named(system, "tray")
        assert found.fix == "antifake tray"
        shows = "A panel here shows the icon."
        assert found.sentence == f"{shows} No program here shows notifications."
        with NotificationServer(bus, ("body",)):
            said = named(system, "tray").sentence
            assert said == f"{shows} a test shows notifications, without buttons."
        with NotificationServer(bus):
            assert named(system, "tray").sentence == f"{shows} a test shows notifications."


def test_autostart_that_differs_from_the_settings(system):
    with healthy(system):
        put(system.where.config, "login.start", True)
        first = trouble(system)
        assert (first.name, first.fix) == ("autostart", "antifake autostart on")
        turn_on(system.session)
        assert trouble(system) is None
        put(system.where.config, "login.start", False)
        assert trouble(system).fix == "antifake autostart off"


def test_autostart_of_a_python_that_is_gone(system, tmp_path):
    put(system.where.config, "login.start", True)
    turn_on(replace(system.session, python=str(tmp_path / "gone" / "python")))
    with healthy(system):
        first = trouble(system)
    assert first.name == "autostart"
    assert "is not there" in first.sentence
    assert first.fix == "antifake autostart on"


def test_with_several_failures_the_cause_comes_first(system):
    system.where.config.write_text("[server\n")
    found = [finding.name for finding in examine(system) if not finding.ok]
    assert found == ["settings", "daemon"]
    assert Path(system.where.config).exists()
