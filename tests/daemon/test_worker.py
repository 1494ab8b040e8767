"""The queue and the worker judge every picture in turn: with real files, database, decoder, model.

The model is the tiny one of the real classes, in its own process.
"""

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from conftest import tiny_prompt
from kit.pace import within
from kit.pages import places_in
from kit.pictures import picture, png, saved
from kit.queued import take_next
from kit.waiting import eventually
from sqlalchemy import event

from antifake.core.catalog import Home
from antifake.core.decoder import Decoder
from antifake.core.evidence.reading import EvidenceReader
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook
from antifake.daemon.config import Config
from antifake.daemon.config import settings as config_settings
from antifake.daemon.service import (
    CheckRequest,
    Checks,
    Events,
    Intake,
    Service,
    Settings,
    Status,
    Upkeep,
    learning_of,
)
from antifake.daemon.service.at_rest import FoldersAtRest, existing_at_rest
from antifake.daemon.store import StorageFullError, checks, jobs, ledger, open_store
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.history import Filter
from antifake.daemon.store.jobs import Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.judge import Judge
from antifake.daemon.worker.model_process import ModelProcess
from antifake.daemon.worker.queue import JobQueue, QueueFullError
from antifake.daemon.worker.worker import HOLD_S, Callbacks, Worker

POISON = picture(666).resize((28, 28))


class Killable(ModelProcess):
    """The real model process, except that a poisonous picture crashes it."""

    def judge(self, crops):
        if any(abs(crop.astype(int) - POISON).mean() < 12 for crop in crops):
            self.wake()
            os.kill(self._child.pid, signal.SIGKILL)
        return super().judge(crops)


@pytest.fixture(scope="module")
def home(tiny_source, tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("line"))
    bundle = prepare(Source(tiny_source), home.models / "tiny", dtype="fp32")
    home.use("tiny")
    book = Promptbook(home.prompts)
    for number in (1, 2):
        book.add(f"p{number}", tiny_prompt(number).to_bytes())
    book.use("p1", bundle)
    return home


@pytest.fixture(scope="module")
def heavy(home):
    """The parts that take seconds to start: decoder and model."""
    with Decoder(jobs=2, size=28) as decoder, Killable(home) as model:
        model.wake()
        yield decoder, model


@dataclass(frozen=True)
class AtWork:
    """A service with the parts of the daemon that it needs."""

    service: Service
    queue: JobQueue
    worker: Worker
    intake: Intake
    upkeep: Upkeep

    def __getattr__(self, name):
        return getattr(self.service, name)

    def found(self, path: Path) -> bool:
        """Hands a file over, as the watcher does."""
        return self.intake.found(stamp(path))

    def unknown(self, *paths: Path) -> list[Stamp]:
        return list(self.intake.unknown(map(stamp, paths)))

    def step(self, at: float = 0.0) -> bool:
        return self.worker.step(at)


@contextmanager
def at_work(home, heavy, folder: Path, config: Config | None = None, *, starts: bool = True):
    """Yields a service with its worker, which starts only if asked to."""
    decoder, model = heavy
    active_model, events = ActiveModel(home), Events()
    (folder / "spool").mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        store = parts.enter_context(open_store(folder / "history.db", now()))
        settings = Settings(folder / "config.toml", config or Config())
        status = Status(store, settings, model, events, now)
        queue = JobQueue(store, folder / "spool", lambda: settings.config.worker.queue, now)
        checks_ = Checks(store, settings, active_model, queue, events, clock=now)
        callbacks = Callbacks(
            lambda: settings.config, now, checks_.done, status.set_trouble, status.set_busy
        )
        where = places_in(folder, home)
        crop_files = CropFiles(where.crops)
        evidence = parts.enter_context(EvidenceReader())
        judge = Judge(decoder, model, active_model, store, evidence)
        worker = Worker(store, judge, queue, callbacks, crop_files)
        folders = FoldersAtRest(settings)
        learning = learning_of(store, settings, where, status, events, clock=now)
        existing = existing_at_rest(store, settings, events, now)
        service = Service(
            store, settings, events, now, checks_, status, folders, existing, learning, crop_files
        )
        intake = Intake(store, queue.put_file, now, lambda: settings.config.history.paths)
        upkeep = Upkeep(store, settings, model, status, queue, now, queue.open)
        if starts:
            parts.enter_context(worker)
        yield AtWork(service, queue, worker, intake, upkeep)


