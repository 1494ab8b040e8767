"""Notifications over D-Bus, with picture and buttons. The service is a small real one of the tests.

In the last tests the tray is a process, and the daemon a stand-in that answers the few requests
that the tray sends; test_tray_mini has a real one.
"""

import io
import json
import struct
from contextlib import contextmanager
from functools import partial

import pytest
from kit.dbus_desktop import NOTIFICATIONS, NotificationServer, Panel, Peer, ScreenSaver
from kit.display import Display, private_bus
from kit.standin import StandIn
from kit.tray import Tray, places_in, session_with
from kit.waiting import eventually
from PIL import Image

from antifake.daemon.tray.notifications import NotificationBundle, picture_event
from antifake.daemon.tray.notifier import Notifier
from antifake.daemon.tray.session_bus import session_bus

BUTTONS = {"default": "", "real": "It's real", "fake": "It's AI-made", "show": "Show"}
MADE = {
    "id": "c1",
    "label": "fake",
    "word": "likely AI-made",
    "summary": "Likely AI-made (84 %)",
    "name": "a.png",
}


def webp(colour, size=(300, 200)):
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "WEBP", lossless=True)
    return data.getvalue()


def note_of(**about):
    return picture_event({"source": "watch", **MADE, **about}).note


def note_of_many(n):
    """They come soon after another one."""
    bundle = NotificationBundle()
    bundle.add(picture_event({"source": "watch", **MADE}))
    bundle.take(0)
    for _ in range(n):
        bundle.add(picture_event({"source": "watch", **MADE}))
    return bundle.take(20)


@pytest.fixture
def address(tmp_path):
    with private_bus(tmp_path) as one:
        yield one


@pytest.fixture
def service(address):
    with NotificationServer(address) as one:
        yield one


class Heard:
    """What the notifier has told, and the thumbnails that it may have."""

    def __init__(self):
        self.pressed, self.inhibited = [], []
        self.thumbnails = {"c1": webp("teal")}
        self.verdicts = {}
        self.thumbnail = self.thumbnails.get

    def verdict(self, name):
        return self.verdicts.get(name, "Likely AI-made (84 %)")

    def press(self, note, press):
        self.pressed.append((note.title, press))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def notifier(address, monkeypatch, heard):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with session_bus() as bus:
        one = Notifier(bus, heard.press, heard, heard.inhibited.append)
        with one.listening():
            yield one


def shown(notifier, service, **about):
    notifier.show(note_of(**about))
    return service.shown[-1]


def test_a_notification_has_picture_percentage_and_buttons(notifier, service):
    note = shown(notifier, service)
    assert (note.title, note.text) == ("Likely AI-made (84 %)", "a.png")
    assert note.buttons == BUTTONS
    assert (note.picture.size, note.picture.getpixel((9, 9))) == ((192, 128), (0, 128, 128))
    assert note.hints["urgency"] == 1


@pytest.mark.parametrize("data", [None, b"RIFF, but no picture"])
def test_without_a_thumbnail_a_notification_has_words_and_buttons(notifier, service, heard, data):
    heard.thumbnails["c1"] = data
    note = shown(notifier, service)
    assert (note.picture, note.buttons) == (None, BUTTONS)


def promising(side):
    """Returns a WebP of a few bytes whose header promises a square of that side."""
    small = webp("teal")
    assert small[12:16] == b"VP8L"
    return small[:21] + struct.pack("<I", (side - 1) | (side - 1) << 14) + small[25:]


@pytest.mark.attack
@pytest.mark.parametrize("data", [promising(16_000), webp("teal", (2000, 4))], ids=["bomb", "wide"])
def test_a_thumbnail_that_is_too_large_is_not_decoded(notifier, service, heard, data):
    heard.thumbnails["c1"] = data
    note = shown(notifier, service)
    assert (note.picture, note.buttons) == (None, BUTTONS)


@pytest.mark.attack
@pytest.mark.parametrize("is_locked", [True, False])
def test_a_locked_screen_shows_no_picture(address, notifier, service, is_locked):
    with ScreenSaver(address, is_locked):
        assert (shown(notifier, service).picture is None) == is_locked


def test_a_picture_that_could_not_be_checked_can_only_be_shown(notifier, service):
    note = shown(notifier, service, label=None, word="not checked", error="It is <cut> off.")
    assert (note.title, note.text) == ("Could not be checked", "a.png: It is &lt;cut&gt; off.")
    assert note.buttons == {"default": "", "show": "Show"}


