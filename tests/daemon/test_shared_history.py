"""One history for several computers: a real PostgreSQL, and daemons that are killed."""

import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import get_args

import pytest
from kit.command_line import antifake
from kit.pace import within
from kit.pictures import png
from kit.postgres import PASSWORD, postgres
from kit.running import post
from kit.team import computers
from kit.waiting import eventually

from antifake.core.errors import UsageError
from antifake.daemon.client import DaemonError
from antifake.daemon.config import Config
from antifake.daemon.config.settings import History
from antifake.daemon.doctor.installation import InstallationChecks
from antifake.daemon.places import places
from antifake.daemon.store import (
    StoreAwayError,
    StoreError,
    StoreNewerError,
    checks,
    corrections,
    forgetting,
    history,
    ids,
    jobs,
    ledger,
    occurrences,
    open_store,
    ordering,
    outbox,
)
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.store.opening import OURS, Migrations

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def server():
    with postgres() as made:
        yield made


@pytest.fixture
def address(server):
    return server.create()


def opened(address, folder, name="a"):
    return open_store(address, NOW, machine=folder / f"{name}.db")


def finding(number=1, **more):
    about = {"source": "cli", "label": "real", "p_fake": 0.1, "model": "m@1", "prompt": "p@1"}
    return Finding(
        **about | {"sha256": f"{number:064x}", "phash": 7**20 * number, "parts": ()} | more
    )


def judged(store, *findings):
    """Writes checks as the worker does."""
    with store.machine.writing() as session:
        made = [checks.add(session, one, NOW) for one in findings]
        for one in made:
            checks.keep_thumbnail(session, one.sha256, b"RIFF" + bytes(40), NOW)
    return made


def seen(path, times=1):
    return Occurrence(at=LATER, source="watch", path=path, times=times)


def all_checks(store):
    with store.reading() as session:
        return [one.check for one in history.page(session, limit=500).entries]


# --- Opening --------------------------------------------------------------------------------

START = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from antifake.daemon.store import open_store
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
with open_store(sys.argv[1], now, machine=Path(sys.argv[2])) as store:
    sys.exit(store.trouble)
