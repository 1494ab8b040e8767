"""The log files: what is in them, what never is, and how they are read."""

import ast
import logging
import os
import re
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from kit.pictures import png
from kit.running import place_of
from kit.waiting import eventually

from antifake.daemon import app, client, instance, logs
from antifake.daemon.config import Folder, add_folder, put
from antifake.daemon.places import places

log = logging.getLogger("antifake.daemon.test")
DAEMON = Path(__file__).parents[2] / "daemon"


@pytest.fixture
def where(tmp_path):
    return place_of(tmp_path / "home")


@pytest.fixture
def written(where):
    """Sets up the log; returns a function that reads its text so far."""
    undo = logs.set_up(where, "info")
    yield lambda: where.log.read_text("utf-8")
    undo()


def test_a_line_has_time_level_logger_and_message(written):
    log.warning("%d pictures wait", 3)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING test: 3 pictures wait\n", written()
    )


@pytest.mark.attack
def test_a_message_of_several_lines_is_one_line_and_cannot_command_a_terminal(written):
    log.warning("first\n2026-01-01T00:00:00.000Z ERROR forged: second\x1b[31m")
    assert len(written().splitlines()) == 1
    assert "\x1b" not in written()
    assert r"first\n2026" in written()


@pytest.mark.attack
@pytest.mark.parametrize(
    "told",
    [
        "Authorization: Bearer s3cr3t-x",
        "GET /open?code=s3cr3t-x&next=/",
        "{'token': 's3cr3t-x', 'id': 1}",
        'token="s3cr3t-x"',
        "Cookie: session=s3cr3t-x; path=/",
        "X-Pairing-Secret: s3cr3t-x",
    ],
)
def test_secrets_are_taken_out(written, told):
    log.error(told)
    log.error("failed", exc_info=ValueError(told))
    assert "s3cr3t" not in written()
    assert "***" in written()


def test_an_exit_code_is_no_secret(written):
    log.info("it ended with exit code: 3, code unreadable")
    assert "exit code: 3, code unreadable" in written()


def test_a_traceback_names_no_file_of_the_user_except_at_level_debug(written):
    def stumble():
        try:
            Path("/home/anna/private.png").read_bytes()
        except OSError as error:
            raise RuntimeError("cannot go on") from error

    for level in ("info", "debug"):
        logs.set_level(level)
        try:
            stumble()
        except RuntimeError:
            log.exception("stumbled at level %s", level)
    before, after = written().split("stumbled at level debug")
    assert "private.png" not in before
    assert "FileNotFoundError" in before
    assert "private.png" in after


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "/home/anna/x y.png"), "No space left on device"),
        (RuntimeError("cannot keep /home/anna/x.png here"), "cannot keep ... here"),
    ],
)
def test_a_logged_error_names_no_file_except_at_level_debug(written, error, message):
    log.warning("a job failed: %s", error)
    log.error("a job failed", exc_info=error)
    before = written()
    assert before.count(message) == 2
    assert "anna" not in before
    logs.set_level("debug")
    log.warning("a job failed: %s", error)
    assert "/home/anna/x" in written()


def test_an_uncaught_error_in_a_thread_is_logged_with_its_traceback(written, capfd):
    def end():
        raise RuntimeError("the thread's own")

    thread = threading.Thread(target=end, name="line")
    # pytest sets threading.excepthook while a test runs; ours replaced it.
    former = threading.excepthook
    thread.start()
    thread.join()
    assert threading.excepthook is former
    assert "CRITICAL logs: uncaught exception in thread line" in written()
    assert "    RuntimeError: the thread's own" in written()
    assert capfd.readouterr().out == ""


