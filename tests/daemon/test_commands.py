"""The daemon's commands as a user types them: with a daemon, without one, and with one that
misbehaves."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from kit.pace import within
from kit.pictures import png
from kit.standin import HELLO, proof
from kit.waiting import eventually

from antifake.core.errors import UsageError
from antifake.core.evidence.card import Card, ModelTrack
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.serialize import to_dict
from antifake.daemon import app, client, instance, launcher
from antifake.daemon.cli import main
from antifake.daemon.commands.history import moment
from antifake.daemon.config import load, put
from antifake.daemon.places import Places, places
from antifake.daemon.store import checks, occurrences, open_store, tokens
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.store.tokens import Grant

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOTH_WAYS = pytest.mark.parametrize("way", ["at_rest", "asked"], indirect=True)


@pytest.fixture
def where(where, tmp_path, monkeypatch) -> Places:
    """The same, with a folder of its own for autostart and no screen."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return where


@pytest.fixture
def asked(where):
    """The whole daemon, in this process."""
    with instance.single_instance(where), app.started(where, lambda: None):
        yield


@pytest.fixture
def way(request, where):
    """Runs the test with a daemon and without one."""
    if request.param == "asked":
        request.getfixturevalue("asked")
    assert (client.find(where) is None) == (request.param == "at_rest")
    return request.param


def run(*words, code=0, stdin=None):
    done = CliRunner().invoke(main, list(map(str, words)), input=stdin)
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.output
    return done


def run_json(*words, **more):
    return json.loads(run(*words, "--json", **more).stdout)


def finding(path="/home/anna/cat.png", **more):
    sha256 = hashlib.sha256(path.encode()).hexdigest()
    told = {"label": "real", "p_fake": 0.1, "sha256": sha256}
    return Finding(source="watch", model="mini@1", prompt="p@1", path=path, **(told | more))


@pytest.fixture
def ids(where):
    """Three checks in the history, oldest first."""
    with open_store(where.database, NOW) as store, store.writing() as session:
        return [
            checks.add(session, finding("/home/anna/cat.png"), NOW - timedelta(days=2)).id,
            checks.add(
                session, finding("/home/anna/Bär[b].png", label="fake", p_fake=0.95), NOW
            ).id,
            checks.add(
                session,
                finding("/srv/torn.png", label=None, p_fake=None, error="It is torn.", code="x"),
                NOW + timedelta(seconds=1),
            ).id,
        ]


# --- All of them --------------------------------------------------------------------------------


def every_command(command, words=()):
    if isinstance(command, click.Group):
        for name, one in sorted(command.commands.items()):
            yield from every_command(one, (*words, name))
    else:
        yield words


def test_every_command_has_help():
    for words in every_command(main):
        done = run(*words, "--help")
        assert len(done.stdout.splitlines()) > 4, words


def test_all_documented_commands_exist():
    assert {
        "check",
        "scan",
        "watch",
        "history",
        "label",
        "retrain",
        "learning",
        "train",
        "model",
        "pair",
        "config",
        "autostart",
        "doctor",
        "logs",
        "completion",
        "daemon",
        "open",
        "tray",
    } <= set(main.commands)


def test_help_lists_everyday_commands_apart_from_those_for_developers():
    shown = run("--help").stdout
    everyday, rest = shown.split("Every day:\n")[1].split("\n\n", 1)
    names = [line.split()[0] for line in everyday.splitlines()]
    assert names == [
        "check",
        "scan",
        "evidence",
        "watch",
        "open",
        "history",
        "label",
        "report",
        "tray",
    ]
    developers = rest.split("For developers: models, training, measuring:\n")[1]
    assert [line.split()[0] for line in developers.splitlines()][:3] == ["model", "prompt", "train"]
    assert "Others:" not in shown, "a new command belongs to a section of the help"
    visible = [name for name, one in main.commands.items() if not one.hidden]
    assert all(f"\n  {name} " in shown for name in visible)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands(shell):
    assert "_ANTIFAKE_COMPLETE" in run("completion", shell).stdout


