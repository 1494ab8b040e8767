"""Tray and command line against a daemon that lies, in what it says and in how it says it."""

import io
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from kit.liar import TEXT, Liar, RawDaemon, json_of
from kit.pace import within
from kit.pictures import png
from kit.standin import TOKEN
from kit.stranger import Stranger
from kit.waiting import eventually

from antifake.daemon import app, client
from antifake.daemon.cli import main
from antifake.daemon.client import (
    Client,
    DaemonError,
    InProcess,
    LearningClient,
    Socket,
    understood,
)
from antifake.daemon.commands.check_by_daemon import _results as results
from antifake.daemon.config import Config
from antifake.daemon.doctor.daemon import DaemonChecks
from antifake.daemon.store import checks, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.tray.actions import Actions
from antifake.daemon.tray.drawing import icon_image
from antifake.daemon.tray.follower import Follower
from antifake.daemon.tray.notifications import LONGEST_TEXT, Note, NotificationBundle, PictureEvent
from antifake.daemon.tray.view_model import LONGEST_LINE, ViewModel

pytestmark = [pytest.mark.attack, pytest.mark.timeout(120)]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENCE_S = 0.5
HEAD = b"HTTP/1.1 200 OK\r\n"
CHECK = json.loads((Path(__file__).parents[1] / "contract" / "check_marked.json").read_bytes())


@pytest.fixture
def ids(where):
    with open_store(where.database, NOW) as store, store.writing() as session:
        return [
            checks.add(
                session,
                Finding(
                    source="watch",
                    model="mini@1",
                    prompt="p@1",
                    path=f"/home/anna/{n}.png",
                    label="fake",
                    p_fake=0.9,
                    sha256=f"{n:064x}",
                ),
                NOW + timedelta(seconds=n),
            ).id
            for n in range(3)
        ]


@pytest.fixture
def honest(where, ids):
    """The real API with these checks, which no command reaches but through the liar."""
    assert ids
    with app.at_rest(where) as (found, _notices):
        yield InProcess(found)


# --- What it says -------------------------------------------------------------------------------


def commands_of(ids, tmp_path) -> list[list[str]]:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    name, folder = ids[0], str(tmp_path)
    return [
        ["history"],
        ["history", "--json"],
        ["history", "show", name],
        ["history", "import", str(rows)],
        ["history", "forget", "--yes", "0" * 13],
        ["label", name, "fake"],
        ["label", "undo", name],
        ["report", name, "-o", str(tmp_path / "report.html")],
        ["watch", "list"],
        ["watch", "pause"],
        ["watch", "check", folder],
        ["pair", "list"],
        ["pair", "pending"],
        ["pair", "accept", "x"],
        ["pair", "revoke", "9"],
        ["daemon", "status"],
        ["daemon", "status", "--json"],
        ["open", "--print"],
        ["learning"],
        ["learning", "trainings"],
        ["learning", "flips", "1"],
        ["learning", "contradictions", "1"],
        ["learning", "cancel"],
        ["learning", "promote", "1"],
        ["learning", "versions"],
        ["learning", "use", "x"],
        ["learning", "compare", "a", "b"],
        ["learning", "budget"],
        ["learning", "review"],
        ["learning", "crops"],
        ["learning", "export", str(tmp_path / "pack.zip")],
        ["learning", "import", str(rows)],
        ["retrain"],
    ]


def run_all(where, honest, ids, tmp_path, seeds) -> None:
    for seed in seeds:
        with Liar(where, honest, seed) as liar:
            liar.pairings = [{"id": "x", "name": TEXT, "code": "1", "origin": None, "scopes": []}]
            for words in commands_of(ids, tmp_path):
                (tmp_path / "pack.zip").unlink(missing_ok=True)
                (tmp_path / "report.html").unlink(missing_ok=True)
                done = CliRunner().invoke(main, words)
                told = f"seed {seed}, {words}: {done.output!r}"
                assert isinstance(done.exception, SystemExit | None), told
                assert done.exit_code in (0, 1, 2, 3, 4), told
                assert all(char.isprintable() or char == "\n" for char in done.output), told
                assert TOKEN not in done.output
            found = DaemonChecks(where)
            assert all(one.sentence for one in (found.token(), found.port(Config())))