"""


def test_first_starts_at_once_make_one_history(address, tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", START, address, tmp_path / f"{n}.db"])
        for n in range(3)
    ]
    assert [one.wait(within(60)) for one in started] == [0] * 3
    with opened(address, tmp_path) as store:
        assert all_checks(store) == []


def test_an_older_history_is_migrated_and_a_newer_one_refused(server, address, tmp_path):
    open_store(address, NOW, migrations=Migrations(OURS.folder, "0010")).close()
    with opened(address, tmp_path) as store:
        assert all_checks(store) == []
    server.ask("UPDATE alembic_version SET version_num = '9999'", address.rsplit("/", 1)[1])
    with pytest.raises(StoreNewerError, match="newer antifake"):
        opened(address, tmp_path)


def test_tables_that_a_newer_version_changes_meanwhile_are_not_touched(server, address, tmp_path):
    database = address.rsplit("/", 1)[1]
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding())
        server.ask("ALTER TABLE checks RENAME COLUMN label TO verdict", database)
        server.ask("UPDATE alembic_version SET version_num = '9999'", database)
        with pytest.raises(StoreError) as first:
            outbox.deliver(store)
        assert "\n" not in str(first.value)
        with pytest.raises(StoreNewerError, match="Update antifake"):
            outbox.deliver(store)
        assert outbox.get(store, check.id) == check


def test_the_doctor_says_that_a_server_takes_no_changes(server, address, tiny_home):
    assert tiny_home.root.exists()
    database = address.rsplit("/", 1)[1]
    server.ask("CREATE ROLE dora LOGIN PASSWORD 'hers'", "postgres")

    def said(login="anna"):
        there = f"postgres://dora:hers@127.0.0.1:{server.port}/{database}"
        about = Config(history=History(database=address if login == "anna" else there))
        return InstallationChecks(places()).history(about)

    assert said().ok
    assert server.ask("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", database) == []
    assert "Let the role own" in said("dora").sentence
    open_store(address, NOW).close()
    assert said().ok
    read_only(server, database)
    assert READ_ONLY in said().sentence
    assert not said().ok


EVERY = (
    {},
    {"label": "failed"},
    {"label": "fake"},
    {"source": "cli"},
    {"since": NOW - timedelta(days=1)},
    {"until": NOW},
    {"corrected": True},
    {"corrected": False},
    {"text": "ü"},
    {"text": "%_"},
    {"text": "\\"},
    {"text": "\0"},
    {"folder": "/a/1"},
    {"model": "m@1"},
    {"declared": True},
    {"declared": False},
)


def shown(store, wanted, sort):
    """Returns the names of all pictures of a list, page by page, and the counts."""
    names, after = [], None
    with store.reading() as session:
        while True:
            page = history.page(session, wanted, after, 12, sort)
            names += [one.check.name for one in page.entries]
            if page.next is None:
                return names, history.count_by_label(session, wanted)
            after = page.next


def test_all_filters_orders_and_counts_are_those_of_a_file(address, tmp_path):
    labels = "real", "fake", "unsure"
    found = [
        finding(n, path=f"/a/{n % 3}/x%_{n}Ü.png", name=f"{n}", p_fake=n / 40, label=labels[n % 3])
        for n in range(1, 30)
    ]
    found.append(finding(50, label=None, p_fake=None, code="unreadable", error="no\0"))
    with opened(address, tmp_path) as team, open_store(tmp_path / "alone.db", NOW) as alone:
        with team.machine.writing() as here, alone.writing() as there:
            for n, one in enumerate(found):
                for session in (here, there):
                    checks.insert(session, one, ids.first_number(NOW) + n)
        outbox.deliver(team)
        for store in (team, alone):
            with store.writing() as session:
                said = NewCorrection("fake", "page")
                corrections.correct(session, [one.sha256 for one in found[:3]], said, LATER)
        lists = [(one, "newest") for one in EVERY]
        lists += [
            (one, sort) for one in ({}, {"label": "fake"}) for sort in get_args(ordering.Sort)
        ]
        for one, sort in lists:
            wanted = history.Filter(**one)
            assert shown(team, wanted, sort) == shown(alone, wanted, sort)
        assert len(shown(team, history.Filter(text="%_"), "newest")[0]) == 29


def with_no_connection_left(server):
    server.ask("CREATE ROLE carl LOGIN CONNECTION LIMIT 0 PASSWORD 'hers'", "postgres")
    return f"postgres://carl:hers@127.0.0.1:{server.port}/postgres"


READ_ONLY = "is set to read-only: nothing can be saved there"


def read_only(server, database):
    server.ask(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on', "postgres")


def test_a_read_only_server_is_read_and_checks_wait(server, address, tmp_path):
    database = address.rsplit("/", 1)[1]
    with opened(address, tmp_path) as store:
        (sent,) = judged(store, finding())
        outbox.deliver(store)
    read_only(server, database)
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding(2))
        with pytest.raises(StoreError, match=READ_ONLY):
            outbox.deliver(store)
        # A session of this computer's file is open then, too.
        with pytest.raises(StoreError, match=rf"{database} {READ_ONLY}"):
            forgetting.forget(store, [sent.id], NOW)
        assert all_checks(store) == [sent]
        assert re.search(rf"{READ_ONLY}.*1 check waits", outbox.trouble(store))
    server.ask(f'ALTER DATABASE "{database}" RESET default_transaction_read_only', "postgres")
    with opened(address, tmp_path) as store:
        assert outbox.deliver(store) == 1
        assert {one.id for one in all_checks(store)} == {sent.id, check.id}


def test_a_new_history_on_a_read_only_server_is_refused(server, address, tmp_path):
    read_only(server, address.rsplit("/", 1)[1])
    with pytest.raises(StoreError, match=READ_ONLY):
        opened(address, tmp_path)


def test_a_role_that_may_not_create_tables_is_told_what_it_needs(server, address, tmp_path):
    server.ask("CREATE ROLE bob LOGIN PASSWORD 'hers'", "postgres")
    of_bob = f"postgres://bob:hers@127.0.0.1:{server.port}/{address.rsplit('/', 1)[1]}"
    with pytest.raises(StoreError, match="Let the role own the database") as new:
        opened(of_bob, tmp_path)
    opened(address, tmp_path).close()
    with pytest.raises(StoreError, match="Let the role own the database") as there:
        opened(of_bob, tmp_path)
    for said in (str(new.value), str(there.value)):
        assert "\n" not in said
        assert "hers" not in said


@pytest.mark.parametrize(
    ("address_of", "said"),
    [
        (lambda server: server.address("nowhere"), "nowhere.* does not exist"),
        (
            lambda server: server.address("postgres", f"{PASSWORD}x"),
            "password authentication",
        ),
        (lambda server: f"{server.address('postgres')}?sslmode=require", "not support SSL"),
        (with_no_connection_left, "too many connections"),
        (lambda _: "postgresql://anna:hers@127.0.0.1:1/x", "refused"),
        (lambda _: "postgresql://anna:hers@no-such-host.invalid/x", "no-such-host.invalid"),
    ],
)
def test_a_server_that_cannot_be_used_is_said_and_nothing_else_is(
    server, address_of, said, tmp_path
):
    address = address_of(server)
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding())
        with pytest.raises(StoreAwayError, match=said):
            outbox.deliver(store)
        told = outbox.trouble(store)
        assert re.search(rf"{said}.*1 check waits", told)
        assert outbox.get(store, check.id) == check
    assert not {PASSWORD, "hers", "%40"} & set(re.split(r"\W", told))
    assert PASSWORD not in told


@pytest.mark.parametrize(
    "address", ["postgres//anna:hers@host/x", "postgres://anna:hers@host:port/x", "anna:hers"]
)
def test_an_address_that_is_none_is_refused_without_its_password(address, tmp_path):
    with pytest.raises(UsageError, match="not the address of a database") as refused:
        opened(address, tmp_path)
    assert "hers" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_without_the_driver_the_extra_is_named(address, tmp_path):
    code = f"import sys; sys.modules['psycopg'] = None\n{START}"
    done = subprocess.run(
        [sys.executable, "-c", code, address, tmp_path / "a.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "pip install 'antifake[postgres]'" in last
    assert "open" not in last


def test_the_doctor_tries_the_connection(server, address, tiny_home):
    assert tiny_home.root.exists()
    doctor = InstallationChecks(places())

    def found(database):
        return doctor.history(Config(history=History(database=database)))

    assert found(address).ok
    assert str(server.port) in found(address).sentence
    wrong = found(server.address("nowhere"))
    assert not wrong.ok
    assert "does not exist" in wrong.sentence


def test_no_command_shows_the_password_of_the_database(server, tiny_home):
    address = server.address("postgres")
    shown = antifake("config", "set", "history.database", address).output
    for command in (["show"], ["show", "--json"], ["get", "history"], ["get", "history.database"]):
        shown += antifake("config", *command).output
    assert shown.count(":***@127.0.0.1") == 5
    assert address.split(":")[2].split("@")[0] not in shown
    assert address in (tiny_home.root / "config.toml").read_text()


# --- Sending --------------------------------------------------------------------------------


def test_what_was_sent_before_a_kill_is_not_sent_twice(address, tmp_path):
    """The kill is between the answer of the server and the deletion here."""
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding())
        with store.machine.writing() as session:
            occurrences.add(session, check.sha256, seen("/a/b.png", 3))
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    for name in ("a", "b"):
        with opened(address, tmp_path, name) as store:
            assert outbox.waiting(store) == 1
            assert outbox.deliver(store) == 1
            assert outbox.waiting(store) == 0
            assert all_checks(store) == [check]
            with store.reading() as session:
                (place,) = occurrences.noted(session, [check.sha256])[check.sha256]
                assert (place.path, place.times) == ("/a/b.png", 3)
                assert checks.thumbnail(session, check.sha256)


def test_two_computers_that_drew_the_same_number_both_keep_their_check(address, tmp_path):
    made = []
    for name in ("a", "b"):
        with opened(address, tmp_path, name) as store:
            with store.machine.writing() as session:
                made.append(checks.insert(session, finding(ord(name)), 77))
            outbox.deliver(store)
    with opened(address, tmp_path) as store:
        assert {one.sha256 for one in all_checks(store)} == {one.sha256 for one in made}


def test_a_place_that_is_seen_while_it_is_sent_is_counted_once_more(address, tmp_path):
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding())
        outbox.deliver(store)
        for round_ in range(1, 4):
            with store.machine.writing() as session:
                moment = LATER + timedelta(minutes=round_)
                place = Occurrence(at=moment, source="page", page="a.example")
                occurrences.add(session, check.sha256, place)
            outbox.deliver(store)
        with store.reading() as session:
            (place,) = occurrences.noted(session, [check.sha256])[check.sha256]
            assert place.times == 3


def test_a_place_of_a_picture_that_is_being_judged_waits_for_its_check(address, tmp_path):
    with opened(address, tmp_path) as store:
        with store.machine.writing() as session:
            picture = finding().sha256
            new = jobs.NewJob(source="api", priority=jobs.Priority.PERSON, sha256=picture)
            job = jobs.add(session, new, NOW)
            occurrences.add(session, picture, Occurrence(at=LATER, source="page", page="a.example"))
        assert outbox.deliver(store) == 0
        (check,) = judged(store, finding())
        with store.machine.writing() as session:
            jobs.finish(session, job.id, check.id)
        assert outbox.deliver(store) == 1
        with store.reading() as session:
            (place,) = occurrences.noted(session, [picture])[picture]
        assert place.page == "a.example"


def test_what_people_say_counts_everywhere_and_what_waits_is_shown(address, tmp_path):
    with opened(address, tmp_path, "a") as a, opened(address, tmp_path, "b") as b:
        (first,) = judged(a, finding())
        outbox.deliver(a)
        with b.writing(durable=True) as session:
            corrections.correct(session, [first.sha256], NewCorrection("fake", "page"), NOW)
        (again,) = judged(a, finding(model="m@2"))
        shown = outbox.entry(a, again.id)
        assert shown.correction.label == "fake"
        assert shown.has_thumbnail
        assert outbox.earlier(b, [first.sha256], "m@1", "p@1") == {first.sha256: first}


def test_forgetting_leaves_nothing_in_either_place(address, tmp_path):
    with opened(address, tmp_path) as store:
        sent, waits, kept = judged(store, *map(finding, (1, 2, 3)))
        with store.machine.writing() as session:
            ledger.note(session, Stamp("/a/1.png", 1, 1, "1-1", 1), sha256=sent.sha256)
            new = jobs.NewJob(source="api", priority=jobs.Priority.PERSON, sha256=sent.sha256)
            job = jobs.add(session, new, NOW)
            jobs.finish(session, job.id, sent.id)
        outbox.deliver(store)
        judged(store, finding(1, model="m@2"))
        assert forgetting.forget(store, [sent.id, waits.id], NOW) == 2
        outbox.deliver(store)
        assert all_checks(store) == [kept]
        with store.machine.reading() as session:
            assert ledger.known(session, "/a/1.png") is None
            assert not jobs.is_there(session, job.id)


def test_a_server_that_hangs_keeps_nobody_waiting(server, address, tmp_path):
    with opened(address, tmp_path) as store:
        (check,) = judged(store, finding())
        outbox.deliver(store)
        server.suspend()
        try:
            began = time.monotonic()
            assert outbox.earlier(store, [check.sha256], "m@1", "p@1") == {}
            assert time.monotonic() - began < within(10)
            with pytest.raises(StoreAwayError):  # not asked again by who only wants to know
                all_checks(store)
            assert time.monotonic() - began < within(10)
        finally:
            server.resume()
        eventually(lambda: store.connect() or True)
        assert all_checks(store) == [check]


# --- Daemons --------------------------------------------------------------------------------


def twice(server, database):
    """Returns pictures with more than one check."""
    return server.ask(
        "SELECT sha256, count(*) FROM checks GROUP BY sha256 HAVING count(*) > 1", database
    )


def paired(computer):
    """Lets a program in. Returns the secret of its token."""
    asked = computer.ready()
    wish = asked.post("/pairings", {"name": "a program", "scopes": ["read"]})
    asked.accept(wish["id"])
    path, secret = f"/pairings/{wish['id']}", {"X-Pairing-Secret": wish["secret"]}
    return asked.ask("GET", path, headers=secret)["token"]


def status_of(port, token):
    """Asks for the history with a token. Returns the HTTP status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=within(30))
    connection.request("GET", "/api/v1/checks", headers={"Authorization": f"Bearer {token}"})
    with closing(connection):
        return connection.getresponse().status


