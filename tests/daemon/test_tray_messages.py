"""Menu, tooltip and notifications of `antifake tray` are in the language of the person.

The tray is a process with a pseudo-locale, in which every message has accents. The daemon is a
stand-in whose own words have no letters, so that letters are the tray's.
"""

import re
import sys
from contextlib import contextmanager

import pytest
from kit.dbus_desktop import NotificationServer, Panel
from kit.display import private_bus, process
from kit.messages import pseudo
from kit.pace import within
from kit.standin import StandIn
from kit.tray import places_in, session_with
from kit.waiting import eventually

NAMES = re.compile(r"\bantifake\b|\bAI\b|\b\d+\.png\b")
CHECK = {"summary": "84 %", "word": "84 %", "name": "1.png"}


@pytest.fixture
def where(tmp_path):
    return places_in(tmp_path / "home")


@pytest.fixture
def daemon(where):
    with StandIn(where) as one:
        one.checks = [
            {"id": "c1", "label": "fake", **CHECK},
            {"id": "c2", "label": "unsure", **CHECK, "name": None},
            {"id": "c3", "label": None, **CHECK},
        ]
        yield one


@pytest.fixture
def desktop(tmp_path):
    with (
        private_bus(tmp_path) as address,
        Panel(address) as panel,
        NotificationServer(address) as service,
    ):
        yield panel, service, session_with(address)


@contextmanager
def tray(where, env, catalogues):
    """The process, as `antifake tray` starts it, in the language with accents."""
    language = {"LANGUAGE": "en_XA", "ANTIFAKE_LOCALE": str(catalogues)}
    env = {**env, **language, "ANTIFAKE_HOME": str(where.home.root), "BROWSER": "false"}
    command = [sys.executable, "-X", "utf8", "-m", "antifake.daemon", "tray"]
    with process(command, env=env) as one:
        try:
            yield one
        finally:
            one.terminate()
            one.wait(within(10))


def english(texts):
    """Returns the words without an accent that are no names."""
    return [word for text in texts for word in re.findall("[A-Za-z]{2,}", NAMES.sub("", text))]


def labels(entries):
    return [
        text for one in entries for text in (one.label, *labels(one.children)) if text is not None
    ]


def seen(panel):
    """Returns all that the panel shows of the icon."""
    return [panel.about("Title"), panel.about("ToolTip")[2], *labels(panel.menu())]


STATES = {
    "Checking, {n:,} more waiting": {"mode": "working", "waiting": {"person": 1, "folder": 2}},
    "Checking a picture": {"mode": "working", "waiting": {}},
    "Loading the model": {"mode": "working", "model": {"phase": "loading"}},
    "Folders are paused": {"mode": "paused", "paused_until": "-"},
    "antifake needs you: open the history.": {"mode": "attention", "notices": []},
    "Ready": {"mode": "ready"},
}


def test_the_menu_has_no_english_word_in_any_state(where, desktop, daemon, catalogues):
    panel, _service, env = desktop
    with tray(where, env, catalogues):
        eventually(lambda: panel.labels()[:1] == [pseudo("Ready")])
        eventually(lambda: pseudo("Open it") in labels(panel.menu()))
        assert pseudo("Yes, that's right") in labels(panel.menu())
        for state, about in STATES.items():
            daemon.set_state(**{"model": {"phase": "ready"}, "paused_until": None, **about})
            line = pseudo(state).replace("{n:,}", "3")
            eventually(lambda line=line: panel.labels()[0] == line)
            assert panel.about("Title") == pseudo("antifake: {state}").replace("{state}", line)
            assert english(seen(panel)) == []
        daemon.to_review = [{}] * 3
        daemon.tell("correction", id="c1")
        counted = pseudo("Review {n:,} pictures…").replace("{n:,}", "3")
        eventually(lambda: counted in panel.labels())
        daemon.tell("training", state="running", done=1, total=2)
        eventually(lambda: panel.labels()[0].endswith("2") and panel.labels()[0] != counted)
        assert english(seen(panel)) == []
        daemon.__exit__()
        eventually(lambda: pseudo("Start antifake") in panel.labels(), 60)
        assert panel.labels()[0] == pseudo("antifake is not running")
        assert english(seen(panel)) == []


def test_notifications_and_their_buttons_have_no_english_word(where, desktop, daemon, catalogues):
    panel, service, env = desktop
    with tray(where, env, catalogues):
        eventually(lambda: panel.labels()[:1] == [pseudo("Ready")])
        made = {"source": "watch", "label": "fake", **CHECK}
        daemon.tell("check", id="c1", **made)
        asked = service.titled("84 %")
        assert {"real", "fake", "show"} <= asked.buttons.keys()
        for number, label in enumerate(("fake", "real", "unsure", None, "real")):
            daemon.tell("check", id=f"d{number}", **made | {"label": label})
        service.titled(pseudo("{n:,} more pictures").replace("{n:,}", "5"))
        daemon.pairings = [{"id": "p1", "name": "1.png", "code": "12"}]
        daemon.tell("pairing")
        service.titled(pseudo("{name} wants to connect").replace("{name}", "1.png"))
        panel.choose(pseudo("Check the picture on the clipboard"))
        panel.choose(pseudo("Open history"))
        panel.choose(pseudo("Latest pictures"), *last_picture(panel), pseudo("It's real"))
        undone = eventually(lambda: with_button(service, "undo"))
        service.press(undone, "undo")
        eventually(lambda: any(pseudo("Undone: {name}")[:6] in one.text for one in service.shown))
        eventually(lambda: sum(one.title == "antifake" for one in service.shown) >= 2)
        for one in service.shown:
            assert english([one.title, one.text, *one.buttons.values()]) == [], one


def last_picture(panel):
    latest = next(one for one in panel.menu() if one.label == pseudo("Latest pictures"))
    return [latest.children[0].label]


def with_button(service, action):
    return next((one for one in service.shown if action in one.buttons), None)