@pytest.fixture
def service(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path) as service:
        yield service


def now():
    return datetime.now(UTC)


def stamp(path: Path) -> Stamp:
    return Stamp.of(str(path), path.lstat())


def person(**more) -> CheckRequest:
    return CheckRequest(source="api", **more)


def judged(service, data: bytes, **more):
    return service.wait(service.check(data, person(**more)).id, within(60)).answer


def everything(service) -> list:
    return service.page(Filter(), limit=500)[0]


def test_a_picture_is_judged_and_the_same_bytes_are_answered_from_the_history(service):
    first = service.check(png(1), person())
    assert first.state == "queued"
    answer = service.wait(first.id, within(60)).answer
    check = answer.entry.check
    assert (answer.id, check.source, check.width, check.format) == (first.id, "api", 96, "PNG")
    assert check.label in ("real", "fake", "unsure")
    again = service.check(png(1), CheckRequest(source="extension"))
    assert (again.state, again.id) == ("done", first.id)
    assert len(everything(service)) == 1
    assert answer.entry.has_thumbnail
    assert service.thumbnail(first.id)[8:12] == b"WEBP"
    assert list((service.settings.path.parent / "spool").iterdir()) == []


def test_another_prompt_judges_the_same_bytes_again(service, home):
    first = judged(service, png(2))
    book, bundle = Promptbook(home.prompts), home.bundle()
    book.use("p2", bundle)
    try:
        second = judged(service, png(2))
    finally:
        book.use("p1", bundle)
    assert first.entry.check.prompt.startswith("p1@")
    assert second.entry.check.prompt.startswith("p2@")
    assert second.id != first.id


def test_a_file_that_is_no_picture_is_a_row_that_says_why(service):
    answer = judged(service, b"%PDF-1.4 not a picture")
    assert (answer.label, answer.word) == (None, "not checked")
    assert answer.entry.check.code == "unknown_format"
    assert answer.explanation == [
        "This is a PDF document, not a picture. Save the picture in it, or take a screenshot,"
        " and check that."
    ]
    assert judged(service, png(3)).label is not None


def test_a_private_picture_gets_a_verdict_and_leaves_no_trace(service, tmp_path):
    answer = judged(service, png(4), is_private=True, page="https://secret.example/a")
    assert answer.label is not None
    assert not answer.is_stored
    assert everything(service) == []
    with service.store.reading() as session:
        assert jobs.pending(session) == []
    assert list((tmp_path / "spool").iterdir()) == []
    assert b"secret.example" not in (tmp_path / "history.db").read_bytes()


def test_only_the_host_of_a_page_is_kept(service):
    answer = judged(service, png(5), page="https://user:pw@news.example:8443/private?token=1#x")
    assert answer.entry.check.page == "news.example"


def test_a_watched_file_gets_a_verdict_and_a_row_in_the_ledger(service, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(6))
    assert service.found(path)
    found = eventually(lambda: everything(service))[0].entry.check
    assert (found.source, found.path) == ("watch", str(path))
    assert service.unknown(path) == []
    assert service.found(path)
    assert len(everything(service)) == 1


def test_a_moved_file_keeps_its_verdict(service, tmp_path):
    path, there = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(png(7))
    service.found(path)
    before = eventually(lambda: everything(service))[0].id
    path.rename(there)
    assert service.found(there)
    service.intake.gone([str(path)])
    assert [(one.id, one.entry.check.path) for one in everything(service)] == [(before, str(there))]
    assert service.unknown(there) == []


def judged_batches(service, monkeypatch) -> list:
    """Returns a list that grows with each batch that the model judges."""
    model, seen = service.worker._judge._model, []
    judge = model.judge
    monkeypatch.setattr(model, "judge", lambda crops: seen.append(len(crops)) or judge(crops))
    return seen


