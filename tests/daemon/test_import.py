"""Importing and exporting long histories: linear, in small steps, ended with their client."""

import csv
import io
import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from kit.command_line import antifake
from kit.daemon import read_all, running_daemon
from kit.pace import within
from kit.waiting import eventually
from sqlalchemy import event

from antifake.daemon import client
from antifake.daemon.client.pieces import pieces
from antifake.daemon.store import checks, corrections, exchange, forgetting, history, open_store
from antifake.daemon.store import occurrences as occurrences_
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.fair_lock import FairLock
from antifake.daemon.store.importing import MOST_SENTENCES, ImportStoppedError
from antifake.daemon.store.occurrences import MOST, Occurrence

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHA = "7" * 64


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store" / "app.db", NOW) as store:
        yield store


def row(n, **more):
    about = {"sha256": SHA, "label": "real", "p_fake": 0.1, "path": f"/a/{n}.png"}
    about |= {"at": NOW.isoformat(), "phash": "0123456789abcdef"}
    return about | more


def named(n):
    return row(n, id=f"{n + 10**12:013d}")


def said(n):
    moment = NOW + timedelta(seconds=n)
    return named(n) | {"said": ("real", "fake")[n % 2], "said_at": moment.isoformat()}


def seen(n, where=None):
    place = {"at": (NOW + timedelta(seconds=n)).isoformat(), "name": f"{where or n}.png"}
    return row(n, occurrences=[place])


def import_(store, rows, **how):
    lines = (json.dumps(one) for one in rows)
    return exchange.import_rows(store, lines, "jsonl", NOW, **how)


def count(store):
    with store.reading() as session:
        return history.count(session)


@contextmanager
def work(store):
    """Yields a function that tells how many hundred steps SQLite has done in this block."""
    steps = 0

    def step():
        nonlocal steps
        steps += 1

    def watch(connection, _record):
        connection.set_progress_handler(step, 100)

    store.database.close()
    event.listen(store.database.engine, "connect", watch)
    yield lambda: steps
    event.remove(store.database.engine, "connect", watch)
    store.database.close()


# --- How much work a row is -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [row, named, seen, said])
def test_a_row_of_a_picture_with_many_rows_is_no_more_work(store, kind):
    with work(store) as steps:
        import_(store, map(kind, range(100)))
        before = steps()
        import_(store, map(kind, range(500, 1000)))
        first = steps() - before
        import_(store, map(kind, range(1000, 4000)))
        before = steps()
        assert import_(store, map(kind, range(4000, 4500))).added == 500
        assert steps() - before < 2 * first
        before = steps()
        assert import_(store, map(kind, range(4000, 4500))).known == 500
        assert steps() - before < 2 * first