@pytest.mark.usefixtures("where")
def test_the_shell_gets_the_commands_of_a_group():
    done = subprocess.run(
        [sys.executable, "-m", "antifake.daemon"],
        env=os.environ
        | {
            "_ANTIFAKE_COMPLETE": "bash_complete",
            "COMP_WORDS": "antifake watch ",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,add" in done.stdout


# --- The daemon itself --------------------------------------------------------------------------


def test_without_a_daemon_the_commands_that_need_one_exit_with_4(where):
    for words in (("daemon", "status"), ("daemon", "stop"), ("pair", "pending")):
        done = run(*words, code=4)
        assert done.stdout == ""
        assert "running" in done.stderr
    assert run_json("daemon", "status", code=4) == {"running": False, "starting": False}
    assert where.state.is_dir()


@pytest.mark.usefixtures("asked")
def test_status_shows_the_state(where, tmp_path):
    where.config.write_text(f'[[watch.folders]]\npath = "{tmp_path / "gone"}"\n')
    client.need(where).post("/settings:reload")
    found = run_json("daemon", "status")
    assert (found["running"], found["pid"]) == (True, os.getpid())
    assert found["folders"][0]["path"] == str(tmp_path / "gone")
    assert found["uptime_s"] >= 0
    assert found["model"]["why"]
    # The thread that watches looks at its folders a little later.
    eventually(lambda: "gone is not there" in run("daemon", "status").stdout)
    assert found["model"]["why"] in run("daemon", "status").stdout


@pytest.mark.usefixtures("asked")
def test_a_second_start_names_the_running_daemon_and_exits_with_5(where):
    found = instance.find(where)
    for words in (("daemon", "start"), ("daemon", "run")):
        done = run(*words, code=5)
        assert f"process {found.pid} on port {found.port}" in done.stderr


def test_the_daemon_is_started_found_and_stopped(where):
    started = subprocess.run(
        [sys.executable, "-m", "antifake.daemon", "daemon", "start", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=within(60),
    )
    try:
        assert started.returncode == 0, started.stderr
        found = json.loads(started.stdout)
        assert found["port"] == instance.find(where).port
        assert found["pid"] == instance.find(where).pid
        assert Path(f"/proc/{found['pid']}/cwd").resolve() == where.state.resolve()
        eventually(lambda: "ready" in launcher.said_at_start(where).read_text())
        assert launcher.said_at_start(where).stat().st_mode & 0o777 == 0o600
    finally:
        with suppress(launcher.NotRunningError):
            launcher.stop(where)
    assert not instance.is_running(where)
    assert not where.running.exists()
    assert "stopped" in where.log.read_text()


def test_a_daemon_that_ends_while_starting_is_quoted(where):
    where.config.write_text("[server]\nprot = 1\n")
    done = run("daemon", "start", code=1)
    assert "server.prot is not a setting; did you mean server.port?" in done.stderr


def test_start_does_not_wait_forever_for_a_silent_daemon(where):
    command = (sys.executable, "-c", "import sys; sys.stdin.read(); import time; time.sleep(2)")
    with pytest.raises(launcher.LaunchError, match="has not answered within"):
        launcher.start(where, command, within_s=0.2)


HANGING = """
import sys, time, socket
from datetime import UTC, datetime
from antifake.daemon import instance
from antifake.daemon.places import places
where = places()
with instance.single_instance(where), socket.create_server(("127.0.0.1", 0)) as hole:
    where.local_token.write_text("x")
    instance.announce(where, hole.getsockname()[1], "0", datetime.now(UTC))
    print("ready", flush=True)
    time.sleep(60)
"""


def test_stop_ends_a_daemon_that_hangs(where):
    process = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        assert "stopped" in run("daemon", "stop").stderr
        assert process.wait(within(10)) != 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not instance.is_running(where)


@pytest.mark.usefixtures("asked")
def test_open_gives_the_browser_a_one_time_link(tmp_path):
    link = run("open", "--print").stdout.strip()
    assert link.startswith("http://127.0.0.1:")
    assert "code=" in link
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "antifake.daemon", "open"],
        env=os.environ | {"BROWSER": str(browser)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    opened = (tmp_path / "opened").read_text().strip()
    assert opened.startswith("http://127.0.0.1:")
    assert opened != link


# --- Settings -----------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_setting_is_changed_and_read(where, way):
    done = run("config", "set", "history.keep_days", "30")
    assert ("running daemon knows" in done.stderr) == (way == "asked")
    assert run("config", "get", "history.keep_days").stdout == "30\n"
    assert run_json("config", "get", "history")["keep_days"] == 30
    assert run_json("config", "show")["history.keep_days"] == 30
    assert "keep_days = 30" in run("config", "show").stdout
    if way == "asked":
        assert client.need(where).get("/settings")["history.keep_days"] == 30
    run("config", "set", "history.keep_days", "")
    assert run_json("config", "get", "history.keep_days") == 0


@pytest.mark.usefixtures("where")
def test_a_misspelt_setting_is_an_error_with_exit_code_2():
    for words in (("get", "server.prot"), ("set", "server.prot", "1")):
        assert "did you mean server.port" in run("config", *words, code=2).stderr
    assert "1,024" in run("config", "set", "server.port", "80", code=2).stderr


@pytest.mark.usefixtures("asked")
def test_a_setting_that_needs_a_restart_says_so():
    assert "next start" in run("config", "set", "server.port", "9123").stderr


def test_config_path_names_every_place(where):
    found = run_json("config", "path")
    assert found["config"] == str(where.config)
    assert found["log"] == str(where.log)
    assert run("config", "path").stdout.splitlines()[0].split() == ["config", str(where.config)]


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_level_of_the_log_is_a_setting(where):
    run("logs", "level", "warning")
    assert load(where.config).logs.level == "warning"
    assert run_json("logs", "level") == "warning"


def test_the_log_is_shown(where):
    where.log.write_text("2026-11-22T10:00:00.000Z INFO app: a\n" * 3)
    assert len(run("logs", "show", "-n", "2").stdout.splitlines()) == 2
    assert run_json("logs", "show", "-n", "1")[0]["message"] == "a"
    assert run("logs", "path").stdout == f"{where.log}\n"
    run("logs", "show", "-f", "--json", code=2)


# --- Folders ------------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_a_folder_is_added_listed_and_removed(where, tmp_path, monkeypatch):
    (tmp_path / "pictures" / "new").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    done = run("watch", "add", "pictures", "--exclude", "private/**", "--include", "*.png")
    assert str(tmp_path / "pictures") in done.stderr
    [one] = run_json("watch", "list")["folders"]
    assert one["path"] == str(tmp_path / "pictures")
    assert (one["include"], one["exclude"], one["recursive"]) == (["*.png"], ["private/**"], True)
    assert "not private/**" in run("watch", "list").stdout
    assert load(where.config).watch.folders[0].path == tmp_path / "pictures"

    assert "watched already" in run("watch", "add", "pictures/../pictures", code=2).stderr
    again = (tmp_path / "pictures").as_uri()
    more = run("watch", "add", again, "--exclude", "*.{tif,tiff}", "--include", "*.png")
    assert "was watched already. From now on: with all below, only *.png, not private/**" in (
        more.stderr
    )
    [one] = run_json("watch", "list")["folders"]
    assert (one["include"], one["exclude"]) == (["*.png"], ["private/**", "*.{tif,tiff}"])
    assert "watched already" in run("watch", "add", again, "--include", "*.png", code=2).stderr
    too_many = run("watch", "add", again, "--exclude", "{a,b}" * 11, code=2).stderr
    assert "must be patterns like" in too_many
    assert "names say nothing" not in run("watch", "list").stderr
    inner = run("watch", "add", "pictures/new", "--no-recursive", "--polling")
    assert "names say nothing, such as photo or photo.jpg_large" in run("watch", "list").stderr
    assert f"lies in {tmp_path / 'pictures'}" in inner.stderr
    # A running watcher reports how it watches now, and takes some time to change that.
    eventually(lambda: "by polling" in run("watch", "list").stdout)

    run("watch", "remove", "pictures")
    run("watch", "remove", tmp_path / "pictures" / "new")
    assert run_json("watch", "list")["folders"] == []


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_an_invalid_folder_is_refused(tmp_path):
    assert "There is no folder" in run("watch", "add", tmp_path / "none", code=2).stderr
    (tmp_path / "a.png").touch()
    refused = run("watch", "add", tmp_path / "a.png", code=2)
    assert (
        f"a.png is a file, not a folder. The folder that it is in is {tmp_path}" in refused.stderr
    )
    run("watch", "add", tmp_path)
    assert f"Watched are: {tmp_path}" in run("watch", "remove", "/none", code=2).stderr
    (tmp_path / "pictures").mkdir()
    refused = run("watch", "add", tmp_path / "pictures", "--include", "/x", code=2)
    assert "include" in refused.stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_a_model_or_prompt_that_is_not_there_is_refused_as_a_setting(where, tiny_bundle):
    (where.home.models).mkdir(parents=True, exist_ok=True)
    (where.home.models / "tiny").symlink_to(tiny_bundle.folder)
    (where.home.models / "active").write_text("tiny")
    for name in ("nonsense", "/nowhere", "a b"):
        refused = run("config", "set", "worker.model", name, code=2).stderr
        assert "there is no such model on this computer. There are: tiny." in refused
    known = run("config", "set", "worker.model", "instructblip-vicuna-7b", code=2).stderr
    assert "get it with `antifake model pull instructblip-vicuna-7b`" in known
    for setting in ("worker.prompt", "learning.pinned"):
        refused = run("config", "set", setting, "nonsense", code=2).stderr
        assert f"{setting} cannot be 'nonsense'" in refused
    assert load(where.config).worker.model == load(where.config).worker.prompt == ""
    run("config", "set", "worker.model", "tiny")
    assert load(where.config).worker.model == "tiny"
    run("config", "set", "worker.model", "")


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_watching_is_paused_and_resumed(where):
    for options, minutes in ((["--minutes", "5"], 5), (["--hours", "2"], 120), ([], 60)):
        run("watch", "pause", *options)
        until = datetime.fromisoformat(run_json("watch", "list")["paused_until"])
        assert abs(until - datetime.now(UTC) - timedelta(minutes=minutes)) < timedelta(
            seconds=within(20)
        )
        assert "Paused until" in run("watch", "list").stderr
    assert abs(load(where.config).watch.paused_until - until) < timedelta(seconds=1)
    run("watch", "pause", "--off")
    assert run_json("watch", "list")["paused_until"] is None
    run("watch", "pause", "--off", "--hours", "1", code=2)


# --- History ------------------------------------------------------------------------------------


def shown(*words):
    return [one["id"] for one in run_json("history", *words)]


@pytest.mark.usefixtures("where")
@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_an_empty_history_is_an_empty_array():
    assert run_json("history") == []
    assert "Nothing" in run("history").stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_history_is_filtered(ids):
    assert shown() == [ids[2], ids[1], ids[0]]
    assert shown("--limit", "1") == [ids[2]]
    assert shown("--label", "ai") == shown("--label", "fake") == [ids[1]]
    assert "fake|real|unsure|failed" in run("history", "--help").stdout.replace("\n", "")
    assert shown("--label", "fake") == [ids[1]]
    assert shown("--label", "failed") == [ids[2]]
    assert shown("--search", "bÄR[") == [ids[1]]
    assert shown("--folder", "/home/anna") == [ids[1], ids[0]]
    assert shown("--source", "cli") == []
    assert shown("--model", "mini@1", "--since", "2026-11-22T11:00+00:00") == [ids[2], ids[1]]
    assert shown("--until", "2026-11-22T11:00+00:00") == [ids[0]]
    assert "is not a time" in run("history", "--since", "soon", code=2).stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_history_is_a_table_that_never_says_fake(ids):
    lines = run("history").stdout.splitlines()
    assert lines[0].split() == ["ID", "WHEN", "VERDICT", "BY", "PICTURE"]
    assert lines[2].split()[0] == ids[1]
    assert lines[2].endswith("/home/anna/Bär[b].png")
    assert "AI-made" in lines[2]
    assert "fake" not in "".join(lines)


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_a_picture_is_found_by_a_copys_name_and_shown_with_its_places(where, ids):
    sha256 = hashlib.sha256(b"/home/anna/cat.png").hexdigest()
    copy = {"source": "extension", "name": "Kater\u0007.jpg", "page": "example.org"}
    with open_store(where.database, NOW) as store, store.writing() as session:
        occurrences.add(session, sha256, Occurrence(at=NOW, **copy))
    (found,) = run_json("history", "--search", "kater")
    assert (found["id"], found["seen"]) == (ids[0], 2)
    assert [one["name"] for one in found["occurrences"]] == ["Kater\u0007.jpg", "cat.png"]
    assert "/home/anna/cat.png (seen 2 times)" in run("history", "--search", "kater").stdout
    text = run("history", "show", ids[0]).stdout
    assert "Seen 2 times:" in text
    assert "Kater\\x07.jpg example.org" in text
    assert "Seen" not in run("history", "show", ids[1]).stdout


@pytest.mark.usefixtures("asked")
def test_more_than_a_page_is_fetched_page_by_page(where):
    with open_store(where.database, NOW) as store, store.writing() as session:
        for n in range(620):
            checks.add(session, finding(f"/x/{n}.png"), NOW + timedelta(seconds=n))
    assert len(shown("--limit", "610")) == 610


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_one_check_is_explained(ids):
    assert run_json("history", "show", ids[1])["percent"] == 95
    text = run("history", "show", ids[1]).stdout
    assert "95 % likely" in text
    assert "/home/anna/Bär[b].png" in text
    assert "torn" in run("history", "show", ids[2]).stdout
    assert "no check" in run("history", "show", "0" * 13, code=1).stderr
    assert "is not the name" in run("history", "show", "nonsense", code=1).stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_an_export_can_be_imported_elsewhere(where, ids, tmp_path):
    run("label", ids[0], "fake")
    for name in ("all.csv", "all.jsonl"):
        run("history", "export", tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert "exists already" in run("history", "export", tmp_path / name, code=2).stderr
        assert run_json("history", "import", tmp_path / name) == {
            "added": 0,
            "known": 3,
            "refused": [],
            "n_refused": 0,
        }
    assert len(run("history", "export", "-", "--label", "ai").stdout.splitlines()) == 1
    assert run("history", "export", "-", "--form", "csv").stdout.splitlines()[0].startswith("id,at")
    (tmp_path / "torn.jsonl").write_text('{"label": "real"}\n')
    assert "Row 1" in run("history", "import", tmp_path / "torn.jsonl", code=1).stderr
    (tmp_path / "no.jsonl").write_bytes(b"\xff\xfe\xfd")
    refused = run("history", "import", tmp_path / "no.jsonl", code=2)
    assert "UTF-8" in refused.stderr
    run("history", "import", tmp_path / "none.csv", code=2)
    assert where.database.exists()


@pytest.mark.usefixtures("ids")
def test_an_export_that_fails_leaves_no_half_file(where, tmp_path):
    where.config.write_text("[history]\ndatabase = 'nosuch://x'\n")
    run("history", "export", tmp_path / "all.csv", code=2)
    assert not (tmp_path / "all.csv").exists()


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_users_label_overrides_the_model_and_can_be_undone(ids):
    assert run_json("label", ids[0], "ai", "--note", "I made it")[0]["label"] == "fake"
    assert "You said: AI-made" in run("history").stdout
    assert "I made it" in run("history", "show", ids[0]).stdout
    assert shown("--corrected") == [ids[0]]
    assert shown("--uncorrected") == [ids[2], ids[1]]
    assert "You said: real" in run("label", ids[0], ids[1], "real").stderr
    assert run_json("label", "undo", ids[0], ids[1])[0]["word"] == "You said: AI-made"
    run("label", "undo", ids[0])
    assert shown("--corrected") == []
    assert "nothing to undo" in run("label", "undo", ids[0], code=1).stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_user_says_that_verdicts_are_right(ids):
    """Each picture gets its own verdict, all or none."""
    assert "no verdict to confirm" in run("label", ids[0], ids[2], "right", code=1).stderr
    assert shown("--corrected") == []
    told = run("label", ids[0], ids[1], "right").stderr
    assert f"{ids[0]}  You said: real" in told
    assert f"{ids[1]}  You said: AI-made" in told
    run("label", "undo", ids[0], ids[1])
    assert shown("--corrected") == []


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize(
    "words", [("undo",), ("fake",), ("3a", "false"), ("3a",), ("right",), ("3a", "FAKE")]
)
def test_an_unknown_label_is_a_usage_error(words):
    assert "antifake label ID real" in run("label", *words, code=2).stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_pictures_are_forgotten_after_a_confirmation(ids):
    run("history", "forget", ids[0], stdin="n\n", code=1)
    assert len(shown()) == 3
    run("history", "forget", ids[0], stdin="y\n")
    assert run_json("history", "forget", ids[1], "--yes") == {"forgotten": 1}
    assert shown() == [ids[2]]


@pytest.mark.usefixtures("ids")
def test_the_repair_of_a_damaged_history_is_reported(where):
    where.database.write_bytes(b"no database" * 100)
    done = run("history", "--json")
    assert "damaged" in done.stderr
    assert json.loads(done.stdout) == []


def test_times_are_read_as_people_type_them():
    assert moment("7d", NOW) == NOW - timedelta(days=7)
    assert moment("12h", NOW) == NOW - timedelta(hours=12)
    assert moment("2026-01-31T12:00+01:00") == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert moment("2026-01-31").tzinfo is UTC
    for text in ("", "d", "99999999999d", "31.1.2026"):
        with pytest.raises(UsageError, match="is not a time"):
            moment(text, NOW)


# --- Pairing ------------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_the_access_of_a_connected_program_can_be_revoked(where):
    with open_store(where.database, NOW) as store, store.writing(durable=True) as session:
        grant = Grant(name="Firefox", scopes=frozenset(["check"]))
        token, _ = tokens.issue(session, grant, NOW)
    assert "Firefox" in run("pair", "list").stdout
    run("pair", "revoke", token.id)
    mine = next(one for one in run_json("pair", "list") if one["id"] == token.id)
    assert mine["revoked"]
    assert "no token" in run("pair", "revoke", "99", code=1).stderr


@BOTH_WAYS
@pytest.mark.usefixtures("way")
def test_all_access_is_revoked_but_that_of_the_commands(where):
    with open_store(where.database, NOW) as store, store.writing(durable=True) as session:
        for name, scope in (("Firefox", "check"), ("Chrome on Linux", tokens.PAGES)):
            tokens.issue(session, Grant(name=name, scopes=frozenset([scope])), NOW)
    for wrong in (["pair", "revoke"], ["pair", "revoke", "--all", "1"]):
        assert "or --all" in run(*wrong, code=2).stderr
    run("pair", "revoke", "--all")
    states = {one["name"]: bool(one["revoked"]) for one in run_json("pair", "list")}
    assert states.pop("this computer", False) is False
    assert states == {"Firefox": True, "Chrome on Linux": True}


def test_a_browser_that_was_not_used_for_long_is_shown_as_expired(where):
    long_ago = datetime.now(UTC) - timedelta(days=91)
    with open_store(where.database, NOW) as store, store.writing(durable=True) as session:
        for at in (long_ago, long_ago + timedelta(days=2)):
            tokens.issue(session, Grant(name="Chrome", scopes=frozenset([tokens.PAGES])), at)
    lines = [x for x in run("pair", "list").stdout.splitlines() if "Chrome" in x]
    assert [line.split()[-1] for line in lines] == ["expired", "connected"]


@pytest.mark.usefixtures("asked")
def test_a_pairing_request_is_accepted_or_rejected(where):
    asked_by = client.need(where)
    for answer, state in (("accept", "accepted"), ("reject", "rejected")):
        one = asked_by.post("/pairings", {"name": "Chrome", "scopes": ["check"]})
        [pending] = run_json("pair", "pending")
        assert (pending["code"], pending["name"]) == (one["code"], "Chrome")
        assert one["code"] in run("pair", "pending").stdout
        run("pair", answer, one["id"])
        secret = {"X-Pairing-Secret": one["secret"]}
        assert asked_by.ask("GET", f"/pairings/{one['id']}", headers=secret)["state"] == state
    assert run_json("pair", "pending") == []
    assert "Nobody" in run("pair", "pending").stderr


# --- Login --------------------------------------------------------------------------------------


def test_the_menu_and_its_setting_change_together(where, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    entry = tmp_path / "share" / "applications" / "antifake.desktop"
    run("config", "set", "login.menu", "true")
    assert load(where.config).login.menu
    assert entry.exists()
    run("config", "set", "login.menu", "false")
    assert not entry.exists()


def test_autostart_and_its_setting_change_together(where, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/none")
    entry = tmp_path / "config" / "autostart" / "antifake.desktop"
    assert [one["is_on"] for one in run_json("autostart", "status")] == [False, False]
    assert run_json("autostart", "on")[0]["is_on"]
    assert entry.exists()
    assert load(where.config).login.start
    assert "XDG autostart" in run("autostart", "status").stdout
    run("autostart", "off")
    assert not entry.exists()
    assert not load(where.config).login.start
    run("config", "set", "login.start", "true")
    assert entry.exists()
    run("config", "set", "login.start", "false")
    assert not entry.exists()


# --- check: with a daemon whose answers the test chooses ------------------------------------------


class ScriptedDaemon:
    """A daemon that answers /checks as the test says, over real HTTP and with the real lock."""

    def __init__(self, where):
        self.where, self.posted = where, []
        self.answers = []
        """(status, body, headers) for each POST in turn. The last one repeats. None: hang up."""
        self.waiting = {}
        """The answers to GET /checks/ID."""

    def answer(self):
        with self._lock:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self):
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._single_instance = instance.single_instance(self.where)
        self._single_instance.__enter__()
        self.where.local_token.write_text("secret")
        instance.announce(self.where, self._server.server_address[1], "0", datetime.now(UTC))
        return self

    def __exit__(self, *_):
        self._single_instance.__exit__(None, None, None)
        self._server.shutdown()
        self._server.server_close()


def handler_of(scripted):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == HELLO:
                self.say(200, proof(body, "secret", self.server.server_address[1]))
                return
            scripted.posted.append((dict(self.headers), body))
            if (said := scripted.answer()) is not None:
                self.say(*said)
            else:
                self.close_connection = True

        def do_GET(self):
            self.say(200, scripted.waiting[self.path.split("?")[0].rpartition("/")[2]])

        def say(self, status, body, headers=()):
            self.send_response(status)
            data = json.dumps(body).encode()
            for name, value in {"Content-Length": len(data), **dict(headers)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture
def scripted(where):
    with ScriptedDaemon(where) as scripted:
        yield scripted


EVIDENCE = to_dict(Card(FileEvidence(), ModelTrack("fake", 0.84, "mini@1", "shipped@1")))


def check(**more):
    return {
        "id": "3" * 13,
        "state": "done",
        "label": "fake",
        "word": "likely AI-made",
        "percent": 84,
        "p_fake": 0.84,
        "error": None,
        "code": None,
        "said": None,
        "model": "mini@1",
        "prompt": "shipped@1",
        "sha256": "a" * 64,
        "ms": 12.5,
        "parts": PARTS,
        "note": None,
        "evidence": EVIDENCE,
    } | more


PARTS = [
    {"box": [0.3, 0.0, 0.4, 1.0], "frame": 0, "p_fake": 0.2},
    {"box": [0.0, 0.0, 0.4, 1.0], "frame": 0, "p_fake": 0.1},
    {"box": [0.6, 0.0, 0.4, 1.0], "frame": 0, "p_fake": 0.86},
]


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(png(1))
    return path


def test_a_picture_is_sent_to_the_daemon_with_its_path_and_source(scripted, picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    scripted.answers = [(201, check())]
    [row] = run_json("check", "cat.png")
    assert row == {
        "path": "cat.png",
        "sha256": "a" * 64,
        "label": "fake",
        "p_fake": 0.84,
        "word": "likely AI-made",
        "model": "mini@1",
        "prompt": "shipped@1",
        "ms": 12.5,
        "error": None,
        "code": None,
        "parts": PARTS,
        "note": None,
        "headline": "likely AI-made",
        "basis": "model",
        "evidence": json.loads(json.dumps(EVIDENCE)),
    }
    headers, body = scripted.posted[0]
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Prefer"].startswith("wait=")
    assert b'name="source"\r\n\r\ncli\r\n' in body
    assert f'name="path"\r\n\r\n{picture}\r\n'.encode() in body
    assert picture.read_bytes() in body
    assert b"cat.png" not in body.replace(str(picture).encode(), b"")


def test_the_part_that_decided_is_named_unless_the_user_has_said_otherwise(scripted, picture):
    said = {"label": "fake", "at": "2026-11-22T00:00:00+00:00", "note": ""}
    scripted.answers = [(201, check()), (201, check(said=said, word="You said: AI-made"))]
    assert "cat.png: on the right" in run("check", picture).stdout
    assert "on the right" not in run("check", picture).stdout


def test_what_to_know_of_a_picture_is_said_with_its_verdict(scripted, picture):
    note = "The last 3 % of this picture are missing; what is there was judged."
    scripted.answers = [(201, check(note=note))]
    assert f"cat.png: on the right. {note}" in run("check", picture).stdout
    assert run_json("check", picture)[0]["note"] == note


def test_check_waits_for_a_result_that_takes_longer(scripted, picture):
    scripted.answers = [(202, {"id": "7" * 13, "state": "queued"})]
    scripted.waiting = {"7" * 13: check(label="real", word="likely real")}
    assert "likely real" in run("check", picture).stdout


def test_results_come_in_order_however_many_there_are(scripted, tmp_path):
    for n in range(12):
        (tmp_path / f"{n}.png").write_bytes(png(n))
    scripted.answers = [(201, check())]
    rows = run_json("check", *[tmp_path / f"{n}.png" for n in range(12)])
    assert [row["path"] for row in rows] == [str(tmp_path / f"{n}.png") for n in range(12)]
    assert b"batch" in scripted.posted[0][1]


def test_a_picture_that_is_refused_is_a_failed_row(scripted, picture, tmp_path):
    said = check(label=None, word="not checked", p_fake=None, error="It is blank.", code="blank")
    problem = {"status": 422, "detail": "It is blank.", "code": "blank", "check": said}
    scripted.answers = [(422, problem)]
    done = run("check", picture, tmp_path / "gone.png", "--json", code=1)
    blank, gone = json.loads(done.stdout)
    assert (blank["label"], blank["error"], blank["code"]) == (None, "It is blank.", "blank")
    assert blank["model"] == "mini@1"
    assert gone["code"] == "no_file"
    assert len(scripted.posted) == 1
    scripted.answers = [(413, {"detail": "Too large.", "code": "too_large"})]
    [large] = run_json("check", picture, code=1)
    assert (large["error"], large["code"]) == ("Too large.", "too_large")
    assert len(large["sha256"]) == 64


def test_a_check_that_fails_while_waiting_is_a_failed_row(scripted, picture):
    scripted.answers = [(202, {"id": "7" * 13, "state": "queued"})]
    scripted.waiting = {
        "7" * 13: check(label=None, p_fake=None, error="It is noise.", code="noise")
    }
    [row] = run_json("check", picture, code=1)
    assert (row["error"], row["code"], row["word"]) == ("It is noise.", "noise", None)


def test_a_full_queue_is_tried_again(scripted, picture):
    full = (503, {"detail": "Many wait.", "code": "queue_full"}, {"Retry-After": "1"})
    scripted.answers = [full, (201, check())]
    assert "likely AI-made" in run("check", picture).stdout


def test_the_users_own_label_has_no_percentage(scripted, picture):
    scripted.answers = [(201, check(label="real", word="You said: real", said={"label": "real"}))]
    assert "%" not in run("check", "-v", picture).stdout
    scripted.answers = [(201, check())]
    assert "(84 %)" in run("check", "-v", picture).stdout


def test_standard_input_has_no_path(scripted, picture):
    scripted.answers = [(201, check())]
    done = subprocess.run(
        [sys.executable, "-m", "antifake.daemon", "check", "-", "--json"],
        input=picture.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)[0]["path"] == "-"
    assert b'name="path"' not in scripted.posted[0][1]


def test_a_name_that_is_not_utf8_is_judged_without_being_sent(scripted, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    Path(name).write_bytes(png(1))
    scripted.answers = [(201, check())]
    [row] = run_json("check", name)
    assert row["path"] == name
    assert b'name="path"' not in scripted.posted[0][1]


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        (503, {"detail": "There is no model.", "code": "no_model"}),
        (401, {"detail": "This needs a token.", "code": "unauthorized"}),
        (404, {"detail": "There is nothing at this address.", "code": "not_found"}),
    ],
)
@pytest.mark.usefixtures("tiny_home")
def test_if_the_daemon_cannot_go_on_this_process_judges_the_rest(tmp_path, trouble):
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(png(n))
    with ScriptedDaemon(places()) as scripted:
        scripted.answers = [(201, check()), trouble]
        done = run("check", tmp_path / "0.png", tmp_path / "1.png", "--json")
    rows = json.loads(done.stdout)
    assert sorted(row["model"].partition("@")[0] for row in rows) in (
        ["mini", "tiny"],
        ["tiny", "tiny"],
    )
    assert [row["path"] for row in rows] == [str(tmp_path / f"{n}.png") for n in range(2)]
    assert done.stderr.count("This process judges instead.") == 1


@pytest.mark.parametrize("option", [["--no-daemon"], ["--model", "tiny"], ["--prompt", "first"]])
@pytest.mark.usefixtures("tiny_home")
def test_with_options_for_another_model_or_prompt_this_process_judges(picture, option):
    with ScriptedDaemon(places()) as scripted:
        [row] = run_json("check", picture, *option)
        assert scripted.posted == []
    assert row["model"].startswith("tiny@")


@pytest.mark.usefixtures("tiny_home")
def test_the_real_daemon_gives_the_same_row_as_this_process(picture):
    where = places()
    where.make()
    with instance.single_instance(where), app.started(where, lambda: None):
        [there] = run_json("check", picture)
        [kept] = run_json("history")
    [here] = run_json("check", picture)
    for name in ("path", "sha256", "label", "p_fake", "word", "model", "prompt", "error", "code"):
        if name == "p_fake":
            assert there[name] == pytest.approx(here[name], abs=1e-4)
        else:
            assert there[name] == here[name]
    assert (kept["source"], kept["path"]) == ("cli", str(picture))


# --- Report -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["asked", "at_rest"], indirect=True)
@pytest.mark.usefixtures("way")
def test_a_report_is_written_as_the_suffix_says_and_nothing_is_overwritten(ids, tmp_path):
    run("report", ids[1], "-o", tmp_path / "a.pdf")
    run("report", ids[1], "-o", tmp_path / "a.html", "--no-name")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    shown = (tmp_path / "a.html").read_text()
    assert "AI-made" in shown
    assert "anna" not in shown
    assert "Bär" not in shown
    assert (tmp_path / "a.html").stat().st_mode & 0o077 == 0
    done = run("report", ids[1], "-o", tmp_path / "a.pdf", code=2)
    assert "nothing was overwritten" in done.stderr
    assert "Bär[b].png" in run("report", ids[1], "-o", "-").stdout


@pytest.mark.usefixtures("where")
def test_a_report_of_nothing_or_of_another_kind_is_refused(tmp_path):
    assert "not .docx" in run("report", "x", "-o", "a.docx", code=2).stderr
    assert "There is no check" in run("report", "0000000000000", code=1).stderr
    picture = tmp_path / "a.png"
    picture.write_bytes(png(1))
    assert "antifake daemon start" in run("report", picture, code=2).stderr
    assert not list(Path.cwd().glob("antifake-report-*"))


@pytest.mark.usefixtures("tiny_home")
def test_a_file_is_checked_by_the_daemon_and_then_reported(tmp_path):
    where = places()
    where.make()
    picture = tmp_path / "cat.png"
    picture.write_bytes(png(1))
    with instance.single_instance(where), app.started(where, lambda: None):
        run("report", picture, "-o", tmp_path / "cat.html")
        found = run_json("history")
    assert [one["name"] for one in found] == ["cat.png"]
    shown = (tmp_path / "cat.html").read_text()
    assert "cat.png" in shown
    assert found[0]["sha256"] in shown
    assert "checked by a command" in shown


@pytest.mark.parametrize("is_shared", [False, True])
def test_privacy_tells_what_leaves_this_computer(tmp_path, monkeypatch, is_shared):
    monkeypatch.setenv("ANTIFAKE_HOME", str(tmp_path))
    if is_shared:
        put(places().config, "history.database", "postgresql://anna:secret@server/antifake")
    said = " ".join(run("privacy").output.split())
    assert ("No picture ever leaves this computer" in said) is not is_shared
    assert ("small copies of pictures too, goes to the database server" in said) is is_shared
    assert "secret" not in said
