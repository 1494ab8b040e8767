"""One client starves no other: turns, limits, and pictures that were too much once."""

import random
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from kit.daemon import CHECKS_LOG, form, judged_in_order, running_daemon
from kit.pictures import png, scan_bomb
from kit.waiting import eventually

from antifake.daemon.store import checks, jobs, open_store
from antifake.daemon.store.checks import Finding
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.web import pages
from antifake.daemon.worker import worker
from antifake.daemon.worker.queue import (
    PERSON_BATCH,
    ClientQueueFullError,
    JobQueue,
    QueueFullError,
)
from antifake.daemon.worker.turns import SHARE, SLOW_FOR_S, Turns, Waiting

pytestmark = pytest.mark.attack
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def queue(tmp_path):
    (tmp_path / "spool").mkdir()
    with open_store(tmp_path / "app.db", NOW) as store:
        times = (NOW + timedelta(seconds=n) for n in count())
        queue = JobQueue(store, tmp_path / "spool", lambda: 16, lambda: next(times))
        queue.open()
        yield queue


def put(queue, client: str, n: int = 1, priority=Priority.PERSON, **about: bool) -> list[str]:
    new_job = NewJob(source="api", priority=priority)
    return [queue.put(new_job, b"x", client=client, **about) for _ in range(n)]


def clients(batch) -> str:
    return "".join(job.client for job in batch)


# --- Turns ----------------------------------------------------------------------------------


def test_who_sends_many_does_not_push_others_back(queue):
    put(queue, "a", 8)
    (name,) = put(queue, "b")
    batch = queue.take(Priority.BATCH)
    assert clients(batch) == "abaaa"
    assert batch[1].id == name


def test_clients_take_turns_over_batches(queue):
    put(queue, "a", 8)
    put(queue, "b", 4)
    assert clients(queue.take(Priority.BATCH)) == "abababab"
    put(queue, "c", 1)
    assert clients(queue.take(Priority.BATCH)) == "caaaa"


def test_the_pictures_of_one_client_keep_their_order(queue):
    names = put(queue, "a", 6)
    taken = [*queue.take(Priority.BATCH), *queue.take(Priority.BATCH)]
    assert [job.id for job in taken] == names


@pytest.mark.parametrize("is_private", [False, True])
def test_private_pictures_do_not_push_others_back_either(queue, is_private):
    put(queue, "a", 8, is_private=True)
    put(queue, "b", is_private=is_private)
    assert "b" in clients(queue.take(Priority.BATCH))


@pytest.mark.parametrize("is_private", [False, True])
def test_after_a_picture_that_took_too_long_a_client_comes_last_and_alone(queue, is_private):
    put(queue, "a", 4, is_private=is_private)
    for job in queue.take(Priority.BATCH)[:1]:
        queue.was_slow(job)
    put(queue, "a", 3, is_private=is_private)
    put(queue, "b", 2)
    assert clients(queue.take(Priority.BATCH)) == "bb"
    assert clients(queue.take(Priority.BATCH)) == "a"
    put(queue, "b")
    assert clients(queue.take(Priority.BATCH)) == "b"
    assert clients(queue.take(Priority.BATCH)) == "a"


def test_people_still_come_before_batches_whose_turn_it_is(queue):
    put(queue, "a", 3)
    put(queue, "b", 3, Priority.BATCH)
    assert clients(queue.take(Priority.BATCH)) == "aaa"
    assert clients(queue.take(Priority.BATCH)) == "bbb"


def test_the_queue_is_empty_in_the_end(queue):
    names = put(queue, "a", 8) + put(queue, "b", 5) + put(queue, "c", 2, is_private=True)
    taken = []
    while batch := queue.take(Priority.BATCH):
        taken += [job.id for job in batch]
    assert sorted(taken) == sorted(names)


def test_a_client_that_was_slow_is_one_of_all_again_after_a_while():
    now = [0.0]
    turns = Turns(lambda: now[0])
    turns.was_slow("a")
    waiting = [Waiting(one, Priority.PERSON, one) for one in "ab"]
    assert turns.next(waiting, []).client == "b"
    assert turns.next(waiting[:1], []).client == "a"
    assert turns.next(waiting[:1], ["b"]) is None
    now[0] += SLOW_FOR_S
    assert turns.next(waiting[:1], ["b"]).client == "a"
    assert turns.next(waiting[:1], ["a"] * SHARE) is None


@pytest.mark.parametrize("seed", range(12))
def test_who_waits_is_told_what_is_judged_before_in_turns(queue, seed):
    dice, has_private = random.Random(seed), seed % 4 > 1  # noqa: S311
    put(queue, "a")
    put(queue, "b")
    begun = queue.take(Priority.BATCH)
    if seed % 2:
        queue.was_slow(begun[0])
    names = []
    for client in dice.choices("abc", weights=(4, 2, 1), k=8):
        names += put(queue, client, is_private=has_private and dice.random() < 0.4)
    told = {name: queue.ahead(name) - len(begun) for name in names}
    assert {queue.ahead(job.id) for job in begun} == {0}
    n_judged = 0
    while batch := queue.take(Priority.BATCH):
        for place, job in enumerate(batch):
            if not has_private:  # all are in the database: their order is known exactly
                assert told.pop(job.id) == n_judged + place
            else:
                assert n_judged - PERSON_BATCH < told.pop(job.id) - place < n_judged + PERSON_BATCH
        n_judged += len(batch)
    assert told == {}


def test_a_client_with_one_picture_is_not_told_of_all_that_came_before(queue):
    put(queue, "a", 8)
    (mine,) = put(queue, "b")
    assert queue.ahead(mine) == 1


