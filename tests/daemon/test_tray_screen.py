"""The icon on a real screen: a real panel, real clicks, the tray as a process of its own.

The daemon is a stand-in that answers the few requests that the tray sends. Screenshots are kept in
build/screens.
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import contextmanager, nullcontext
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from kit.display import PANEL, Display, need, process
from kit.pace import within
from kit.standin import StandIn
from kit.tray import Tray
from kit.waiting import eventually
from PIL import Image

from antifake.core.catalog import Home
from antifake.core.errors import AntifakeError
from antifake.daemon.places import Places
from antifake.daemon.tray.backend import Surroundings
from antifake.daemon.tray.clipboard import copied_picture
from antifake.daemon.tray.gtk import load_gi

SCREENS = Path(__file__).parents[2] / "build" / "screens"
LIGHT, DARK = "0xf0f0f0", "0x202226"
OPEN, LATEST, CHECK, PAUSE, SNOOZE, FOLDERS, REVIEW, STOP, QUIT = range(1, 10)
"""How often to press Down in the menu to reach each entry."""


@pytest.fixture(scope="module")
def display():
    with Display() as one:
        yield one


@pytest.fixture
def where(tmp_path):
    return Places(
        Home(tmp_path), tmp_path / "config.toml", tmp_path, tmp_path / "run", tmp_path / "logs"
    )


@pytest.fixture
def daemon(where):
    with StandIn(where) as one:
        one.checks = [
            {"id": "c1", "summary": "AI-made (97 %)", "path": "/a/b.png", "name": "b.png"}
        ]
        yield one


@contextmanager
def gtk_tray(display, where, colour=DARK):
    with (
        display.bus(),
        display.panel(colour),
        Tray(display.env, where.home.root).running() as tray,
    ):
        eventually(display.icon_box, 15)
        yield tray


def icon(display):
    box = display.icon_box()
    return display.screenshot().crop(box) if box else None


def shape(picture):
    return np.asarray(picture.convert("L"), dtype=int)


def looks(display, image):
    """Returns the icon once it differs from `image` and is fully painted: twice the same."""
    former = []

    def look():
        seen = icon(display)
        if not seen or (image and not differ(seen, image)):
            return None
        former.append(seen)
        return seen if len(former) > 1 and former[-2] == seen else None

    return eventually(look)


def differ(one, other):
    if one.size != other.size:
        return True
    return (abs(shape(one) - shape(other)) > 60).mean() > 0.05


def choose(display, downs):
    """Opens the menu with a right click and chooses with the keyboard."""
    open_menu(display)
    display.keys(*["Down"] * downs, "Return")


def open_menu(display, button=3):
    before = shape(display.screenshot())
    display.click_icon(button)

    def is_open():
        return (abs(shape(display.screenshot()) - before)[PANEL:] > 100).mean() > 0.02

    eventually(is_open)


def in_row(pictures, path):
    row = Image.new("RGB", (sum(one.width for one in pictures), PANEL))
    left = 0
    for one in pictures:
        row.paste(one, (left, 0))
        left += one.width
    path.parent.mkdir(parents=True, exist_ok=True)
    row.resize((row.width * 3, row.height * 3), Image.Resampling.NEAREST).save(path)


@pytest.mark.parametrize("colour", [LIGHT, DARK])
def test_each_state_has_a_shape_of_its_own_in_the_panel(display, where, colour):
    with gtk_tray(display, where, colour):
        seen, last = {}, looks(display, None)
        standin = StandIn(where)
        standin.state = {**standin.state, "mode": "paused"}
        with standin as daemon:
            for mode in ("paused", "working", "attention", "ready"):
                daemon.set_state(mode=mode)
                seen[mode] = last = looks(display, last)
        seen["offline"] = looks(display, last)
        name = "light" if colour == LIGHT else "dark"
        in_row(list(seen.values()), SCREENS / f"tray-states-{name}.png")
    for one, other in combinations(seen.values(), 2):
        assert differ(one, other)


def test_a_left_click_opens_the_history(display, where, daemon):
    with gtk_tray(display, where) as tray:
        display.click_icon(1)
        assert eventually(tray.addresses) == [daemon.link]
    assert daemon.asked_for("POST", "/logins") == [b"{}"]
    assert tray.said == ""


def test_without_gtk_a_left_click_opens_the_history_too(display, where, daemon):
    with display.panel(), Tray(display.env, where.home.root).running() as tray:
        first = looks(display, None)
        display.click_icon(1)
        assert eventually(tray.addresses) == [daemon.link]
        daemon.set_state(mode="attention")
        assert looks(display, first)
        display.screenshot(SCREENS / "tray-xorg.png")
    assert tray.said == (
        "A click on the icon opens the history. It has no menu, because there is no session bus "
        "here, which a menu needs.\n"
    )


def test_an_icon_comes_back_with_its_panel(display, where, daemon):
    with Tray(display.env, where.home.root).running() as tray:
        with display.panel():
            eventually(display.icon_box, 15)
        with display.panel():
            eventually(display.icon_box, 15)
            display.click_icon(1)
            assert eventually(tray.addresses) == [daemon.link]


@pytest.mark.usefixtures("daemon")
def test_without_its_panel_it_still_ends_when_the_session_does(display, where):
    with Tray(display.env, where.home.root).running() as tray:
        with display.panel():
            eventually(display.icon_box, 15)
        tray.process.send_signal(signal.SIGTERM)
        assert tray.process.wait(within(20)) == 0
    assert "Traceback" not in tray.said


def test_if_a_left_click_opens_the_menu_it_has_the_same_entries(display, where, daemon):
    """The backend for GNOME and KDE does this."""
    with display.bus(), display.panel():
        # Made after the bus: it copies the environment, which names the bus.
        tray = Tray(display.env, where.home.root)
        tray.env["PYSTRAY_BACKEND"] = "appindicator"
        with tray.running():
            first = looks(display, None)
            daemon.set_state(mode="working")
            looks(display, first)
            open_menu(display, button=1)
            display.keys(*["Down"] * PAUSE, "Return")
            eventually(lambda: daemon.asked_for("POST", "/watches:pause"))


def test_the_menu_pauses_for_an_hour_and_resumes(display, where, daemon):
    daemon.checks = [
        {"id": "c1", "summary": "AI-made (97 %)", "name": "Sunset over the lake.png"},
        {"id": "c2", "summary": "Likely real (81 %)", "name": "IMG_2031.jpg"},
        {"id": "c3", "summary": "Cannot tell", "name": None, "page": "example.org"},
    ]
    with gtk_tray(display, where):
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        open_menu(display)
        display.keys("Down", "Down", "Right")
        eventually(lambda: display.screenshot(SCREENS / "tray-menu.png"))
        display.keys("Escape", "Escape", "Escape")
        ready = looks(display, None)
        choose(display, PAUSE)
        eventually(lambda: daemon.asked_for("POST", "/watches:pause"))
        paused = looks(display, ready)
        choose(display, PAUSE)
        looks(display, paused)
    bodies = daemon.asked_for("POST", "/watches:pause")
    assert [json.loads(body) for body in bodies] == [{"minutes": 60}, {"minutes": None}]


def test_a_picture_and_the_folders_are_opened_from_the_menu(display, where, daemon):
    with gtk_tray(display, where) as tray:
        first = looks(display, None)
        daemon.set_state(mode="working")
        looks(display, first)
        open_menu(display)
        display.keys("Down", "Down", "Right", "Right", "Return")
        eventually(tray.addresses)
        choose(display, FOLDERS)
        eventually(lambda: len(tray.addresses()) == 2)
        choose(display, REVIEW)
        eventually(lambda: len(tray.addresses()) == 3)
    bodies = [json.loads(body)["next"] for body in daemon.asked_for("POST", "/logins")]
    assert bodies == ["/picture/c1", "/folders", "/review"]


def test_the_picture_on_the_clipboard_is_checked_and_the_answer_notified(
    display, where, daemon, tmp_path
):
    picture = tmp_path / "copied.png"
    Image.new("RGB", (80, 80), "teal").save(picture)
    done = {
        "id": "c9",
        "state": "done",
        "summary": "Likely AI-made (84 %)",
        "explanation": ["The model finds it 84 % likely."],
    }
    daemon.answer_to_check = (201, done)
    with (
        gtk_tray(display, where),
        display.notifier() as told,
        copied(display, picture, "image/png"),
    ):
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        first = looks(display, None)
        daemon.set_state(mode="attention", notices=["Something."])
        looks(display, first)
        choose(display, CHECK)
        eventually(lambda: "Likely AI-made (84 %)" in told())
        display.screenshot(SCREENS / "tray-notification.png")
    (body,) = daemon.asked_for("POST", "/checks")
    assert picture.read_bytes() in body
    assert b'name="source"\r\n\r\ntray\r\n' in body


def test_fifty_pictures_make_one_notification_at_once(display, where, daemon):
    with gtk_tray(display, where), display.notifier() as told:
        eventually(lambda: daemon.asked_for("GET", "/settings"))
        with daemon.at_once():
            for number in range(50):
                name = f"{number}.png"
                daemon.tell("check", label="fake", word="AI-made", source="watch", name=name)
        eventually(lambda: "50 look AI-made" in told())
        eventually(lambda: len(daemon.asked_for("GET", "/state")) >= 2)
        assert told().count("member=Notify") == 1


def test_quitting_from_the_menu_leaves_the_daemon_alone(display, where, daemon):
    with gtk_tray(display, where) as tray:
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        first = looks(display, None)
        daemon.set_state(mode="paused")
        looks(display, first)
        choose(display, QUIT)
        assert tray.process.wait(within(20)) == 0
    assert daemon.asked_for("POST", "/daemon:stop") == []


def test_stopping_from_the_menu_stops_the_daemon(display, where, daemon):
    with gtk_tray(display, where):
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        first = looks(display, None)
        daemon.set_state(mode="paused")
        looks(display, first)
        choose(display, STOP)
        eventually(lambda: daemon.asked_for("POST", "/daemon:stop"))


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("backend", ["gtk", "xorg"])
def test_the_end_of_the_session_ends_the_tray_quietly(display, where, backend):
    with display.bus(), display.panel():
        tray = Tray({**display.env, "PYSTRAY_BACKEND": backend}, where.home.root)
        with tray.running():
            eventually(display.icon_box, 15)
            tray.process.send_signal(signal.SIGTERM)
            assert tray.process.wait(within(20)) == 0
        assert "Traceback" not in tray.said


@pytest.mark.usefixtures("daemon")
def test_there_is_one_icon_at_a_time(display, where):
    with gtk_tray(display, where):
        code, said = Tray(display.env, where.home.root).ended()
    assert (code, said) == (5, "antifake's icon is already there.\n")


@pytest.mark.parametrize("has_bus", [True, False])
def test_without_a_screen_a_message_says_that_everything_else_works(display, where, has_bus):
    with display.bus() if has_bus else nullcontext():
        tray = Tray(display.env, where.home.root)
        del tray.env["DISPLAY"]
        code, said = tray.ended()
    assert code == 1
    assert said == (
        "There is no screen here to show the icon on; everything else in antifake works without "
        "it.\n"
    )


def test_without_a_panel_a_message_names_what_gnome_needs_and_the_icon_comes_later(
    display, where, daemon
):
    with Tray(display.env, where.home.root).running() as tray:
        assert tray.process.stdout.readline().decode() == (
            "No panel here shows the icon yet (on GNOME it needs the AppIndicator extension). It "
            "appears as soon as there is one; everything else in antifake works without it.\n"
        )
        with display.panel():
            display.click_icon(1)
            assert eventually(tray.addresses) == [daemon.link]


@pytest.mark.parametrize(
    ("around", "backends"),
    [
        (Surroundings(True, True, True, True), ["dbus", "gtk", "xorg"]),
        (Surroundings(True, False, True, True), ["dbus"]),
        (Surroundings(False, False, True, True), ["dbus"]),
        (Surroundings(True, True, True, False), ["gtk", "xorg"]),
        (Surroundings(True, True, False, False), ["xorg"]),
    ],
)
def test_the_backend_that_suits_the_desktop_comes_first(around, backends):
    assert around.backends() == backends


def test_an_unavailable_backend_is_an_error_with_a_message(display, where):
    tray = Tray(display.env, where.home.root)
    tray.env["PYSTRAY_BACKEND"] = "nonsense"
    with display.panel():
        code, said = tray.ended()
    assert code == 1
    assert said.startswith("The icon cannot be shown: ")
    assert said.count("\n") == 1


def test_a_gtk_that_this_python_cannot_use_is_explained(tmp_path):
    """Each reason is another sentence: what is there already must not be asked for."""
    assert "python3-gi" in load_gi((str(tmp_path),))
    (tmp_path / "gi").mkdir()
    (tmp_path / "gi" / "__init__.py").write_text("raise ImportError('no GTK here')")
    said = load_gi((str(tmp_path),))
    assert "another Python" in said
    assert "python3-gi" not in said
    (tmp_path / "gi" / f"_gi{sysconfig.get_config_var('EXT_SUFFIX')}").touch()
    assert "no GTK here" in load_gi((str(tmp_path),))
    assert "gi" not in sys.modules


@contextmanager
def copied(display, path, kind):
    command = [need("xclip"), "-quiet", "-selection", "clipboard", "-target", kind, "-in", path]
    with process(command, env=display.env, stderr=subprocess.DEVNULL):
        out = ["xclip", "-selection", "clipboard", "-out", "-target", "TARGETS"]

        def is_there():
            done = subprocess.run(out, env=display.env, capture_output=True, check=False)
            return kind in done.stdout.decode()

        eventually(is_there)
        yield


@pytest.fixture
def on_screen(display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display.name)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.usefixtures("on_screen")
def test_a_copied_file_is_read_byte_for_byte(display, tmp_path):
    picture = tmp_path / "on holiday ä.webp"
    picture.write_bytes(b"as it is")
    uris = tmp_path / "uris"
    uris.write_text(picture.as_uri() + "\r\nfile:///second\r\n")
    with copied(display, uris, "text/uri-list"):
        found = copied_picture()
    assert (found.data, found.path) == (b"as it is", picture)


@pytest.mark.usefixtures("on_screen")
def test_text_on_the_clipboard_is_no_picture(display, tmp_path):
    words = tmp_path / "words"
    words.write_text("hello")
    with (
        copied(display, words, "UTF8_STRING"),
        pytest.raises(AntifakeError, match="no picture on the clipboard"),
    ):
        copied_picture()


@pytest.mark.usefixtures("on_screen")
def test_a_missing_clipboard_program_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AntifakeError, match="xclip"):
        copied_picture()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(AntifakeError, match="wl-clipboard"):
        copied_picture()


def test_importing_the_tray_does_not_open_the_screen():
    code = (
        "import antifake.daemon.tray, sys; assert not {'pystray', 'Xlib', 'gi'} & set(sys.modules)"
    )
    env = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