def test_uncaught_errors_in_the_main_thread_and_warnings_are_logged(where):
    code = (
        "import sys, warnings\n"
        "from antifake.daemon import logs\n"
        "from antifake.daemon.places import places\n"
        "logs.set_up(places())\n"
        "warnings.warn('an old way')\n"
        "raise RuntimeError('main has ended')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"ANTIFAKE_HOME": str(where.data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "main has ended" in done.stderr
    text = where.log.read_text()
    assert "WARNING py.warnings: " in text
    assert "an old way" in text
    assert "CRITICAL logs: uncaught exception" in text
    assert "    RuntimeError: main has ended" in text


def test_the_log_is_five_small_files_that_only_this_user_can_read(where):
    where.logs.mkdir(parents=True, mode=0o755)
    where.log.touch(mode=0o644)
    where.log.chmod(0o644)
    undo = logs.set_up(where, "info", max_bytes=10_000)
    try:
        for n in range(700):
            log.info("%04d %s", n, "x" * 100)
    finally:
        undo()
    files = sorted(where.logs.iterdir())
    assert len(files) == logs.FILES
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert " 0699 " in where.log.read_text()


def test_the_folder_of_the_log_is_private(where):
    logs.set_up(where, "info")()
    assert stat.S_IMODE(where.logs.stat().st_mode) == 0o700


def test_the_settings_choose_the_level(where):
    where.make()
    put(where.config, "logs.level", "error")
    undo = logs.set_up(where)
    try:
        log.warning("not so bad")
        log.error("bad")
        logging.getLogger("watchdog").warning("of somebody else")
    finally:
        undo()
    assert [line.split("Z ")[1] for line in where.log.read_text().splitlines()] == [
        "ERROR test: bad"
    ]


def test_logging_starts_even_if_the_settings_cannot_be_read(where):
    where.make()
    where.config.write_text("[logs]\nlevel = 7")
    assert logs.level_of_settings(where) == "info"


def test_undoing_the_setup_restores_everything(where):
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
    handlers = list(logging.getLogger().handlers)
    logs.set_up(where, "info")()
    assert hooks == (
        sys.excepthook,
        threading.excepthook,
        sys.unraisablehook,
        warnings.showwarning,
    )
    assert logging.getLogger().handlers == handlers


def test_the_last_lines_are_taken_from_as_many_files_as_they_need(where):
    where.make()
    where.log.with_name("antifake.log.1").write_text("a\nb\nc\n")
    where.log.write_text("d\n")
    assert logs.last_lines(where, 3)[0] == ["b", "c", "d"]
    assert logs.last_lines(where, 0)[0] == []
    assert logs.last_lines(where, 9)[0] == ["a", "b", "c", "d"]


def collect(lines, found):
    for line in lines:
        found.append(line)  # one by one, to keep those before an error


def test_following_continues_when_a_new_file_is_begun(where):
    where.make()
    where.log.write_text("before\n")
    found = []

    class EnoughError(Exception):
        pass

    def turns():
        with where.log.open("a") as file:
            file.write("one\ntw")
        yield
        with where.log.open("a") as file:
            file.write("o\nthree\n")
        where.log.rename(where.log.with_name("antifake.log.1"))
        where.log.write_text("four\n")
        yield
        yield
        raise EnoughError

    turn = turns()
    with pytest.raises(EnoughError):
        collect(logs.follow(where, logs.last_lines(where, 1)[1], lambda: next(turn)), found)
    assert found == ["one", "two", "three", "four"]


def test_a_traceback_belongs_to_the_message_above_it():
    found = logs.to_records(
        [
            "    of a message before",
            "2026-11-22T10:00:00.000Z ERROR line: it stumbled",
            "    Traceback",
            "2026-11-22T10:00:01.000Z INFO app: on",
        ]
    )
    assert [one["message"] for one in found] == ["it stumbled\n    Traceback", "on"]
    assert found[0]["level"] == "error"


def test_following_in_another_process_shows_new_lines(where, tmp_path):
    where.make()
    where.log.write_text("older\nold\n")
    shown = tmp_path / "shown.txt"
    with shown.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "antifake.daemon", "logs", "show", "-n", "1", "-f"],
            env=os.environ | {"ANTIFAKE_HOME": str(where.data)},
            stdout=out,
        )
    try:
        eventually(lambda: shown.read_text() == "old\n")
        with where.log.open("a") as file:
            file.write("new\n")
        eventually(lambda: shown.read_text() == "old\nnew\n")
    finally:
        process.kill()
        process.wait()


@pytest.mark.attack
@pytest.mark.usefixtures("tiny_home")
def test_a_daemon_at_work_names_no_file_in_its_log(tmp_path):
    where = places()
    folder = tmp_path / "folder-of-anna"
    folder.mkdir()
    add_folder(where.config, Folder(folder))
    where.make()
    undo = logs.set_up(where)
    try:
        with instance.single_instance(where), app.started(where, lambda: None):
            (folder / "name-of-anna.png").write_bytes(png(1))
            (folder / "torn-of-anna.png").write_bytes(png(2)[:100])
            asked = client.need(where)
            eventually(lambda: len(asked.get("/checks")["checks"]) == 2, 60)
            checks = asked.get("/checks")["checks"]
            torn, whole = sorted(checks, key=lambda one: one["label"] or "")
            asked.check((folder / "name-of-anna.png").read_bytes(), source="cli")
            log.info("done")
    finally:
        undo()
    lines = where.log.read_text("utf-8")
    assert f"{whole['id']} by watch: {whole['label']} in " in lines
    assert f"{torn['id']} by watch: {torn['code']} in " in lines
    assert f"{whole['id']} by cli: known already" in lines
    text = "".join(path.read_text() for path in where.logs.iterdir())
    assert "done" in text
    assert "of-anna" not in text
    assert where.local_token.read_text() not in text


_NAMES_A_FILE = re.compile(r"\b(path|file|filename|folder|root|source|stamp|page|url|title)s?\b")
_IS_TEXT = re.compile(r"\b(str|repr|format|text|line|message|sentence|refusal|reason)\b")
_ABOVE_DEBUG = ("info", "warning", "error", "exception", "critical")


def logged_above_debug():
    """Yields the file and the syntax tree of each call that logs above level debug."""
    for source in sorted(DAEMON.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "log"
                and node.func.attr in _ABOVE_DEBUG
            ):
                yield source, node


def test_no_name_of_a_file_is_logged_above_level_debug():
    """Reads the code: no argument may be named like a path, a file or a page.

    An exception is passed as it is, since the formatter knows how to remove file names from it;
    from text it does not. Other text goes through without_paths().
    """
    calls = list(logged_above_debug())
    assert len(calls) > 5
    for source, call in calls:
        assert isinstance(call.args[0], ast.Constant), f"{source}: an f-string hides names"
        for argument in call.args[1:]:
            code = re.sub(r"\bwithout_paths\(\w+\)", "", ast.unparse(argument))
            assert not _NAMES_A_FILE.search(code), f"{source}: {ast.unparse(call)}"
            assert not _IS_TEXT.search(code), f"{source}: {ast.unparse(call)}"
            assert not isinstance(argument, ast.JoinedStr), f"{source}: {ast.unparse(call)}"
