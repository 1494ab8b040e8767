"""Another program has locked the history: verdicts come first, and are written down later."""

import hashlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from kit.daemon import running_daemon, tiny_home_in
from kit.lock import locked
from kit.pace import within
from kit.pictures import png
from kit.running import post, running
from kit.waiting import eventually

from antifake.daemon.store import ledger

pytestmark = pytest.mark.attack

SEEDS = count(900)
SOON_S = 5.0
"""Before, the first verdict came after 22 s, and those behind it 10 s later each. It is about
0.6 s on a computer that is not busy."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory, watched):
    settings = f'[[watch.folders]]\npath = "{watched}"\n'
    with running_daemon(tmp_path_factory.mktemp("locked"), tiny_source, settings) as daemon:
        daemon.wait_for_model()
        daemon.check(png(1))
        yield daemon


@pytest.fixture
def database(daemon) -> Path:
    eventually(lambda: not daemon.service.status.is_busy)
    return daemon.places.database


def soon(daemon, data: bytes, **about):
    began = time.monotonic()
    reply = daemon.check(data, **about)
    assert time.monotonic() - began < within(SOON_S)
    assert reply.status == 201, reply.body
    return reply.json


def notices(daemon) -> list[str]:
    return daemon.get("/state").json["notices"]


def in_history(daemon, data: bytes) -> bool:
    sha256 = hashlib.sha256(data).hexdigest()
    return any(one["sha256"] == sha256 for one in daemon.get("/checks?limit=500").json["checks"])


def times_of(daemon, name: str) -> int:
    return sum(one["times"] for one in daemon.get(f"/checks/{name}").json["occurrences"])


def test_new_pictures_are_answered_at_once_and_are_in_the_history_afterwards(daemon, database):
    pictures = [png(next(SEEDS)) for _ in range(3)]
    with locked(database):
        answers = [soon(daemon, data) for data in pictures]
        assert all(one["label"] and not one["is_stored"] for one in answers)
        assert any("another program" in one for one in notices(daemon))
    for data, answer in zip(pictures, answers, strict=True):
        eventually(lambda data=data: in_history(daemon, data))
        stored = daemon.get(f"/checks/{answer['id']}").json
        assert (stored["label"], stored["is_stored"]) == (answer["label"], True)
    eventually(lambda: not any("another program" in one for one in notices(daemon)))


def test_many_clients_do_not_wait_for_each_other(daemon, database):
    pictures = [png(next(SEEDS)) for _ in range(8)]
    with locked(database), ThreadPoolExecutor(8) as clients:
        began = time.monotonic()
        answers = list(clients.map(daemon.check, pictures))
        assert time.monotonic() - began < within(2 * SOON_S)
        assert all(one.status == 201 for one in answers)
    eventually(lambda: all(in_history(daemon, data) for data in pictures))


def test_a_token_that_was_not_used_for_long_is_no_reason_to_wait(daemon, database):
    token = daemon.token("check", "read")
    with locked(database):
        assert soon(daemon, png(1), token=token)["label"]
        assert soon(daemon, png(next(SEEDS)), token=token)["label"]


def test_a_known_picture_is_answered_at_once_and_noted_as_seen_again_afterwards(daemon, database):
    data = png(next(SEEDS))
    name = daemon.check(data).json["id"]
    before = times_of(daemon, name)
    with locked(database):
        assert [soon(daemon, data)["id"] for _ in range(3)] == [name] * 3
    eventually(lambda: times_of(daemon, name) == before + 3)


def test_the_same_new_bytes_twice_are_one_check_afterwards_under_both_names(daemon, database):
    data = png(next(SEEDS))
    with locked(database):
        first, second = soon(daemon, data)["id"], soon(daemon, data)["id"]
    eventually(lambda: daemon.get(f"/checks/{second}").json["is_stored"])
    assert daemon.get(f"/checks/{first}").json["id"] == daemon.get(f"/checks/{second}").json["id"]


def test_a_private_picture_is_not_written_down_afterwards(daemon, database):
    private, other = png(next(SEEDS)), png(next(SEEDS))
    with locked(database):
        assert soon(daemon, private, private="true")["is_stored"] is False
        soon(daemon, other)
    eventually(lambda: in_history(daemon, other))
    assert not in_history(daemon, private)


def test_files_of_folders_wait_and_keep_no_person_waiting(daemon, database, watched):
    with locked(database):
        (watched / "a.png").write_bytes(png(next(SEEDS)))
        for _ in range(3):
            soon(daemon, png(next(SEEDS)))
    path = str(watched.resolve() / "a.png")

    def is_judged() -> bool:
        with daemon.service.store.reading() as session:
            noted = ledger.known(session, path)
            return noted is not None and noted.check_id is not None

    eventually(is_judged)


def test_what_was_queued_before_is_judged_though_its_start_cannot_be_written(daemon, database):
    """The lock comes between a picture's arrival and its turn."""
    pictures = [png(next(SEEDS)) for _ in range(3)]
    with daemon.model_paused():
        names = [daemon.check(data, prefer="wait=0").json["id"] for data in pictures]
        lock = locked(database)
        lock.__enter__()
    try:
        began = time.monotonic()
        for name in names:
            eventually(lambda name=name: daemon.get(f"/checks/{name}").json.get("label"))
        assert time.monotonic() - began < within(SOON_S)
    finally:
        lock.__exit__(None, None, None)
    eventually(lambda: all(in_history(daemon, data) for data in pictures))
    eventually(lambda: not daemon.service.status.is_busy)
    checks = daemon.get("/checks?limit=500").json["checks"]
    for data in pictures:  # each was judged once
        sha256 = hashlib.sha256(data).hexdigest()
        assert sum(one["sha256"] == sha256 for one in checks) == 1
    assert not list(daemon.places.spool.iterdir())


def test_a_kill_while_it_is_locked_loses_nothing_that_was_acknowledged(tiny_source, tmp_path):
    """Neither what was called stored, nor what was queued: its answer had not been written."""
    home = tiny_home_in(tmp_path / "home", tiny_source)
    stored, waiting = [png(next(SEEDS)) for _ in range(3)], [png(next(SEEDS)) for _ in range(3)]
    with running(home.root) as daemon:
        asked = daemon.ready()
        eventually(lambda: asked.get("/state")["model"]["phase"] == "ready", 60)
        acknowledged = [post(asked, data) for data in stored]
        assert all(one["is_stored"] for one in acknowledged)
        for data in waiting:
            post(asked, data, wait_s=0)
        with locked(daemon.places.database):
            post(asked, png(next(SEEDS)))
            daemon.stop(signal.SIGKILL)
    with running(home.root) as daemon:
        asked = daemon.ready()
        wanted = {hashlib.sha256(data).hexdigest() for data in stored + waiting}

        def all_there() -> bool:
            found = asked.get("/checks", limit="500")["checks"]
            return wanted <= {one["sha256"] for one in found if one["label"]}

        eventually(all_there, 60)


def test_an_answer_that_is_not_there_yet_says_whether_its_picture_is_written_down(daemon, database):
    assert daemon.check(png(next(SEEDS)), prefer="wait=0").json["is_stored"]
    assert not daemon.check(png(next(SEEDS)), prefer="wait=0", private="true").json["is_stored"]
    data = png(next(SEEDS))
    with locked(database), daemon.model_paused():
        ticket = daemon.check(data, prefer="wait=0")
        assert (ticket.status, ticket.json["is_stored"]) == (202, False)
    eventually(lambda: in_history(daemon, data))