def test_what_the_service_cannot_do_is_left_out(address, notifier):
    with NotificationServer(address, ()) as service:
        note = shown(notifier, service)
        assert (note.title, note.text, note.buttons) == ("Likely AI-made (84 %): a.png", "", {})


def test_text_is_escaped_only_for_a_service_that_reads_markup(address, notifier):
    with NotificationServer(address, ("body",)) as service:
        note = shown(notifier, service, label=None, error="It is <cut> off.")
        assert note.text == "a.png: It is <cut> off."


def test_buttons_and_clicks_are_told_once_with_the_picture(notifier, service, heard):
    for action in ("real", "fake", "show", "default"):
        before = len(heard.pressed)
        service.press(shown(notifier, service), action)
        eventually(lambda before=before: len(heard.pressed) > before)
    title = "Likely AI-made (84 %)"
    assert heard.pressed == [(title, press) for press in ("real", "fake", "show", "show")]


@pytest.mark.attack
def test_only_the_service_itself_can_say_that_a_button_was_pressed(
    address, notifier, service, heard
):
    note = shown(notifier, service)
    with Peer(address) as stranger:
        path = "/org/freedesktop/Notifications"
        stranger.signal(path, NOTIFICATIONS, "ActionInvoked", "us", note.number, "real")
        stranger.ping()
    service.press(note, "show")
    assert eventually(lambda: heard.pressed) == [(note.title, "show")]


def test_a_bundle_takes_the_place_of_the_last_one_and_counts_on(notifier, service):
    """Once it was closed, the next one begins again."""
    notifier.show(note_of_many(2))
    single = shown(notifier, service)
    assert single.replaces == 0
    notifier.show(note_of_many(3))
    first, more = service.shown[0], service.shown[-1]
    assert (first.title, first.text, first.picture) == ("2 more pictures", "2 look AI-made.", None)
    assert first.buttons == {"default": "", "show": "Show"}
    assert (more.title, more.text) == ("5 more pictures", "5 look AI-made.")
    assert more.replaces == first.number
    service.close(more)

    def begins_again():
        notifier.show(note_of_many(4))
        return service.shown[-1].title == "4 more pictures"

    assert eventually(begins_again)
    assert service.shown[-1].replaces == 0


def test_a_later_notification_of_the_same_picture_takes_the_place_of_the_first(notifier, service):
    first = shown(notifier, service)
    other = shown(notifier, service, id="c2")
    again = shown(notifier, service, summary="You said: real")
    assert (other.replaces, again.replaces) == (0, first.number)


def test_a_correction_elsewhere_withdraws_the_question(notifier, service, heard):
    """But not a question that is asked again, because the correction was undone."""
    asks, other = shown(notifier, service), shown(notifier, service, id="c2")
    notifier.withdraw("c1")
    assert service.withdrawn == []
    heard.verdicts["c1"] = "You said: real"
    notifier.withdraw("c1")
    assert service.withdrawn == [asks.number]
    assert shown(notifier, service).replaces == 0
    assert shown(notifier, service, id="c2").replaces == other.number


def test_a_service_that_restarts_has_nothing_to_replace(address, notifier):
    for _ in range(2):
        with NotificationServer(address) as service:
            assert shown(notifier, service).replaces == 0


def test_without_a_service_it_is_written_down_once(notifier, caplog):
    notifier.show(note_of())
    notifier.show(note_of())
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_do_not_disturb_is_read_at_the_start_and_followed(address, service, monkeypatch, heard):
    service.inhibit(True)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with session_bus() as bus:
        one = Notifier(bus, heard.press, heard, heard.inhibited.append)
        with one.listening():
            assert heard.inhibited == [True]
            service.inhibit(False)
            eventually(lambda: heard.inhibited == [True, False])


# --- The whole tray -----------------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path):
    with StandIn(places_in(tmp_path / "home")) as one:
        one.checks = [MADE]
        one.thumbnails = {"c1": webp("teal")}
        yield one


@contextmanager
def beside_a_host(address, home):
    """A panel of today, which asks over D-Bus (StatusNotifierItem)."""
    with Panel(address) as panel, Tray(session_with(address), home).running() as tray:
        eventually(lambda: panel.labels()[:1] == ["Ready"])
        yield tray


