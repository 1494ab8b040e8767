"""Homes whose paths have spaces, quotes, percent signs, other scripts, line ends or 200 letters."""

import sys
import unicodedata

import pytest
from kit.command_line import antifake
from kit.daemon import running_daemon, tiny_home_in
from kit.pictures import png
from kit.waiting import eventually

from antifake.daemon.config import Folder, add_folder

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids most of these names"),
]

SCRIPTS = "\u05e9\u05dc\u05d5\u05dd 中文 😀 " + unicodedata.normalize("NFD", "Übergröße")
ODD = {
    "signs": f'it\'s 100 %s "of" %(n)s {{all}} $HOME #1?x=y&b;c~ {SCRIPTS} .',
    "letters": "n" * 200,
    "line ends": "a\nb\x1b[2J\u202e",
}


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_daemon_works_in_a_home_with_an_odd_name(tmp_path, tiny_source, name):
    root = tmp_path / name
    watched = root / "pictures"
    watched.mkdir(parents=True)
    with running_daemon(root, tiny_source) as daemon:
        assert daemon.check(png(1)).status == 201
        config = daemon.places.config
        add_folder(config, Folder(watched))
        assert daemon.post("/settings:reload").status == 200
        (watched / f"{name[:100]}.png").write_bytes(png(2))
        eventually(lambda: len(daemon.get("/checks").json["checks"]) == 2, 30)
        assert daemon.service.state().notices == []
        assert daemon.service.store.back_up(daemon.service.clock(), even_if_not_due=True)


@pytest.mark.parametrize("name", [ODD["signs"], ODD["line ends"]], ids=["signs", "line ends"])
def test_the_commands_work_in_a_home_with_an_odd_name(tmp_path, tiny_source, name, monkeypatch):
    root = tmp_path / name
    tiny_home_in(root, tiny_source)
    monkeypatch.setenv("ANTIFAKE_HOME", str(root))
    picture = root / "a picture.png"
    picture.write_bytes(png(1))
    assert str(root) not in antifake("history").output
    for words in (["config", "path"], ["model", "list"], ["check", picture], ["scan", root]):
        done = antifake(*words)
        assert "\x1b" not in done.output
        assert "\u202e" not in done.output
    started = antifake("daemon", "start")
    try:
        assert "antifake runs on" in started.output
        assert antifake("check", picture).output
    finally:
        antifake("daemon", "stop")