def names(service, text="") -> list[list]:
    found = service.page(Filter(text=text), limit=500)[0]
    return [[one.shown_name for one in answer.entry.occurrences] for answer in found]


def test_a_copy_in_a_watched_folder_is_seen_at_once_without_being_judged(
    service, tmp_path, monkeypatch
):
    path, copy = tmp_path / "first.png", tmp_path / "Second.png"
    path.write_bytes(png(70))
    service.found(path)
    eventually(lambda: everything(service))
    batches = judged_batches(service, monkeypatch)
    copy.write_bytes(png(70))
    service.found(copy)
    assert eventually(lambda: names(service, "second")) == [["Second.png", "first.png"]]
    os.utime(copy, (1, 1))  # touched: seen already
    eventually(lambda: service.found(copy))  # the worker may not be done with it yet
    eventually(lambda: service.unknown(copy) == [])
    assert names(service) == [["Second.png", "first.png"]]
    assert batches == []

    moved = tmp_path / "third.png"
    copy.rename(moved)
    service.found(moved)
    assert names(service) == [["third.png", "first.png"]]
    assert names(service, "second") == []
    hard_link = tmp_path / "fourth.png"
    hard_link.hardlink_to(moved)
    service.found(hard_link)
    assert names(service, "fourth") == [["fourth.png", "third.png", "first.png"]]
    assert batches == []


@pytest.mark.parametrize("raw", [png(73), png(72)], ids=["changed", "touched"])
def test_a_file_that_changes_while_it_is_judged_is_offered_again(
    tmp_path, home, heavy, monkeypatch, raw
):
    path, model, answers = tmp_path / "a.png", heavy[1], []
    path.write_bytes(png(72))
    with at_work(home, heavy, tmp_path / "b", starts=False) as idle:

        def change_and_judge(crops, judge=model.judge):
            path.write_bytes(raw)
            os.utime(path, (1, 1))
            answers.append(idle.found(path))
            return judge(crops)

        assert idle.found(path)
        assert idle.found(path)  # it waits, and will be read as it is then
        monkeypatch.setattr(model, "judge", change_and_judge)
        idle.step()
        monkeypatch.undo()
        assert answers == [False]
        assert idle.unknown(path)
        assert idle.found(path)
        idle.step()
        assert not idle.unknown(path)
        assert [one.entry.check.sha256 for one in everything(idle)] == [sha256(raw).hexdigest()]


def test_copies_that_are_found_together_are_one_row_with_both_names(tmp_path, home, heavy):
    with at_work(home, heavy, tmp_path / "b", starts=False) as idle:
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(png(71))
            idle.found(tmp_path / name)
        idle.step()
        assert [set(found) for found in names(idle)] == [{"a.png", "b.png"}]


def test_pictures_that_wait_are_seen_as_often_as_they_are_sent(tmp_path, home, heavy):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        first = idle.check(png(72), person(name="a.png"))
        assert idle.check(png(72), person(name="b.png")).id == first.id
        idle.step()
        assert names(idle, "b.png") == names(idle, "a.png") == [["b.png", "a.png"]]


def test_copies_are_counted_and_not_named_where_no_paths_are_kept(tmp_path, home, heavy):
    config = replace(Config(), history=replace(Config().history, paths=False))
    with at_work(home, heavy, tmp_path / "b", config) as service:
        for name in ("one.png", "two.png"):
            (tmp_path / name).write_bytes(png(73))
            service.found(tmp_path / name)
            eventually(lambda path=tmp_path / name: service.unknown(path) == [])
        (tmp_path / "three.png").hardlink_to(tmp_path / "two.png")
        service.found(tmp_path / "three.png")
        judged(service, png(73), name="four.png")
        (answer,) = everything(service)
        assert answer.entry.times_seen >= 3
        seen = [(one.path, one.name) for one in answer.entry.occurrences]
        assert set(seen) == {(None, None)}


def test_a_full_disk_does_not_keep_a_known_picture_from_its_answer(service, monkeypatch):
    known = judged(service, png(74))

    @contextmanager
    def full(**_):
        raise StorageFullError("No space.")
        yield

    monkeypatch.setattr(service.store, "writing", full)
    again = service.check(png(74), person(name="again.png"))
    assert (again.state, again.answer.id) == ("done", known.id)