@pytest.mark.parametrize(("slow_s", "ahead"), [(60.0, [1, 3, 5, 2, 4]), (0.0, [3, 4, 5, 1, 2])])
def test_a_client_whose_picture_took_long_comes_last_though_it_came_first(
    tiny_source, tmp_path, monkeypatch, slow_s, ahead
):
    """Otherwise others wait for four of its pictures, which are judged beside theirs."""
    with running_daemon(tmp_path, tiny_source) as daemon:
        daemon.wait_for_model()
        monkeypatch.setattr(worker, "SLOW_S", slow_s)
        many, few, other = (daemon.token("check") for _ in range(3))
        assert daemon.check(png(1), token=many).status == 201
        with daemon.model_busy(png(2), token=other):

            def sent(token: str, *seeds: int) -> list[str]:
                replies = [daemon.check(png(n), token=token, prefer="wait=0") for n in seeds]
                return [f"/checks/{reply.json['id']}?wait=" for reply in replies]

            all_sent = sent(many, 10, 11, 12) + sent(few, 20, 21)
            assert [daemon.get(f"{one}0").json["ahead"] for one in all_sent] == ahead
        for one in all_sent:
            assert eventually(lambda one=one: daemon.get(f"{one}5").status == 200, 60)


def test_a_picture_is_answered_before_twelve_slow_ones_that_came_first(
    tiny_source, tmp_path, caplog, monkeypatch
):
    """Whether it comes from another program, from the page or from a browser."""
    caplog.set_level("INFO", CHECKS_LOG)
    monkeypatch.setattr(pages.checking, "WAIT_S", 0.0)
    monkeypatch.setattr(worker, "SLOW_S", 0.0)  # every picture counts as slow
    origin = f"chrome-extension://{'a' * 32}"
    with running_daemon(tmp_path, tiny_source) as daemon:
        daemon.wait_for_model()
        many, few = daemon.token("check"), daemon.token("check", origin=origin)
        session = daemon.access.login(daemon.access.mint_login())
        page = daemon.page(session, Content_Type="application/octet-stream", Prefer="wait=0")
        body, kind = form({"file": png(2)})
        browser = {"token": few, "Origin": origin, "Content_Type": kind, "Prefer": "wait=0"}
        with daemon.model_paused():
            slow = [daemon.check(png(20 + n), token=many, prefer="wait=0") for n in range(12)]
            quick = [
                daemon.ask("POST", "//changes/check", png(1), **page),
                daemon.ask("POST", "/checks", body, **browser),
            ]
        for reply in slow + quick:
            assert eventually(
                lambda name=reply.json["id"]: daemon.get(f"/checks/{name}?wait=5").status == 200, 60
            )
    order = judged_in_order(caplog.messages)
    last = order.index(slow[-1].json["id"])
    assert all(order.index(reply.json["id"]) < last for reply in quick)


# --- Limits ---------------------------------------------------------------------------------


def test_a_client_may_fill_half_of_the_queue(queue):
    put(queue, "a", 8)
    with pytest.raises(ClientQueueFullError, match="8 pictures from here") as refused:
        put(queue, "a")
    error = refused.value
    assert (error.status, error.code, error.retry_after_s) == (429, "queue_full", 2)
    put(queue, "b", 8)
    with pytest.raises(QueueFullError, match="16 pictures are waiting"):
        put(queue, "c")


def test_what_is_done_counts_no_longer(queue):
    put(queue, "a", 8)
    for job in queue.take(Priority.BATCH):
        queue.finish(job)
    put(queue, "a", 4)


def test_what_is_lost_with_a_damaged_history_counts_no_longer(queue, tmp_path):
    lost = put(queue, "a", 8)
    with open_store(tmp_path / "app.db", NOW) as store, store.writing() as session:
        for name in lost:
            jobs.drop(session, name)
    queue.open()
    assert len(put(queue, "a", 8)) == 8


# --- What was too much once -----------------------------------------------------------------


@pytest.mark.parametrize("private", ["false", "true"])
def test_bytes_that_were_too_much_are_not_tried_again(tiny_source, tmp_path, private):
    with running_daemon(tmp_path, tiny_source) as daemon:
        daemon.wait_for_model()
        first, again = (daemon.check(scan_bomb(300), private=private) for _ in range(2))
        assert (first.status, first.code) == (422, "too_much_work")
        assert "passes" in first.json["detail"]
        assert (again.status, again.json["detail"]) == (422, first.json["detail"])
        assert again.json["check"]["id"] == first.json["check"]["id"]
        other = daemon.check(scan_bomb(301), private=private)
        assert other.json["check"]["id"] != first.json["check"]["id"]


def test_only_what_the_picture_is_to_blame_for_is_kept_in_mind_and_for_a_day(tmp_path):
    with open_store(tmp_path / "app.db", NOW) as store, store.writing() as session:
        for number, code in enumerate(["too_much_work", "crashed", "timeout", "blank"]):
            checks.add(session, Finding(source="api", sha256=f"{number}" * 64, code=code), NOW)
        kept = [bool(checks.given_up(session, f"{n}" * 64, NOW)) for n in range(4)]
        assert kept == [True, True, False, False]
        assert checks.given_up(session, "0" * 64, NOW + timedelta(seconds=1)) is None
        checks.add(
            session,
            Finding(source="api", sha256="0" * 64, label="real"),
            NOW + timedelta(seconds=1),
        )
        assert checks.given_up(session, "0" * 64, NOW) is None
