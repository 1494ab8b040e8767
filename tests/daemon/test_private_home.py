"""Homes that others could write, or that belong to another user: every way in closes or refuses."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from kit.command_line import antifake, process
from kit.other_user import give_away
from kit.running import running

from antifake.core.private_files import NotPrivateError
from antifake.daemon import client, instance
from antifake.daemon.app import run, started
from antifake.daemon.doctor import System, examine
from antifake.daemon.doctor.installation import ImportTrial
from antifake.daemon.places import places, unjudged_places
from antifake.daemon.store import StoreError

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions"),
]

WAYS_IN = [
    ["daemon", "run"],
    ["daemon", "start"],
    ["daemon", "status"],
    ["daemon", "stop"],
    ["config", "get", "server.port"],
    ["config", "set", "server.port", "9000"],
    ["history"],
    ["watch", "list"],
    ["logs", "show"],
    ["tray"],
    ["model", "list"],
    ["prompt", "list"],
    ["check", "--no-daemon", __file__],
    ["scan", str(Path(__file__).parent)],
]


def modes(*folders):
    return {stat.S_IMODE(folder.stat().st_mode) for folder in folders}


def folders_finding():
    libraries = ImportTrial(None, None)
    return next(examine(System(unjudged_places(), try_imports=lambda: libraries)))


@pytest.mark.parametrize("way_in", WAYS_IN, ids=" ".join)
def test_a_home_of_another_user_is_refused_everywhere(tiny_home, monkeypatch, way_in):
    tiny_home.root.chmod(0o777)
    give_away(tiny_home.root, monkeypatch)
    done = antifake(*way_in, code=2)
    assert "belongs to another user of this computer" in done.output
    assert not (tiny_home.root / "run").exists()


@pytest.mark.parametrize("way_in", WAYS_IN[4:9], ids=" ".join)
def test_settings_that_others_can_write_are_not_read(tiny_home, way_in):
    places().make()
    config = tiny_home.root / "config.toml"
    config.write_text('history.database = "postgresql://elsewhere/theirs"')
    config.chmod(0o666)
    done = antifake(*way_in, code=2)
    assert f"Others on this computer can change {config}" in done.output
    assert "chmod go-w" in done.output


def test_a_daemon_reads_no_settings_that_others_can_write(tiny_home):
    config = tiny_home.root / "config.toml"
    config.write_text("server.port = 9000")
    config.chmod(0o622)
    done = subprocess.run(process("daemon", "run"), capture_output=True, text=True, check=False)
    assert done.returncode == 2, "systemd does not start it again"
    assert "Others on this computer can change" in done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_an_open_home_is_closed_by_the_first_start(tiny_home, umask):
    before = os.umask(umask)
    try:
        for folder in (tiny_home.root, tiny_home.models, tiny_home.prompts):
            folder.chmod(0o777 & ~umask)
        assert folders_finding().ok is (umask == 0o002 and modes_are_private(tiny_home.root))
        with running(tiny_home.root) as daemon:
            daemon.ready()
            where = daemon.places
            assert modes(*(one for one in where.folders if one.exists())) == {0o700}
            files = (where.local_token, where.running, where.database, where.lock, where.log)
            assert modes(*files) == {0o600}
            assert folders_finding().ok
    finally:
        os.umask(before)


def modes_are_private(folder):
    """Whether the group of a folder is the user's own."""
    import grp
    import pwd

    me, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(folder.stat().st_gid)
    return group.gr_name in (me, "root") and {*group.gr_mem} <= {me, "root"}


@pytest.mark.parametrize("name", ["models", "prompts", "run", "run/spool", "logs", "crops"])
def test_a_folder_of_another_user_inside_is_refused(tiny_home, monkeypatch, name):
    places().make()
    folder = tiny_home.root / name
    folder.mkdir(exist_ok=True)
    give_away(folder, monkeypatch)
    with pytest.raises(NotPrivateError, match="belongs to another user"):
        run(places(), print)
    found = folders_finding()
    assert not found.ok
    assert "belongs to another user" in found.sentence


@pytest.mark.usefixtures("tiny_home")
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_history_that_others_can_write_is_not_opened(suffix):
    antifake("history")
    where = places()
    file = where.database.with_name(where.database.name + suffix)
    file.touch()
    file.chmod(0o666)
    content = file.read_bytes()
    with (
        pytest.raises(StoreError, match="Others on this computer can change"),
        started(where, lambda: None),
    ):
        pass
    assert file.read_bytes() == content
    assert not folders_finding().ok
    assert str(file) in folders_finding().sentence


@pytest.mark.parametrize("name", ["prompts/first.safetensors", "prompts/active.json"])
def test_a_prompt_that_others_can_write_is_not_asked_with(tiny_home, name):
    (tiny_home.root / name).chmod(0o622)
    done = antifake("prompt", "show", code=3)
    assert "Others on this computer can change" in done.output


@pytest.mark.usefixtures("tiny_home")
def test_no_token_is_taken_from_a_file_that_others_can_write():
    where = places()
    where.make()
    with instance.single_instance(where), started(where, lambda: None):
        assert client.find(where) is not None
        where.local_token.chmod(0o622)
        with pytest.raises(client.DaemonError, match="Others on this computer can change"):
            client.find(where)
        where.local_token.chmod(0o600)
        where.running.chmod(0o622)
        assert client.find(where) is None
        assert str(where.running) in folders_finding().sentence


def test_the_doctor_changes_nothing(tiny_home):
    tiny_home.root.chmod(0o777)
    found = folders_finding()
    assert not found.ok
    assert str(tiny_home.root) in found.sentence
    assert found.fix.endswith(f"chmod go-w {tiny_home.root}")
    antifake("doctor", code=1)
    assert modes(tiny_home.root) == {0o777}


def test_settings_that_are_a_link_to_a_folder_for_all_are_refused(tiny_home, tmp_path):
    others = tmp_path / "dotfiles"
    others.mkdir()
    (others / "antifake.toml").write_text("server.port = 9000")
    (tiny_home.root / "config.toml").symlink_to(others / "antifake.toml")
    assert antifake("config", "get", "server.port").output.strip() == "9000"
    others.chmod(0o777)
    assert str(others) in antifake("config", "get", "server.port", code=2).output


def test_an_installation_of_root_is_no_foreign_home(monkeypatch):
    """It belongs to root, who may do everything anyway. That it cannot be written is said."""
    before = modes(Path("/usr"))
    monkeypatch.setenv("ANTIFAKE_HOME", "/usr")
    assert places().home.root.as_posix() == "/usr"
    assert modes(Path("/usr")) == before, "it holds other things, too"


def test_a_chosen_folder_that_others_only_read_stays_as_it_is(tiny_home):
    (tiny_home.root / "photos").mkdir()
    (tiny_home.root / "photos").chmod(0o755)
    tiny_home.root.chmod(0o755)
    places().make()
    assert modes(tiny_home.root, tiny_home.root / "photos") == {0o755}
    assert modes(tiny_home.root / "run", tiny_home.root / "logs") == {0o700}


def test_a_folder_for_everybody_is_no_home_and_stays_as_it_is(tiny_home):
    tiny_home.root.chmod(0o1777)
    with pytest.raises(NotPrivateError, match="Others on this computer can change"):
        places()
    assert modes(tiny_home.root) == {0o1777}