@pytest.mark.parametrize("load", [(1, 40), pytest.param((10, 200), marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_kills_of_daemons_and_server_lose_nothing_and_judge_nothing_twice(
    server, address, tiny_source, tmp_path, load
):
    dice, (rounds, n) = random.Random(17), load  # noqa: S311
    database = address.rsplit("/", 1)[1]
    with computers(tmp_path, tiny_source, address, 2) as both:
        tokens = [paired(one) for one in both]
        senders = [threading.Thread(target=one.send, args=[n]) for one in both]
        for one in senders:
            one.start()
        for _ in range(rounds):
            for computer in both:
                time.sleep(dice.uniform(0.1, 0.6))
                computer.kill()
                computer.ready()
            # A picture whose answer was lost is sent again. What is known of it only on the server
            # cannot be known while that is away.
            eventually(lambda: all(one.is_certain for one in both), 60)
            for number in (signal.SIGINT, signal.SIGQUIT):
                server.stop(number)
                time.sleep(dice.uniform(0.1, 0.6))
                server.start()
        for one in senders:
            one.join()
        for computer in both:
            assert len(computer.acknowledged) == n
            answers = [computer.answer(name) for name in computer.acknowledged]
            assert all(one["label"] for one in answers)
        eventually(lambda: server.ask("SELECT count(*) FROM checks", database) == [(2 * n,)])
        assert twice(server, database) == []
        for computer, token in zip(both, tokens, strict=True):
            assert len(list(computer.ready().history({}, 1000))) == 2 * n
            assert status_of(computer.daemon.port, token) == 200


def listed(asked):
    with suppress(DaemonError):
        return list(asked.history({}, 10))


def test_a_daemon_starts_without_its_server_and_sends_later(server, tiny_source, tmp_path):
    server.stop()
    try:
        with computers(tmp_path, tiny_source, server.address("late"), 1) as (computer,):
            asked = computer.ready()
            found = post(asked, png(1, 64), wait_s=60)
            assert found["label"]
            told = " ".join(asked.state()["notices"])
            assert re.search(r"refused.*1 check waits", told)
            assert asked.show(found["id"])["label"] == found["label"]
            assert asked.thumbnail(found["id"])
            server.start()
            server.create("late")
            eventually(lambda: listed(asked), 60)
            assert post(asked, png(1, 64))["id"] == found["id"]
            assert asked.state()["notices"] == []
            assert PASSWORD not in computer.daemon.places.log.read_text() + computer.daemon.said
    finally:
        if not server.is_running:
            server.start()