@contextmanager
def in_a_panel_of_x(address, home, backend):
    """A panel of X11, which embeds the window of the icon (XEmbed)."""
    with Display() as display, display.panel():
        session = {"DBUS_SESSION_BUS_ADDRESS": address, "PYSTRAY_BACKEND": backend}
        with Tray(display.env | session, home).running() as tray:
            eventually(display.icon_box, 60)
            yield tray


PANELS = {
    "StatusNotifier": beside_a_host,
    "XEmbed, GTK": partial(in_a_panel_of_x, backend="gtk"),
    "XEmbed, Xlib": partial(in_a_panel_of_x, backend="xorg"),
}


@pytest.fixture(params=PANELS)
def tray(request, address, daemon):
    """The tray with its icon in a panel, following the daemon."""
    with PANELS[request.param](address, daemon.places.home.root) as one:
        eventually(lambda: daemon.asked_for("GET", "/checks"))
        yield one


def found(daemon, **about):
    """A picture was checked in a watched folder."""
    daemon.tell("check", source="watch", **{**MADE, **about})


@pytest.mark.usefixtures("tray")
def test_a_button_says_what_that_very_picture_is_and_can_be_undone(service, daemon):
    found(daemon)
    note = service.titled("Likely AI-made (84 %)")
    assert note.picture is not None
    daemon.checks = [{**MADE, "word": "You said: real", "summary": "You said: real"}]
    service.press(note, "real")
    said = service.titled("You said: real")
    assert said.buttons == {"default": "", "undo": "Undo", "show": "Show"}
    (body,) = daemon.asked_for("POST", "/labels:batch")
    assert json.loads(body) == {"ids": ["c1"], "label": "real", "note": "", "source": "tray"}
    daemon.checks = [MADE]
    service.press(said, "undo")
    again = eventually(lambda: [one for one in service.shown if one.text == "Undone: a.png"])[0]
    assert (again.title, again.buttons) == ("Likely AI-made (84 %)", BUTTONS)
    (body,) = daemon.asked_for("POST", "/labels:undo")
    assert json.loads(body) == {"ids": ["c1"], "source": "tray"}
    service.press(again, "show")
    (body,) = eventually(lambda: daemon.asked_for("POST", "/logins"))
    assert json.loads(body) == {"next": "/picture/c1"}


def test_it_is_ai_made_is_said_and_a_click_shows_the_picture(service, daemon, tray):
    found(daemon)
    note = service.titled("Likely AI-made (84 %)")
    word = "You said: AI-made"
    daemon.checks = [{**MADE, "word": word, "summary": word}]
    service.press(note, "fake")
    said = service.titled(word)
    (body,) = daemon.asked_for("POST", "/labels:batch")
    assert json.loads(body) == {"ids": ["c1"], "label": "fake", "note": "", "source": "tray"}
    service.press(said, "default")
    assert eventually(tray.addresses) == [daemon.link]
    (body,) = daemon.asked_for("POST", "/logins")
    assert json.loads(body) == {"next": "/picture/c1"}


@pytest.mark.usefixtures("tray")
def test_a_picture_that_is_corrected_on_a_page_is_no_longer_asked_about(service, daemon):
    found(daemon)
    note = service.titled("Likely AI-made (84 %)")
    daemon.checks = [{**MADE, "summary": "You said: real", "label": "real"}]
    daemon.tell("correction", **daemon.checks[0])
    eventually(lambda: service.withdrawn == [note.number])


def test_while_the_desktop_wants_no_disturbance_pictures_are_held_back(address, daemon):
    """The answer to a click is shown all the same."""
    with NotificationServer(address) as service:
        service.inhibit(True)
        with (
            Panel(address) as panel,
            Tray(session_with(address), daemon.places.home.root).running(),
        ):
            eventually(lambda: panel.labels()[:1] == ["Ready"])
            found(daemon)
            found(daemon)
            daemon.set_state(mode="working")
            eventually(lambda: panel.labels()[0] == "Checking a picture")
            daemon.checks = [{**MADE, "word": "You said: real", "id": "c2"}]
            latest = next(one for one in panel.menu() if one.label == "Latest pictures")
            panel.choose("Latest pictures", latest.children[0].label, "It's real")
            service.titled("You said: real")
            assert [one.title for one in service.shown] == ["You said: real"]
            service.inhibit(False)
            assert service.titled("2 pictures").text == "2 look AI-made."
