"""How many transactions one picture needs. Each one costs the user time."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest
from kit.daemon import running_daemon
from kit.pictures import png
from kit.waiting import eventually
from sqlalchemy import event

from antifake.daemon.store.ledger import Stamp

SEEDS = count(100)


@dataclass
class Counted:
    """Counts the transactions, and the queries that count the queue, of all threads."""

    transactions: list[str] = field(default_factory=list)
    n_counts: int = 0

    @property
    def n_writes(self) -> int:
        return self.transactions.count("write")


@contextmanager
def counting(engine):
    counted = Counted()

    def begin(connection):
        writes = connection.get_execution_options().get("writes")
        counted.transactions.append("write" if writes else "read")

    def execute(_connection, _cursor, statement, *_):
        counted.n_counts += "count(" in statement and "jobs" in statement

    event.listen(engine, "begin", begin)
    event.listen(engine, "before_cursor_execute", execute)
    try:
        yield counted
    finally:
        event.remove(engine, "begin", begin)
        event.remove(engine, "before_cursor_execute", execute)


@pytest.fixture(scope="module")
def daemon(tiny_source, tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("counted"), tiny_source) as daemon:
        daemon.wait_for_model()
        daemon.check(png(1))
        yield daemon


@pytest.fixture
def counted(daemon):
    idle(daemon)
    with counting(daemon.service.store.database.engine) as counted:
        yield counted


def idle(daemon):
    eventually(lambda: not daemon.service.status.is_busy)


def test_a_picture_that_is_sent_takes_four_transactions_and_the_queue_is_counted_once(
    daemon, counted
):
    """The worker is waiting. Just before that, a picture would also be queued and taken."""

    def of_the_next_picture():
        counted.transactions.clear()
        counted.n_counts = 0
        assert daemon.check(png(next(SEEDS))).status == 201
        idle(daemon)
        assert counted.n_counts == 1
        return counted.transactions

    eventually(lambda: of_the_next_picture() == ["read", "read", "write", "write"])


def test_a_client_that_does_not_wait_costs_one_transaction_more_that_only_reads(daemon, counted):
    """It counts what comes before."""
    with daemon.model_paused():
        reply = daemon.check(png(next(SEEDS)), prefer="wait=0")
    assert (reply.status, reply.json["ahead"]) == (202, 0)
    eventually(lambda: counted.n_writes == 2)
    idle(daemon)
    assert sorted(counted.transactions) == ["read", "read", "read", "write", "write"]


def test_a_picture_that_is_known_takes_two_transactions(daemon, counted):
    """One finds it, and the other notes that it was seen again."""

    def of_the_same_picture():
        counted.transactions.clear()
        counted.n_counts = 0
        assert daemon.check(png(1)).status == 201
        assert counted.n_counts == 0
        return counted.transactions

    eventually(lambda: of_the_same_picture() == ["read", "write"])  # others may look meanwhile


def test_a_private_picture_takes_no_transaction_that_writes(daemon, counted):
    assert daemon.check(png(3), private="true").json["is_stored"] is False
    idle(daemon)
    assert counted.n_writes == 0
    assert len(counted.transactions) == 2


def test_a_file_of_a_folder_takes_six_transactions(daemon, counted, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(4))
    assert daemon.intake.found(Stamp.of(str(path), path.lstat()))
    eventually(lambda: counted.n_writes >= 3)
    idle(daemon)
    assert counted.n_counts == 1
    assert counted.n_writes == 3
    assert len(counted.transactions) == 6


def test_a_correction_takes_one_transaction(daemon, counted):
    made = daemon.check(png(1)).json["id"]
    counted.transactions.clear()
    reply = daemon.send("PUT", f"/checks/{made}/label", {"label": "fake"})
    assert reply.json["word"] == "You said: AI-made"
    assert counted.transactions == ["write"]
