"""Folders as people type them, wherever they can type one: the answer is a message, never a
traceback or an error 500."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from kit.daemon import Asked

from antifake.daemon import app, instance
from antifake.daemon.cli import main
from antifake.daemon.config import (
    ConfigError,
    Folder,
    PathError,
    add_folder,
    load,
    parse,
    remove_folder,
    whole_path,
)
from antifake.daemon.places import places

REFUSED = {
    "the home of an unknown user": "~nosuchuser/x",
    "nothing": "",
    "blanks": "  \t ",
    "a null character": "/home/anna/\0",
    "half a character": "/home/anna/\udcff",
    "a path without end": "/" + "x/" * 3000,
}
RELATIVE = {
    "a relative path": "Pictures/cats",
    "a path of Windows": "C:\\Users\\anna\\Pictures",
}
ODD = {
    "a long name": "/" + "x" * 400,
    "a line end": "/home/anna/a\nb",
    "the home folder": "~",
    "the root, twice": "//",
    "a way up": "/home/anna/../..",
}
MISSING = ("/" + "x" * 400, "/home/anna/a\nb")
"""Odd ones that could be folders, but are not there."""
ALL = REFUSED | RELATIVE | ODD


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    """A fresh user's places, without a model."""
    root = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIFAKE_HOME", str(root / "home"))
        patch.setenv("HOME", str(root))
        patch.chdir(root)
        found = places()
        found.make()
        yield found


@pytest.fixture(scope="module")
def daemon(where):
    with instance.single_instance(where), app.started(where, lambda: None) as made:
        yield Asked(where, made.service, made.access, made.running.port, made.upkeep, made.intake)


# Without a daemon first, because the one of this module runs until the last test.
@pytest.fixture(scope="module", params=["without a daemon", "with a daemon"])
def user(request, where):
    """A user who types commands, without a daemon and with one."""
    if request.param == "with a daemon":
        request.getfixturevalue("daemon")
    return where


def is_accepted(typed):
    """Whether it can be watched."""
    return typed in ODD.values() and typed not in MISSING


def named(paths):
    return pytest.mark.parametrize("typed", list(paths.values()), ids=list(paths))


def run(*words):
    """Returns the output of a command. Asserts a message and a documented exit code."""
    done = CliRunner().invoke(main, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 2), done.output
    assert done.stderr.rstrip().endswith((".", "`")) or done.exit_code == 0, done.output
    return done


@named(REFUSED)
def test_text_that_is_no_path_is_refused_with_a_message(typed):
    with pytest.raises(PathError, match=r"^[A-Z].*\.$"):
        whole_path(typed)
    with pytest.raises(PathError):
        whole_path(typed, Path("/home/anna"))


@named(RELATIVE)
@pytest.mark.skipif(os.name == "nt", reason="there it is whole")
def test_a_relative_path_needs_a_folder_to_start_from(typed):
    with pytest.raises(PathError, match="not the whole path"):
        whole_path(typed)
    assert whole_path(typed, Path("/home/anna")) == Path("/home/anna") / typed


def test_two_ways_to_write_a_folder_are_the_same_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    for typed in ("/home/anna/a", "//home/anna/a/", "/home/anna/b/../a", "~/a", "/home//anna/./a"):
        assert str(whole_path(typed)) == "/home/anna/a"


@named(ALL)
def test_the_commands_for_folders_accept_any_text(user, typed):
    is_refused = typed in REFUSED.values()
    is_folder = typed in ("~", "//", "/home/anna/../..")
    codes = [
        run(*words).exit_code
        for words in (
            ("watch", "add", "--", typed),
            ("watch", "remove", "--", typed),
            ("history", "--folder", typed),
        )
    ]
    assert codes == ([2, 2, 2] if is_refused else [0, 0, 0] if is_folder else [2, 2, 0])
    assert load(user.config).watch.folders == ()


@pytest.mark.usefixtures("user")
@named(ALL)
def test_the_settings_command_accepts_any_text(typed):
    folder = f"[{{path = {json.dumps(typed)}}}]"
    done = run("config", "set", "watch.folders", folder)
    assert (done.exit_code == 0) == is_accepted(typed)
    assert run("config", "set", "history.database", typed).exit_code in (0, 2)
    for name in ("watch.folders", "history.database"):
        assert run("config", "set", name, "").exit_code == 0


@named(ALL)
def test_the_api_accepts_any_text(daemon, typed):
    reply = daemon.post("/watches", {"path": typed})
    if is_accepted(typed):
        assert reply.status == 201
        removed = daemon.ask("DELETE", f"/watches?path={quote(reply.json['path'])}")
        assert removed.status == 204
    else:
        assert (reply.status, reply.code) in ((422, "bad_setting"), (422, "invalid"))
    assert daemon.service.config.watch.folders == ()


@named(ALL)
def test_the_page_accepts_any_text(daemon, typed):
    reply = change(daemon, "folder", path=typed, include="", exclude="", recursive=True)
    if is_accepted(typed):
        assert reply.status == 200, reply.body
        (watched,) = daemon.service.config.watch.folders
        daemon.service.settings.unwatch(watched.path)
    else:
        assert reply.status == 422, reply.body
        assert reply.json["error"].endswith(".")
    assert daemon.service.config.watch.folders == ()


def change(daemon, what, **body):
    session = daemon.access.login(daemon.access.mint_login())
    return daemon.post(f"//changes/{what}", {"polling": False} | body, **daemon.page(session))


@named(ALL)
def test_the_settings_file_may_hold_any_text(typed):
    text = f"[[watch.folders]]\npath = {json.dumps(typed, ensure_ascii=True)}\n"
    if typed in ODD.values():
        (folder,) = parse(text, Path("/x/config.toml")).watch.folders
        assert folder.path.is_absolute()
    else:
        with pytest.raises(ConfigError, match=r"config\.toml"):
            parse(text, Path("/x/config.toml"))


@named(REFUSED | RELATIVE)
def test_an_invalid_folder_in_the_file_is_reported_when_another_is_added(tmp_path, typed):
    file = tmp_path / "config.toml"
    file.write_text(f"[[watch.folders]]\npath = {json.dumps(typed)}\n")
    for change_ in (
        lambda: add_folder(file, Folder(Path("/home/anna/b"))),
        lambda: remove_folder(file, Path("/home/anna/b")),
    ):
        with pytest.raises(ConfigError):
            change_()
