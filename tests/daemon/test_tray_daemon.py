"""The icon with a real daemon: the command, a real panel, a real click, the page."""

import http.client
import os
import subprocess
import sys
import time
from contextlib import closing
from urllib.parse import urlsplit

from kit.display import Display, process
from kit.pace import within
from kit.pages import way_on
from kit.pictures import png
from kit.running import post, running
from kit.waiting import eventually

from antifake.daemon.tray.actions import Actions
from antifake.daemon.tray.notifications import Note
from antifake.daemon.tray.view_model import ViewModel


def test_a_click_on_the_icon_opens_the_history_of_the_daemon(tiny_home, tmp_path):
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{opened}"\n')
    browser.chmod(0o700)
    with Display() as display, display.panel(), display.bus():
        env = display.env | {"ANTIFAKE_HOME": str(tiny_home.root), "BROWSER": str(browser)}
        with running(tiny_home.root) as daemon:
            check = post(daemon.ready(), png(1))
            command = [sys.executable, "-m", "antifake.daemon", "tray"]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            with process(command, env=os.environ | env, **pipes) as tray:
                eventually(display.icon_box, 20)
                display.click_icon(1)
                address = eventually(lambda: opened.exists() and opened.read_text().strip(), 20)
                tray.terminate()
                assert b"Traceback" not in tray.communicate(timeout=within(30))[0]
            page = through_the_link(address)
            assert check["id"] in page
            assert "History" in page


def test_what_the_user_says_in_the_menu_is_recorded(tiny_home):
    """What the daemon refuses is told."""
    view_model = ViewModel(time.monotonic)
    with running(tiny_home.root) as daemon:
        asked = daemon.ready()
        one = post(asked, png(1), name="holiday.png")
        menu = Actions(lambda: asked, view_model, None, lambda: None)
        menu.say(one["id"], "fake")
        (note,) = told(view_model)
        assert note == Note("You said: AI-made", "holiday.png", one["id"], ("undo", "show"))
        eventually(lambda: view_model.view.recent)
        assert view_model.view.recent[0].words == "You said: AI-made: holiday.png"
        assert asked.show(one["id"])["said"]["label"] == "fake"
        eventually(lambda: not menu._running)
        menu.say("0" * 13, "real")
        (note,) = told(view_model)
        assert "no check" in note.text


def told(view_model: ViewModel) -> list[Note]:
    return eventually(lambda: view_model.notes(0.2), 20)


def through_the_link(address: str) -> str:
    """Returns the page that a browser gets from the link, with the cookie of the link."""
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=within(10))) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}")
        looking = connection.getresponse().read().decode()  # for the daemon's own host name
        connection.request("GET", way_on(looking))
        first = connection.getresponse()
        first.read()
        assert first.status == 303
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        connection.request("GET", first.headers["Location"], headers={"Cookie": cookie})
        return connection.getresponse().read().decode()
