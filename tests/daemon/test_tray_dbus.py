"""The icon in a panel over D-Bus, from this environment, which has no GTK: clicks and the menu.

The bus and the tray are processes; the panel is a small real one of the tests. The daemon is a
stand-in that answers the few requests that the tray sends.
"""

import json
import signal
import socket

import numpy as np
import pytest
from kit.dbus_desktop import Panel
from kit.display import Display, private_bus
from kit.pace import within
from kit.standin import StandIn
from kit.tray import Tray, places_in, session_with
from kit.waiting import eventually

from antifake.daemon.tray.backend import NoHostError, surroundings
from antifake.daemon.tray.drawing import icon_image
from antifake.daemon.tray.session_bus import session_bus

NO_PANEL = (
    "No panel here shows the icon yet (on GNOME it needs the AppIndicator extension). It appears "
    "as soon as there is one; everything else in antifake works without it.\n"
)
ENDED = "The panel has closed, and the icon with it; it comes back with the next panel.\n"


@pytest.fixture(scope="module")
def display():
    with Display() as one:
        yield one


@pytest.fixture
def address(tmp_path):
    with private_bus(tmp_path) as one:
        yield one


@pytest.fixture
def env(address):
    return session_with(address)


@pytest.fixture
def where(tmp_path):
    return places_in(tmp_path / "home")


@pytest.fixture
def daemon(where):
    with StandIn(where) as one:
        one.checks = [
            {
                "id": "c1",
                "summary": "Likely AI-made (84 %)",
                "name": "b_1.png",
                "label": "fake",
            }
        ]
        yield one


@pytest.fixture
def panel(address):
    with Panel(address) as one:
        yield one


@pytest.fixture
def tray(env, where, panel, daemon):
    """The icon in the panel, once it shows what the daemon says."""
    with Tray(env, where.home.root).running() as one:
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        eventually(lambda: panel.labels()[:1] == ["Ready"])
        yield one


def test_the_state_comes_first_in_the_menu(panel, daemon, tray):
    first = panel.menu()[0]
    assert (first.label, first.is_enabled) == ("Ready", False)
    assert panel.labels() == [
        "Ready",
        "Open history",
        "Latest pictures",
        "Check the picture on the clipboard",
        "Pause for an hour",
        "No notifications for an hour",
        "Folders…",
        "Review…",
        "Stop antifake",
        "Quit this icon",
    ]
    daemon.set_state(mode="working", waiting={"person": 1, "folder": 2})
    eventually(lambda: panel.labels()[0] == "Checking, 3 more waiting")
    eventually(lambda: panel.about("Title") == "antifake: Checking, 3 more waiting")
    assert panel.about("ToolTip")[2] == "antifake: Checking, 3 more waiting"
    eventually(lambda: "ItemsPropertiesUpdated" in panel.heard)
    assert tray.process.poll() is None


@pytest.mark.usefixtures("tray")
def test_the_panel_gets_the_icon_of_each_state_in_several_sizes(panel, daemon):
    for mode in ("ready", "working", "paused", "attention"):
        daemon.set_state(mode=mode)

        def shown(mode=mode):
            found = panel.pixmaps()
            for side, image in found.items():
                drawn = icon_image(mode, side)
                assert np.array_equal(np.asarray(image), np.asarray(drawn)), (mode, side)
            return found

        assert set(eventually(shown)) >= {16, 22, 24, 32, 48, 64}
    eventually(lambda: "NewIcon" in panel.heard)


@pytest.mark.parametrize("member", ["Activate", "SecondaryActivate"])
def test_a_click_opens_the_history(member, panel, daemon, tray):
    panel.click(member)
    assert eventually(tray.addresses) == [daemon.link]
    assert daemon.asked_for("POST", "/logins") == [b"{}"]


@pytest.mark.usefixtures("tray")
def test_the_menu_pauses_for_an_hour_and_resumes(panel, daemon):
    panel.choose("Pause for an hour")
    eventually(lambda: "Watch folders again" in panel.labels())
    eventually(lambda: "LayoutUpdated" in panel.heard)
    panel.choose("Watch folders again")
    eventually(lambda: "Pause for an hour" in panel.labels())
    bodies = daemon.asked_for("POST", "/watches:pause")
    assert [json.loads(body) for body in bodies] == [{"minutes": 60}, {"minutes": None}]