def test_what_was_said_of_many_pictures_is_written_together(store):
    """A statement takes longer to prepare than to run."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    pictures = [f"{n:064x}" for n in range(200)]
    rows = [said(n) | {"sha256": sha256} for n, sha256 in enumerate(pictures)]
    assert import_(store, rows).added == 200
    with store.reading() as session:
        found = corrections.latest(session, pictures)
        alike = corrections.of_near_copies(session, [0x0123456789ABCDEF])
    assert [found[one].label for one in pictures] == ["real", "fake"] * 100
    assert alike
    assert sum("likeness" in one or "INTO corrections" in one for one in statements) < 20
    assert len(statements) < 3 * len(rows)


def test_one_more_sight_or_word_is_no_more_work(store):
    """Of a picture with 3,000 checks, as a broken one has that is met again and again."""

    def once(n):
        with store.writing() as session:
            found = Finding(source="page", sha256=SHA, error="Broken.", code="damaged")
            checks.add(session, found, NOW + timedelta(seconds=n))
            seen = Occurrence(at=NOW + timedelta(seconds=n), source="page", name=f"{n}.png")
            occurrences_.add(session, SHA, seen)
            occurrences_.include_names(session, SHA)
            corrections.correct(session, [SHA], NewCorrection("fake", "page"), NOW)
            corrections.undo(session, SHA, "page", NOW)
            found = history.page(session, limit=50)
        assert len(found.entries[0].occurrences) <= 2 * MOST

    with work(store) as steps:
        for n in range(MOST + 10):
            once(n)
        before = steps()
        once(MOST + 10)
        first = steps() - before
        import_(store, (named(n) for n in range(3000)))
        before = steps()
        once(MOST + 11)
        assert steps() - before < 3 * first + 100


def test_what_was_undone_many_times_is_undone_once_more(store):
    words = ["real", "fake", "unsure"]
    import_(store, [row(0)])
    with store.writing() as session:
        for n in range(60):
            corrections.correct(session, [SHA], NewCorrection(words[n % 3], "page"), NOW)
            if n % 2:
                corrections.undo(session, SHA, "page", NOW)
        left = [corrections.undo(session, SHA, "page", NOW).label for _ in range(29)]
        assert left == [words[n % 3] for n in range(56, -1, -2)]
        assert corrections.undo(session, SHA, "page", NOW) is None


# --- Rows without an id -----------------------------------------------------------------------


def test_rows_without_an_id_are_known_again_however_many_the_picture_has(store):
    rows = [row(n) for n in range(1500)]
    rows += [{key: value for key, value in one.items() if key != "at"} for one in rows]
    assert import_(store, rows).added == 1500
    assert import_(store, rows).known == 3000
    later = NOW + timedelta(days=1)
    again = exchange.import_rows(store, map(json.dumps, rows), "jsonl", later)
    assert (again.added, again.known) == (0, 3000)


@pytest.mark.parametrize("year", [2100, 9999])
def test_a_time_that_no_number_can_hold_is_refused(store, year):
    late = [row(n, at=f"{year}-12-31T00:00:00+00:00") for n in range(2)]
    assert import_(store, late).n_refused == 2


def test_only_the_first_rows_that_are_refused_have_a_sentence(store):
    done = import_(store, [row(0, p_fake=2)] * 1000 + [row(1)])
    assert (done.added, done.n_refused, len(done.refused)) == (1, 1000, MOST_SENTENCES)


# --- Others who write -------------------------------------------------------------------------


def test_the_turn_goes_to_who_has_waited_longest():
    lock, order = FairLock(), []
    assert lock.acquire(0)

    def wait(name):
        assert lock.acquire(within(10))
        order.append(name)
        lock.release()

    threads = []
    for name in "ab":
        threads.append(threading.Thread(target=wait, args=name))
        threads[-1].start()
        eventually(lambda: len(lock._waiting) == len(threads))
    assert not lock.acquire(0)
    lock.release()
    # Who had it comes last, although it asks at once.
    assert lock.acquire(within(10))
    assert order == ["a", "b"]
    lock.release()
    for thread in threads:
        thread.join()
    assert lock.acquire(0)


def test_an_import_that_is_stopped_keeps_what_it_has_and_goes_on_the_next_time(store):
    rows, asked = [named(n) for n in range(2000)], iter([False, False, True])
    with pytest.raises(ImportStoppedError, match="stays"):
        import_(store, rows, is_unwanted=lambda: next(asked))
    assert count(store) == 500
    done = import_(store, rows)
    assert (done.added, done.known) == (1500, 500)


def test_forgetting_does_not_wait_for_an_export(store):
    import_(store, (named(n) for n in range(400)))
    rows = exchange.export(store, "jsonl")
    first = json.loads(next(rows).splitlines()[0])
    forgetting.forget(store, [first["id"]], NOW)
    assert "".join(rows) == ""


# --- The daemon -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("daemon"), tiny_source) as daemon:
        yield daemon


def sent(daemon, method, path, body=b""):
    """Sends a request. Returns the connection, whose answer is not read."""
    connection = socket.create_connection(("127.0.0.1", daemon.port), timeout=within(30))
    head = (
        f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n"
        f"Authorization: Bearer {daemon.secret}\r\nContent-Type: application/x-ndjson\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_an_import_ends_with_its_client(daemon):
    daemon.wait_for_model()
    body = "\n".join(json.dumps(named(n)) for n in range(40_000)).encode()
    events, number = daemon.service.events, daemon.service.events.last
    with sent(daemon, "POST", "/history/import?form=jsonl", body):
        eventually(lambda: count(daemon.service.store) > 0)
    eventually(lambda: "state" in [one.kind for one in events.after(number)])  # at its end
    kept = count(daemon.service.store)
    assert 0 < kept < 40_000
    piece = b"".join(body.splitlines(keepends=True)[: kept + 250])
    kind = "application/x-ndjson"
    again = daemon.ask("POST", "/history/import?form=jsonl", piece, Content_Type=kind)
    assert (again.json["known"], again.json["added"]) == (kept, 250)


def test_an_export_ends_with_its_client(daemon):
    rows = [named(n + 10**5) | {"page": "x" * 900} for n in range(9_000)]
    import_(daemon.service.store, rows)
    engine, n_asked = daemon.service.store.database.engine, []
    event.listen(engine, "before_cursor_execute", lambda *about: n_asked.append(about[2]))
    with sent(daemon, "GET", "/history/export?form=jsonl") as connection:
        assert connection.recv(100)
    length = [-1]

    def is_steady():
        pages = [one for one in n_asked if "FROM occurrences" in one]
        length.append(len(pages))
        return length[-1] == length[-2]

    eventually(is_steady, every_s=0.5)
    assert length[-1] < 2 * 90


def test_an_import_ends_with_the_daemon(tiny_source, tmp_path):
    body = "\n".join(json.dumps(named(n)) for n in range(40_000)).encode()
    with running_daemon(tmp_path, tiny_source) as daemon:
        connection = sent(daemon, "POST", "/history/import?form=jsonl", body)
        eventually(lambda: count(daemon.service.store) > 0)
    with connection:
        answer = read_all(connection, b"")
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"code": "stopped"' in answer


# --- Pieces -------------------------------------------------------------------------------------


def test_pieces_of_csv_are_whole_rows_under_the_same_heading():
    out = io.StringIO(newline="")
    rows = [[str(n), 'a "quoted"\r\nname\n', "x" * (n % 50)] for n in range(500)]
    csv.writer(out).writerows([["label", "sha256", "name"], *rows])
    found = list(pieces(io.BytesIO(out.getvalue().encode()), "csv", 1000))
    assert len(found) > 20
    assert all(len(piece) <= 1000 for piece in found)
    read = [list(csv.reader(io.StringIO(piece.decode(), newline=""))) for piece in found]
    assert [one for piece in read for one in piece[1:]] == rows


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("text", ["", "label,sha256", 'a"\nb\n', "\n\n", "x" * 5000, "\ufefflabel"])
def test_no_byte_is_lost_in_pieces(form, text):
    found = list(pieces(io.BytesIO(text.encode()), form, 100))
    head = text.encode().split(b"\n")[0] + b"\n" if form == "csv" and len(found) > 1 else b""
    whole = b"".join([found[0], *(piece.removeprefix(head) for piece in found[1:])])
    assert whole == text.encode()


def test_refused_rows_are_counted_on_from_piece_to_piece(daemon, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIFAKE_HOME", str(daemon.places.home.root))
    file = tmp_path / "history.jsonl"
    rows = [json.dumps(named(5 * 10**6 + n) | {"page": "x" * 5000}) for n in range(500)]
    rows.insert(450, "nonsense")
    file.write_text("\n".join(rows))
    assert file.stat().st_size > 2 * client.pieces.PIECE_BYTES
    done = antifake("history", "import", file, code=1)
    assert "Row 451:" in done.output
    assert "500 are new, 0 were known." in done.output
