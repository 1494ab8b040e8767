"""The whole way, as a person has it: a picture arrives in a folder, `mini` judges it, and the
desktop tells of it. Daemon, tray, screen, bus and panel are processes; nothing is installed beside
this environment.
"""

import importlib.util
import subprocess
import sys

import pytest
from kit.daemon import mini_home_in
from kit.dbus_desktop import NotificationServer, Panel
from kit.display import Display, process
from kit.running import running
from kit.waiting import eventually

from antifake.core.samples import samples
from antifake.daemon.config import Folder, add_folder, put

TRAY = [sys.executable, "-m", "antifake.daemon", "tray"]


@pytest.fixture
def home(mini_home, tmp_path):
    """A fresh user's folder with the embedded model, which watches Downloads."""
    root = mini_home_in(tmp_path / "home", mini_home).root
    (tmp_path / "Downloads").mkdir()
    add_folder(root / "config.toml", Folder(path=tmp_path / "Downloads"))
    put(root / "config.toml", "notifications.level", "all")
    return root


@pytest.mark.timeout(600)
def test_a_picture_that_arrives_is_shown_and_corrected_on_the_desktop(home, tmp_path):
    assert importlib.util.find_spec("gi") is None, "this must be an ordinary virtual environment"
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{opened}"\n')
    browser.chmod(0o700)
    with (
        Display() as display,
        display.bus() as address,
        NotificationServer(address) as service,
        running(home) as daemon,
    ):
        asked = daemon.ready(60)
        env = {**display.env, "ANTIFAKE_HOME": str(home), "BROWSER": str(browser)}
        with display.panel(), tray(env):
            eventually(display.icon_box, 90)
            display.click_icon(1)
            assert eventually(lambda: opened.exists() and opened.read_text(), 60)
        with Panel(address) as panel, tray(env):
            eventually(lambda: panel.labels()[:1] == ["Ready"], 90)
            (tmp_path / "Downloads" / "china.jpg").write_bytes(samples()["china.jpg"])
            note = eventually(lambda: service.shown[:1], 120)[0]
            (check,) = asked.get("/checks", limit="5")["checks"]
            assert note.title == check["summary"]
            assert note.title.endswith(f"({check['percent']} %)")
            assert note.text == "china.jpg"
            assert note.picture.size == (192, 128), "its own shape"
            eventually(lambda: f"{check['summary']}: china.jpg" in latest(panel), 60)
            service.press(note, "fake")
            said = service.titled("You said: AI-made")
            assert asked.show(check["id"])["said"]["label"] == "fake"
            service.press(said, "undo")
            eventually(lambda: asked.show(check["id"])["said"] is None, 60)
            assert asked.show(check["id"])["label"] == check["label"]
            undone = "Undone: china.jpg"
            again = eventually(lambda: [one for one in service.shown if one.text == undone], 60)[0]
            assert (again.title, again.buttons) == (note.title, note.buttons)
            opened.unlink()
            service.press(again, "show")
            assert eventually(lambda: opened.exists() and opened.read_text(), 60)


def tray(env):
    return process(TRAY, env=env, stdout=subprocess.DEVNULL)


def latest(panel):
    (found,) = [one for one in panel.menu() if one.label == "Latest pictures"]
    return [one.label for one in found.children]