def test_no_lie_ends_a_command_in_a_traceback_or_commands_the_terminal(
    where, honest, ids, tmp_path
):
    run_all(where, honest, ids, tmp_path, range(2))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_no_lie_of_many_ends_a_command_in_a_traceback_or_commands_the_terminal(
    where, honest, ids, tmp_path
):
    run_all(where, honest, ids, tmp_path, range(100, 140))


def test_a_picture_gets_a_result_that_can_be_shown_or_is_judged_here(where):
    told = []
    for seed in range(60):
        with Liar(where, None, seed) as liar:
            liar.answer_to_check = (201, CHECK)
            try:
                (found,) = results(client.need(where), [png(0)])
                with understood():
                    told.append(found.to_text(percent=True, whole_card=True))
            except DaemonError:
                told.append("")
    assert all(char.isprintable() or char == "\n" for text in told for char in text)
    assert any(told)
    assert not all(told)


def test_no_lie_ends_the_icon_or_reaches_the_desktop_as_it_is(where):
    """Neither menu nor notifications get several lines, commands or endless texts."""
    view_model = ViewModel(time.monotonic)
    modes = set()
    for seed in range(30):
        with Liar(where, None, seed) as liar:
            liar.checks = [CHECK]
            liar.pairings = [{"id": str(n), "name": TEXT, "code": TEXT} for n in range(1000)]
            follower = Follower(lambda: client.find(where), view_model, wait_s=0)
            for kind in ("check", "correction", "training", "settings", "pairing"):
                liar.tell(kind, id=TEXT, name=TEXT, word=TEXT, source="watch", state="running")
            for _ in range(3):
                assert 0 < follower.step() <= 15
                view = view_model.view
                modes.add(view.mode)
                icon_image(view.mode, 16)
                notes = view_model.notes(0)
                lines = [view.line, *(one.words for one in view.recent)]
                words = [word for note in notes for word in (note.title, note.text)]
                assert all(map(str.isprintable, lines + words)), (seed, lines, words)
                assert max(map(len, lines)) <= LONGEST_LINE
                assert max(map(len, words), default=0) <= LONGEST_TEXT
                assert len(notes) < 10
    assert {"offline", "ready"} <= modes


