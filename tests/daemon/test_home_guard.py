"""Folders of a running daemon that go away: it notices, and there are never two in one home."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest
from kit.command_line import antifake, process
from kit.daemon import free_port
from kit.other_user import give_away
from kit.pace import within
from kit.pictures import png
from kit.running import place_of, post, running
from kit.waiting import eventually

from antifake.core.private_files import NotPrivateError
from antifake.daemon import client, instance, logs
from antifake.daemon.app import _look_after_home, started
from antifake.daemon.config import put
from antifake.daemon.home_guard import HomeLostError, guarding
from antifake.daemon.instance import AlreadyRunningError, single_instance
from antifake.daemon.places import places

NOTICED_S = 20

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps folders that are in use"),
]


@pytest.fixture
def where(tiny_home):
    found = places()
    found.make()
    put(found.config, "server.port", free_port())
    assert found.data == tiny_home.root
    return found


@pytest.fixture
def held(where):
    """A daemon in this process, and what its main thread does every few seconds."""
    with ExitStack() as parts:
        parts.enter_context(single_instance(where))
        guard = parts.enter_context(guarding(where))
        parts.callback(logs.set_up(where))
        daemon = parts.enter_context(started(where, lambda: None))
        yield daemon, lambda: _look_after_home(guard, daemon)


def second(where):
    """Tries to be a second daemon of these folders."""
    where.make()
    with single_instance(where), guarding(where):
        pass


def test_a_run_folder_that_is_removed_is_made_again(where, held):
    daemon, look = held
    shutil.rmtree(where.state)
    assert client.find(where) is None
    look()
    found = instance.find(where)
    assert found == daemon.running
    assert client.need(where).state()["notices"] == [
        f"The folder {where.state} was removed while antifake ran; it was made again."
    ]
    assert where.spool.is_dir()
    look()
    assert instance.find(where) == found


def test_until_then_no_second_daemon_gets_the_history(where, held):
    _daemon, look = held
    where.state.rename(where.state.with_name("elsewhere"))
    with pytest.raises(AlreadyRunningError):
        second(where)
    look()
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
        second(where)
    assert instance.find(where) is not None, "the second one has taken nothing along"


@pytest.mark.parametrize("name", ["running", "local_token"])
def test_a_single_file_that_is_removed_is_written_again(where, held, name):
    _daemon, look = held
    getattr(where, name).unlink()
    look()
    assert client.need(where).state()["notices"] == []


def test_a_log_that_is_removed_is_begun_again(where, held):
    _daemon, look = held
    shutil.rmtree(where.logs)
    logging.getLogger("antifake").warning("nowhere")
    look()
    logging.getLogger("antifake").warning("here again")
    assert "here again" in where.log.read_text()
    where.log.rename(where.log.with_name("moved.log"))
    look()
    logging.getLogger("antifake").warning("and again")
    assert "and again" in where.log.read_text()


@pytest.mark.parametrize("deed", ["removed", "renamed", "replaced"])
def test_without_its_home_a_daemon_ends(where, held, deed, monkeypatch):
    monkeypatch.setattr("antifake.daemon.app.TELL_S", 0)
    daemon, look = held
    if deed == "removed":
        shutil.rmtree(where.data)
    else:
        where.data.rename(where.data.with_name("elsewhere"))
    if deed == "replaced":
        shutil.copytree(where.data.with_name("elsewhere"), where.data)
    with pytest.raises(HomeLostError, match="removed, renamed or replaced"):
        look()
    assert any(
        f"The folder {where.data} was removed" in said for said in daemon.service.state().notices
    )


def test_a_folder_of_others_in_the_place_of_the_run_folder_is_not_used(where, held, monkeypatch):
    monkeypatch.setattr("antifake.daemon.app.TELL_S", 0)
    _daemon, look = held
    shutil.rmtree(where.state)
    where.state.mkdir()
    give_away(where.state, monkeypatch)
    with pytest.raises(NotPrivateError, match="belongs to another user"):
        look()


def test_a_home_that_was_removed_gets_a_new_daemon_and_the_former_one_ends(where):
    with running(where.data) as first, ExitStack() as later:
        post(first.ready(), png(1))
        former = where.data.with_name("former")
        where.data.rename(former)
        shutil.copytree(former / "models", where.data / "models")
        shutil.copytree(former / "prompts", where.data / "prompts")
        successor = later.enter_context(running(where.data))
        post(successor.ready(), png(2))
        assert first.process.wait(within(NOTICED_S)) == 2
        assert "removed, renamed or replaced" in (former / "output.txt").read_text()
        assert "the home was lost" in (former / "logs" / "antifake.log").read_text()
        assert instance.find(where).pid == successor.process.pid
        post(successor.ready(), png(3))
        assert n_checks(former) == 1
        assert successor.stop() == 0
        assert n_checks(where.data) == 2


def test_a_running_daemon_is_found_again_after_its_run_folder_was_removed(where):
    with running(where.data) as daemon:
        daemon.ready()
        shutil.rmtree(where.state)
        done = subprocess.run(process("daemon", "run"), capture_output=True, check=False)
        assert done.returncode == AlreadyRunningError.exit_code
        found = eventually(lambda: client.find(where), NOTICED_S)
        assert found.state()["notices"]
        assert instance.find(place_of(where.data)).pid == daemon.process.pid
        assert "made again" in antifake("daemon", "status").output


def n_checks(home):
    with closing(sqlite3.connect(home / "history.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT count(*) FROM checks").fetchone()[0]