@pytest.mark.usefixtures("tray")
def test_a_snooze_is_checked_in_the_menu(panel):
    def is_checked():
        return [one.is_checked for one in panel.menu() if one.label.startswith("No notif")]

    assert is_checked() == [False]
    panel.choose("No notifications for an hour")
    assert eventually(lambda: is_checked() == [True])
    panel.choose("No notifications for an hour")
    assert eventually(lambda: is_checked() == [False])


def test_the_latest_pictures_are_in_a_menu_of_their_own(panel, daemon, tray):
    """The underscore of a name is shown; D-Bus menus would underline the letter behind it."""
    latest = next(one for one in panel.menu() if one.label == "Latest pictures")
    (picture,) = latest.children
    assert picture.label == "Likely AI-made (84 %): b_1.png"
    labels = [one.label for one in picture.children if one.label]
    assert labels == ["Open it", "Yes, that's right", "It's real", "Cannot tell"]
    panel.choose("Latest pictures", picture.label, "Open it")
    eventually(tray.addresses)
    (body,) = daemon.asked_for("POST", "/logins")
    assert json.loads(body) == {"next": "/picture/c1"}


@pytest.mark.usefixtures("tray")
def test_a_click_in_a_menu_that_has_just_changed_does_what_was_read(panel, daemon):
    entries = {one.label: one.number for one in panel.menu()}
    panel.choose("Pause for an hour")
    eventually(lambda: "Watch folders again" in panel.labels())
    after = {one.label: one.number for one in panel.menu()}
    unchanged = (entries.keys() & after.keys()) - {"", "Ready"}
    assert len(unchanged) == 8
    assert all(entries[label] == after[label] for label in unchanged)
    with pytest.raises(AssertionError, match="There is no entry"):
        panel.send(entries["Pause for an hour"])
    assert len(daemon.asked_for("POST", "/watches:pause")) == 1


@pytest.mark.usefixtures("tray")
def test_pointing_at_an_entry_or_clicking_a_grey_one_does_nothing(panel, daemon):
    stop = next(one for one in panel.menu() if one.label == "Stop antifake")
    panel.send(stop.number, "hovered")
    panel.send(panel.menu()[0].number)
    panel.choose("Pause for an hour")
    eventually(lambda: daemon.asked_for("POST", "/watches:pause"))
    assert daemon.asked_for("POST", "/daemon:stop") == []


def test_quitting_from_the_menu_leaves_the_daemon_alone(panel, daemon, tray):
    panel.choose("Quit this icon")
    assert tray.process.wait(within(20)) == 0
    assert daemon.asked_for("POST", "/daemon:stop") == []


def test_a_missing_panel_is_told_once_and_the_icon_comes_with_it(
    display, address, env, where, daemon
):
    env["DISPLAY"] = display.name
    with Tray(env, where.home.root).running() as tray:
        assert tray.process.stdout.readline().decode() == NO_PANEL
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        with Panel(address) as panel:
            eventually(lambda: "Ready" in panel.labels())
            tray.process.send_signal(signal.SIGTERM)
            assert tray.process.wait(within(20)) == 0
    assert tray.said == ""


@pytest.mark.usefixtures("daemon")
def test_a_panel_that_restarts_gets_the_icon_again(display, address, env, where):
    env["DISPLAY"] = display.name
    with Panel(address) as panel, Tray(env, where.home.root).running() as tray:
        eventually(lambda: "Ready" in panel.labels())
        panel.drop_name()
        for _ in range(2):
            with Panel(address) as later:
                eventually(lambda later=later: "Ready" in later.labels())
    assert tray.said == ENDED


@pytest.mark.usefixtures("tray")
def test_a_panel_that_takes_over_from_another_gets_the_icon(address, panel):
    with Panel(address) as later:  # takes the name from the first
        eventually(lambda: "Ready" in later.labels())
    assert panel.items


def test_a_watcher_without_a_panel_is_no_panel(address, display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display.name)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with Panel(address, has_host=False), session_bus() as bus, pytest.raises(NoHostError):
        surroundings(bus).backends()
    with Panel(address), session_bus() as bus:
        assert surroundings(bus).backends() == ["dbus"]


@pytest.mark.parametrize("address_of", [None, "nonsense", "unix:path=/nowhere", "unix:path={}"])
def test_without_a_usable_bus_there_is_none(address_of, monkeypatch, tmp_path):
    """The last one is a program that takes the connection and says nothing."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        if address_of:
            monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address_of.format(tmp_path / "silent"))
        with session_bus() as bus:
            assert bus is None


def test_the_bus_of_the_session_is_found_without_its_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with private_bus(tmp_path), session_bus() as bus:
        assert bus is not None
        assert not bus.has_owner("org.example.Nobody")