def test_a_file_that_vanishes_or_grows_before_its_turn_makes_no_row(tmp_path, home, heavy):
    with at_work(home, heavy, tmp_path / "b", starts=False) as idle:
        gone, grown, link = (tmp_path / f"{name}.png" for name in ("gone", "grown", "link"))
        for path in (gone, grown, link):
            path.write_bytes(png(8))
            assert idle.found(path)
        gone.unlink()
        link.unlink()
        link.symlink_to(grown)
        idle.step()
        with idle.store.reading() as session:
            known = ledger.known(session, str(grown))
            assert jobs.pending(session) == []
        assert [one.entry.check.path for one in everything(idle)] == [str(grown)]
        assert known.check_id is not None


def test_people_are_served_before_folders(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        for number in range(6):
            path = tmp_path / f"{number}.png"
            path.write_bytes(png(10 + number))
            idle.found(path)
        ticket = idle.check(png(20), person())
        assert idle.step()
        assert [one.id for one in everything(idle)] == [ticket.id]
        assert idle.step()
        assert len(everything(idle)) == 5


def test_a_full_queue_says_so_at_once_and_folders_do_not_block_users(home, heavy, tmp_path):
    config = Config(worker=config_settings.Worker(queue=2))
    with at_work(home, heavy, tmp_path, config, starts=False) as idle:
        paths = [tmp_path / f"{number}.png" for number in range(3)]
        for path in paths:
            path.write_bytes(png(1))
        assert [idle.found(path) for path in paths] == [True, True, False]
        for number in range(2):
            idle.check(png(30 + number), person())
        with pytest.raises(QueueFullError, match="2 pictures are waiting"):
            idle.check(png(40), person())
        while idle.step():
            pass
        assert idle.found(paths[2])


def test_the_same_bytes_sent_again_while_queued_are_judged_once(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        first, second = idle.check(png(50), person()), idle.check(png(50), person())
        assert first.id == second.id
        paths = [tmp_path / "x.png", tmp_path / "y.png"]
        for path in paths:
            path.write_bytes(png(50))
            idle.found(path)
        while idle.step():
            pass
        assert len(everything(idle)) == 1
        assert idle.unknown(*paths) == []


def test_copies_that_are_judged_at_the_same_time_get_one_row(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        paths = [tmp_path / f"{name}.png" for name in ("x", "y", "z")]
        for path in paths:
            path.write_bytes(png(55))
            assert idle.found(path)
        assert idle.step()
        [row] = everything(idle)
        with idle.store.reading() as session:
            noted = [ledger.known(session, str(path)).check_id for path in paths]
        assert noted == [row.id] * 3


def test_a_picture_that_kills_the_model_three_times_is_given_up_but_no_other(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        paths = [tmp_path / f"{name}.png" for name in ("a", "poison", "z")]
        for number, path in enumerate(paths):
            path.write_bytes(png(60 + number))
        paths[1].write_bytes(saved(picture(666), "PNG"))
        for path in paths:
            assert idle.found(path)
        with idle.worker:
            rows = eventually(lambda: len(everything(idle)) == 3 and everything(idle), 60)
        by_path = {one.entry.check.path: one.entry.check for one in rows}
        assert by_path[str(paths[1])].code == "crashed"
        assert "left alone" in by_path[str(paths[1])].error
        assert all(by_path[str(path)].label for path in (paths[0], paths[2]))
        assert idle.unknown(*paths) == []
        assert judged_by_hand(idle, png(70)).label is not None


@pytest.mark.attack
def test_a_private_picture_beside_one_that_kills_the_model_is_judged_too(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        sent = [
            idle.check(data, person(is_private=True))
            for data in (png(64), saved(picture(666), "PNG"), png(65))
        ]
        with idle.worker:
            first, poison, last = (idle.wait(ticket.id, within(60)).answer for ticket in sent)
        assert all(one.label for one in (first, last))
        assert poison.entry.check.code == "crashed"
        assert everything(idle) == []


def judged_by_hand(idle, data):
    ticket = idle.check(data, person())
    eventually(lambda: not idle.step() and not idle.queue.is_unfinished(ticket.id), 30)
    return idle.ticket(ticket.id).answer


def test_jobs_that_were_running_when_the_daemon_died_are_run_again(home, heavy, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(80))
    with at_work(home, heavy, tmp_path, starts=False) as dead:
        dead.found(path)
        sent = dead.check(png(81), person())
        with dead.store.writing() as session:
            take_next(session)
        (tmp_path / "spool" / ("0" * 32)).write_bytes(b"nobody waits for this")
        (tmp_path / "spool" / "not ours").write_bytes(b"x")
    with at_work(home, heavy, tmp_path) as risen:
        assert risen.wait(sent.id, within(60)).answer.label is not None
        eventually(lambda: len(everything(risen)) == 2)
        assert [one.name for one in (tmp_path / "spool").iterdir()] == ["not ours"]


def test_a_picture_that_arrives_while_the_worker_is_idle_is_begun_at_once(service):
    judged(service, png(82))
    sent = []

    def is_begun() -> bool:
        sent.append(service.check(png(200 + len(sent)), person()).id)
        with service.store.reading() as session:
            job = jobs.get(session, sent[-1])
        return (job.state, job.attempts) == ("running", 1)

    eventually(is_begun)
    eventually(lambda: len(everything(service)) == 1 + len(sent))


def test_a_paused_folder_waits_and_a_user_does_not(home, heavy, tmp_path):
    paused = Config(watch=config_settings.Watch(paused_until=now() + timedelta(hours=1)))
    with at_work(home, heavy, tmp_path, paused) as service:
        assert service.state().mode == "paused"
        path = tmp_path / "a.png"
        path.write_bytes(png(90))
        service.found(path)
        judged(service, png(91))
        assert len(everything(service)) == 1
        service.settings.pause(None)
        service.worker.wake()
        eventually(lambda: len(everything(service)) == 2)


def test_with_a_full_disk_verdicts_are_given_and_nothing_is_lost(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        path = tmp_path / "a.png"
        path.write_bytes(png(95))
        idle.found(path)
        batch = idle.queue.take(Priority.BATCH)
        full(idle, is_full=True)
        idle.worker._process(batch)
        assert "full" in idle.state().notices[0]
        ticket = idle.check(png(96), person())
        assert idle.step()
        answer = idle.ticket(ticket.id).answer
        assert answer.label is not None
        assert not answer.is_stored
        full(idle, is_full=False)
        idle.worker.wake()
        idle.step()
        assert str(path) in [one.entry.check.path for one in everything(idle)]
        assert idle.state().notices == []


def full(service, *, is_full: bool) -> None:
    """Fills the database and forbids it to grow, as on a full disk, or lets it grow again."""
    engine = service.store.database.engine
    engine.dispose()
    event.listen(engine, "connect", at_most_pages(1 if is_full else 2**30))
    for size in (4000, 400, 40, 1) if is_full else ():
        with suppress(StorageFullError):
            for number in range(10_000):
                with service.store.writing() as session:
                    name = f"{size:08x}{number:056x}"
                    checks.keep_thumbnail(session, name, bytes(size), now())


def at_most_pages(count):
    def limit(connection, _record):
        connection.execute(f"PRAGMA max_page_count={count}")

    return limit


def test_without_a_model_users_are_told_and_folders_wait(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        path = tmp_path / "a.png"
        path.write_bytes(png(97))
        idle.found(path)
        ticket = idle.check(png(98), person())
        active = home.models / "active"
        named = active.read_bytes()
        active.write_text("missing")
        try:
            idle.step()
            idle.worker.wake()
            idle.step()
            answer = idle.ticket(ticket.id).answer
            assert answer.entry.check.code == "no_model"
            assert answer.card.file is not None
            assert everything(idle) == []
            assert "missing" in idle.state().notices[0]
        finally:
            active.write_bytes(named)
        idle.worker.wake()
        assert idle.step()
        assert idle.state().notices == []
        assert [one.entry.check.path for one in everything(idle)] == [str(path)]


def test_folders_that_wait_for_a_model_are_tried_again_later(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        path = tmp_path / "a.png"
        path.write_bytes(png(101))
        idle.found(path)
        active = home.models / "active"
        named = active.read_bytes()
        active.write_text("missing")
        try:
            assert idle.step(at=100.0)
        finally:
            active.write_bytes(named)
        assert not idle.step(at=100.0 + HOLD_S - 0.1)
        assert everything(idle) == []
        assert idle.step(at=100.0 + HOLD_S)
        assert [one.entry.check.path for one in everything(idle)] == [str(path)]


def test_a_sent_picture_whose_copy_is_gone_after_a_kill_makes_no_row(home, heavy, tmp_path):
    """The picture was answered while the disk was full."""
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        ticket = idle.check(png(92), person())
        [copy] = (tmp_path / "spool").iterdir()
        copy.unlink()
        assert idle.step()
        assert everything(idle) == []
        assert not idle.queue.is_unfinished(ticket.id)


def test_forgetting_a_picture_while_it_is_judged_leaves_no_trace(home, heavy, tmp_path):
    with at_work(home, heavy, tmp_path, starts=False) as idle:
        ticket = idle.check(png(99), person())
        batch = idle.queue.take(Priority.BATCH)
        with idle.store.writing() as session:
            jobs.drop(session, ticket.id)
        idle.worker._process(batch)
        assert everything(idle) == []
        assert not idle.queue.is_unfinished(ticket.id)


# --- Corrections and upkeep ---------------------------------------------------------------


def test_a_label_counts_for_the_picture_and_its_near_copies_and_can_be_undone(service):
    answer = judged(service, saved(picture(200, 300), "PNG"))
    [said] = service.correct([answer.id], "real", "api", note="I took it")
    assert (said.label, said.word, said.percent) == ("real", "You said: real", None)
    smaller = saved(picture(200, 300).resize((150, 150)), "JPEG", quality=60)
    copy = judged(service, smaller)
    assert (copy.word, copy.entry.near_copy_correction is not None) == ("You said: real", True)
    assert judged(service, png(201)).correction is None
    [undone] = service.undo([answer.id], "api")
    assert undone.word == answer.word
    assert service.get(copy.id).word != "You said: real"


def test_checks_and_corrections_are_events_but_private_checks_are_not(service):
    start = service.events.last
    judged(service, png(210), is_private=True)
    answer = judged(service, png(211))
    service.correct([answer.id], "fake", "api")
    told = [event for event in service.events.after(start) if event.kind != "state"]
    assert [(event.kind, event.data["id"]) for event in told] == [
        ("check", answer.id),
        ("correction", answer.id),
    ]
    assert service.events.after(start - 1) is None


def test_tidying_up_keeps_what_the_user_wants_kept(service):
    answer = judged(service, png(220))
    service.settings.put("history.keep_checks", 1)
    judged(service, png(221))
    service.upkeep.tidy()
    rows = everything(service)
    assert len(rows) == 1
    assert rows[0].id > answer.id
    assert service.store.backups.all()


def test_edited_settings_are_read_again_and_errors_reported_once(service):
    service.settings.path.write_text("[worker]\nqueue = 7\n")
    service.upkeep.look_after()
    assert service.config.worker.queue == 7
    service.settings.path.write_text("[worker]\nqeue = 8\n")
    with pytest.raises(Exception, match="did you mean"):
        service.upkeep.look_after()
    service.upkeep.look_after()
    assert service.config.worker.queue == 7


def test_an_idle_queue_costs_no_processor_time(service):
    judged(service, png(230))
    (worker,) = (one.native_id for one in threading.enumerate() if one.name == "worker")
    before = cpu_s(worker)
    time.sleep(0.5)  # the test measures what an idle worker uses in that time
    assert cpu_s(worker) - before < within(0.1)


def cpu_s(thread: int) -> float:
    """Returns the processor time that one thread of this process has used."""
    known = {one.id: one for one in psutil.Process().threads()}
    return known[thread].user_time + known[thread].system_time