def test_every_click_ends_in_one_notification_whatever_it_is_answered(where, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    view_model = ViewModel(time.monotonic)
    for seed in range(15):
        with Liar(where, None, seed) as liar:
            liar.checks = [CHECK]
            do = Actions(lambda: client.need(where), view_model, None, lambda: None)
            note = Note("", "", TEXT, ("real", "undo"))
            for click in (
                do.open_history,
                do.pause,
                lambda note=note, do=do: do.press(note, "real"),
                lambda note=note, do=do: do.press(note, "undo"),
                lambda do=do: do.open_picture(TEXT),
            ):
                click()
                eventually(lambda do=do: not do._running)
            ours = f"http://127.0.0.1:{liar.port}/"
            assert all(url.startswith(ours) and url.isprintable() for url in opened)
            opened.clear()
    for told in view_model.notes(0):
        assert told.title.isprintable()
        assert told.text.isprintable()


def test_a_page_that_never_ends_is_left():
    def page(send):
        send(json_of({"checks": [], "crops": [], "next": "again"}))

    with RawDaemon(page) as daemon:
        asked = Client(Socket(daemon.port, TOKEN), 5)
        assert list(asked.history({}, 100)) == []
        assert list(LearningClient(asked).crops()) == []


def test_more_than_was_asked_for_is_not_shown():
    with RawDaemon(lambda send: send(json_of({"checks": [{}] * 9, "next": None}))) as daemon:
        assert len(list(Client(Socket(daemon.port, TOKEN), 5).history({}, 2))) == 2


def test_pictures_that_nobody_wants_to_be_told_of_now_take_no_memory():
    bundle = NotificationBundle("all")
    bundle.snooze(1e9)
    for n in range(10_000):
        bundle.add(PictureEvent("real", Note("x", f"{n} is real")))
    assert len(vars(bundle)["_untold"]) == 1
    assert len(vars(bundle)["_latest"]) == 1


# --- How it says it -----------------------------------------------------------------------------


def drip(data: bytes):
    def script(send):
        send(data)
        while True:
            time.sleep(PATIENCE_S / 10)
            send(b" ")

    return script


def endless(head: bytes, piece: bytes):
    def script(send):
        send(head)
        while True:
            send(piece)

    return script


NOISE = random.Random(0).randbytes(2000)  # noqa: S311
WAYS = {
    "a status that drips": drip(b"HTTP/1.1 20"),
    "headers that drip": drip(HEAD + b"X: "),
    "a body that drips": drip(HEAD + b"Content-Length: 100000\r\n\r\n{"),
    "a body without length that drips": drip(HEAD + b"\r\n{"),
    "chunks that drip": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;"),
    "nothing": lambda _send: time.sleep(within(20 * PATIENCE_S)),
    "continue, for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers without end": endless(HEAD, b"X: y\r\n" * 1000),
    "a line without end": endless(HEAD, b"x" * 10_000),
    "a body without end": endless(HEAD + b"\r\n", b"[" * 2**20),
    "chunks without end": endless(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + b"[" * 2**20 + b"\r\n"
    ),
    "a length that is too large": endless(
        HEAD + b"Content-Length: 10000000000000\r\n\r\n", b" " * 2**20
    ),
    "a length below zero": lambda send: send(HEAD + b"Content-Length: -5\r\n\r\n{}"),
    "a length that is none": lambda send: send(HEAD + b"Content-Length: x\r\n\r\n" + b"{" * 50),
    "200 MB": endless(HEAD + b"Content-Length: 200000000\r\n\r\n", b" " * 2**20),
    "noise": lambda send: send(NOISE + b"\r\n\r\n"),
    "too deep": lambda send: send(HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000),
    "a list": lambda send: send(HEAD + b"Content-Length: 2\r\n\r\n[]"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_ends_in_time_and_does_not_fill_the_memory(way):
    with RawDaemon(WAYS[way]) as daemon:
        began = time.monotonic()
        with pytest.raises(DaemonError):
            Client(Socket(daemon.port, TOKEN), PATIENCE_S).state()
        assert time.monotonic() - began < within(10 * PATIENCE_S)
        assert daemon.sent < 64 * 2**20


@pytest.mark.parametrize("part", [b"", b"{}"])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(part):
    """As from a daemon that is killed while it answers."""

    def script(send):
        send(HEAD + b"Content-Length: 100\r\n\r\n" + part)
        raise ConnectionError

    with RawDaemon(script) as daemon:
        asked = Client(Socket(daemon.port, TOKEN), 5)
        with pytest.raises(DaemonError):
            asked.get("/state")
        with pytest.raises(DaemonError):
            asked.export(io.BytesIO(), "jsonl", {})


def test_a_proof_that_drips_is_given_up():
    with RawDaemon(drip(HEAD + b"Content-Length: 100\r\n\r\n{"), proves=False) as daemon:
        began = time.monotonic()
        with pytest.raises(DaemonError):
            Client(Socket(daemon.port, TOKEN), PATIENCE_S).state()
        assert time.monotonic() - began < within(10 * PATIENCE_S)
        assert all("Authorization" not in head for head in daemon.heads)


@pytest.mark.parametrize("body", [b"[" * 4000, b'{"proof": ["x"]}', b'{"proof": "\\ud800"}'])
def test_no_strange_proof_ends_a_client_or_gets_the_token(body):
    with Stranger(body=body) as stranger, pytest.raises(DaemonError, match="cannot prove"):
        Client(Socket(stranger.port, TOKEN), 5).state()
    assert stranger.tokens == []


@pytest.mark.parametrize(
    "status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 X", b"308 X"]
)
def test_no_redirect_is_followed_and_no_cookie_sent_back(status):
    with Stranger() as elsewhere:

        def script(send):
            send(
                b"HTTP/1.1 %s\r\nLocation: http://127.0.0.1:%d/\r\nSet-Cookie: a=b; Path=/\r\n"
                b"Content-Length: 2\r\n\r\n{}" % (status, elsewhere.port)
            )

        with RawDaemon(script) as daemon:
            asked = Client(Socket(daemon.port, TOKEN), 5)
            for _ in range(2):
                with pytest.raises(DaemonError):
                    asked.state()
    assert elsewhere.asked == []
    assert all("Cookie" not in head for head in daemon.heads)
