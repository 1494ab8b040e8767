"""What can be done, whichever door it is asked through."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Literal, Protocol
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from antifake.core import AntifakeError, Label
from antifake.daemon.config import Config
from antifake.daemon.store import (
    Store,
    StoreError,
    checks,
    corrections,
    exchange,
    forgetting,
    history,
    jobs,
    ledger,
    mend,
)
from antifake.daemon.store.checks import Check
from antifake.daemon.store.corrections import Word
from antifake.daemon.store.exchange import Form, Imported
from antifake.daemon.store.history import Count, Entry, Filter
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.tables import Source
from antifake.daemon.watcher import FolderState
from antifake.daemon.watcher.roots import objection_to
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.model_process import ModelProcess, ModelState
from antifake.daemon.worker.worker import Done, Worker

from .answers import Answer, Ticket, verdict_of
from .events import Events
from .settings import Settings

KEPT_PRIVATE = 200
"""So many answers that are in no log are kept for whoever asked, the oldest go first."""


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """Who wants a picture checked, and what is known of it."""

    source: Source
    priority: Priority = Priority.PERSON
    path: str | None = None
    """Where the file lies, if it does on this computer."""
    page: str | None = None
    """Address of the page it was on; as much of it is kept as the person wants."""
    is_private: bool = False
    """Leave nothing in the log, as for a private window."""


@dataclass(frozen=True)
class State:
    """How things are, for health, tray and page."""

    mode: Literal["ready", "working", "paused", "attention"]
    model: ModelState
    waiting: dict[str, int]
    """How many wait: person, folder, batch."""
    paused_until: datetime | None
    notices: list[str]
    """What the person must know, in sentences."""


class Watching(Protocol):
    """What is asked of the watcher."""

    def state(self) -> list[FolderState]: ...
    def rescan(self) -> None: ...


@dataclass(frozen=True)
class Dependencies:
    """What the verbs work on."""

    store: Store
    settings: Settings
    active_model: ActiveModel
    model: ModelProcess
    events: Events
    clock: Callable[[], datetime]


@dataclass
class _Handed:
    """What those who wait for one name are given, instead of reading it from the log."""

    answer: Answer | None = None


class Service:
    """Usable from many threads."""

    def __init__(self, parts: Dependencies) -> None:
        self.store, self.settings, self.events = parts.store, parts.settings, parts.events
        self.clock = parts.clock
        self._active_model, self._model = parts.active_model, parts.model
        self._worker: Worker | None = None
        self._watching: Watching | None = None
        self._after_mending: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._unlogged: OrderedDict[str, Answer] = OrderedDict()
        # Each is there as long as somebody waits for that name.
        self._waiters: WeakValueDictionary[str, _Handed] = WeakValueDictionary()
        self._notices: list[str] = list(parts.store.notices)
        self._trouble: str | None = None

    def serve(self, worker: Worker, watching: Watching) -> None:
        """The line that judges, and the watcher: made after the service, which they call."""
        self._worker, self._watching = worker, watching

    def after_mending(self, call: Callable[[], object]) -> None:
        """`call` is called when another log is in the place of one that was damaged."""
        self._after_mending = call

    @property
    def worker(self) -> Worker:
        if self._worker is None:
            raise AntifakeError("antifake is starting; try again in a moment.")
        return self._worker

    @property
    def config(self) -> Config:
        return self.settings.config

    # --- Checks -----------------------------------------------------------------------------

    def check(self, data: bytes, asked: CheckRequest) -> Ticket:
        """Have the bytes of a picture judged, or answered from the log.

        Raises ModelError where nobody can judge, QueueFullError, StoreError.
        """
        version = self._active_model.now()
        sha256 = hashlib.sha256(data).hexdigest()
        if not asked.is_private:
            with suppress(StoreError):  # whose log cannot be read gets a verdict all the same
                with self.store.reading() as session:
                    known = checks.earlier(session, sha256, version.model, version.prompt)
                    if known is not None:
                        return Ticket(known.id, "done", Answer(history.entry(session, known)))
                    same = jobs.in_flight(session, sha256)
                if same is not None:
                    return self.ticket(same.id)
        new_job = NewJob(
            source=asked.source, priority=asked.priority, sha256=sha256,
            path=asked.path if self.config.history.paths else None,
            page=self._page(asked.page),
        )  # fmt: skip
        return Ticket(self.worker.queue.put(new_job, data, is_private=asked.is_private), "queued")

    def ticket(self, name: str) -> Ticket:
        """How far a check has come. Raises NotThereError."""
        with self._lock:
            if name in self._unlogged:
                return Ticket(name, "done", self._unlogged[name])
        if self._worker is not None and self._worker.queue.is_open(name):
            return Ticket(name, "running")
        with self.store.reading() as session:
            try:
                job = jobs.get(session, name)
                found = job.check_id
                if job.state in ("queued", "running"):
                    return Ticket(name, "queued")
            except AntifakeError:
                found = None
            check = checks.get(session, found or name)
        return Ticket(check.id, "done", self._answer(check))

    def wait(self, name: str, seconds: float) -> Ticket:
        """As `ticket`, after waiting at most so long for its end."""
        with self._lock:
            handed = self._waiters.setdefault(name, _Handed())
        self.worker.queue.wait(name, seconds)
        if handed.answer is not None:
            return Ticket(handed.answer.id, "done", handed.answer)
        return self.ticket(name)

    def done(self, done: Done) -> None:
        """The line tells that somebody's turn is over."""
        try:
            answer = self._answer(done.check, is_stored=done.is_stored)
        except StoreError:
            answer = Answer(Entry(done.check, None, has_thumbnail=False), done.is_stored)
        self._hand_over(done, answer)
        if not done.is_stored:
            return  # and nobody else hears of it
        check = done.check
        self.events.tell(
            "check",
            **verdict_of(answer),
            source=check.source,
            name=checks.file_name(check.path) if check.path else None,
            error=check.error,
        )

    def _hand_over(self, done: Done, answer: Answer) -> None:
        """To those who wait for it; and keep what is in no log for those who come back."""
        with self._lock:
            if handed := self._waiters.get(done.id):
                handed.answer = answer
            if done.is_stored:
                self._unlogged.pop(done.id, None)
                return
            self._unlogged[done.id] = answer
            while len(self._unlogged) > KEPT_PRIVATE:
                self._unlogged.popitem(last=False)

    def _page(self, page: str | None) -> str | None:
        """As much of an address as the person wants kept."""
        keep = self.config.history.pages
        if not page or keep == "no":
            return None
        if keep == "all":
            return page[:2000]
        try:
            return urlsplit(page if "//" in page else f"//{page}").hostname
        except ValueError:
            return None

    def _answer(self, check: Check, *, is_stored: bool = True) -> Answer:
        with self.store.reading() as session:
            return Answer(history.entry(session, check), is_stored)

    # --- History ----------------------------------------------------------------------------

    def get(self, name: str) -> Answer:
        """Raises NotThereError."""
        with self.store.reading() as session:
            check = checks.get(session, name)
        return self._answer(check)

    def page(
        self, wanted: Filter, after: str | None = None, limit: int = 50
    ) -> tuple[list[Answer], str | None]:
        """At most `limit` answers, newest first, and what to give as `after` for those behind."""
        with self.store.reading() as session:
            found = history.page(session, wanted, after, limit)
            return [Answer(entry) for entry in found.entries], found.next

    def count(self, wanted: Filter) -> int:
        with self.store.reading() as session:
            return history.count(session, wanted)

    def count_by_day(
        self, since: datetime, until: datetime, utc_offset: timedelta = timedelta()
    ) -> list[Count]:
        with self.store.reading() as session:
            return history.count_by_day(session, since, until, utc_offset)

    def thumbnail(self, name: str) -> bytes | None:
        """WebP. Raises NotThereError where there is no such check."""
        with self.store.reading() as session:
            sha256 = checks.get(session, name).sha256
            return checks.thumbnail(session, sha256) if sha256 else None

    def export(self, out: IO[str], form: Form, wanted: Filter | None = None) -> int:
        with self.store.reading() as session:
            return exchange.export(session, out, form, wanted)

    def import_rows(self, lines: Iterable[str], form: Form) -> Imported:
        done = exchange.import_rows(self.store, lines, form, self.clock())
        self.events.tell("state")
        return done

    def forget(self, names: Collection[str]) -> int:
        """Leave nothing of these pictures; gives how many checks went. Raises NotThereError."""
        gone = forgetting.forget(self.store, names, self.clock())
        self.events.tell("forgotten", ids=sorted(names))
        return gone

    # --- The person's word ------------------------------------------------------------------

    def correct(
        self, names: Collection[str], label: Label | None, source: Source, note: str = ""
    ) -> list[Answer]:
        """Say what these pictures are; None takes back what was said of them.

        Raises NotThereError, and changes nothing then.
        """
        with self.store.writing(durable=True) as session:
            found = [checks.get(session, name) for name in names]
            corrections.correct(session, _pictures(found), Word(label, source, note), self.clock())
        return self._corrected(found)

    def undo(self, names: Collection[str], source: Source) -> list[Answer]:
        """Take the last word on each back; what was said before counts again."""
        with self.store.writing(durable=True) as session:
            found = [checks.get(session, name) for name in names]
            for sha256 in _pictures(found):
                corrections.undo(session, sha256, source, self.clock())
        return self._corrected(found)

    def _corrected(self, found: Sequence[Check]) -> list[Answer]:
        answers = [self._answer(check) for check in found]
        for answer in answers:
            self.events.tell("correction", **verdict_of(answer))
        return answers

    # --- What the watcher asks ----------------------------------------------------------------

    def unknown(self, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
        """Those files that look different from what the ledger has noted."""
        with self.store.reading() as session:
            yield from ledger.unknown(session, stamps)

    def found(self, stamp: Stamp) -> bool:
        """A file of a watched folder is whole; False: come again, there is no room now."""
        with self.store.reading() as session:
            noted = ledger.known(session, stamp.path)
            moved = ledger.known_elsewhere(session, stamp)
        if noted is not None and noted.stamp == stamp:
            return True
        if moved is None:
            return self.worker.queue.put_file(stamp)
        with self.store.writing() as session:
            ledger.note(session, stamp, sha256=moved.sha256, check_id=moved.check_id)
            if moved.check_id is not None and not os.path.lexists(moved.stamp.path):
                checks.moved(session, moved.check_id, stamp.path)
        return True

    def noted(self, folder: str) -> Iterator[str]:
        """Every file below a folder that the ledger knows."""
        with self.store.reading() as session:
            yield from ledger.paths_in(session, folder)

    def gone(self, paths: Collection[str]) -> None:
        """These files are not there any more; their history stays."""
        with self.store.writing() as session:
            ledger.drop(session, paths)

    def folders(self) -> list[FolderState]:
        """The watched folders, and what is wrong with them; without a watcher as they are set."""
        if self._watching is not None:
            return self._watching.state()
        return [
            FolderState(one, one.polling, objection_to(str(one.path)), pending=0)
            for one in self.config.watch.folders
        ]

    def rescan(self) -> None:
        """Look through all of them soon."""
        if self._watching:
            self._watching.rescan()

    # --- How things are -----------------------------------------------------------------------

    def state(self) -> State:
        counted, trouble = dict.fromkeys(Priority, 0), None
        try:
            with self.store.reading() as session:
                counted = jobs.waiting(session)
        except StoreError as error:
            trouble = str(error)
        waiting = {priority.name.lower(): n for priority, n in counted.items()}
        until = self.config.watch.paused_until
        until = until if until and until > self.clock() else None
        model = self._model.state()
        with self._lock:
            broken = model.why if model.phase == "broken" else None
            current = [self._trouble, trouble, broken, model.warning]
            notices = list(dict.fromkeys([*self._notices, *filter(None, current)]))
        return State(self._mode(notices, until), model, waiting, until, notices)

    def _mode(
        self, notices: list[str], until: datetime | None
    ) -> Literal["ready", "working", "paused", "attention"]:
        if notices:
            return "attention"
        if self._worker is not None and self._worker.n_working:
            return "working"
        return "paused" if until else "ready"

    def trouble(self, sentence: str | None) -> None:
        """What keeps pictures from being judged just now; None: nothing any more."""
        with self._lock:
            is_new, self._trouble = sentence != self._trouble, sentence
        if is_new:
            self.events.tell("state")

    def paced(self) -> None:
        """The line has begun to work, or has nothing to do any more."""
        self.events.tell("state")

    def notice(self, sentence: str) -> None:
        """Tell the person, until they say that they have read it."""
        with self._lock:
            if sentence not in self._notices:
                self._notices.append(sentence)
        self.events.tell("state")

    def dismiss_notices(self) -> None:
        """They were read."""
        with self._lock:
            self._notices.clear()
        self.events.tell("state")

    # --- What the schedule does -----------------------------------------------------------------

    def look_after(self) -> None:
        """Every half minute: edited settings, and a model that nobody has needed for long."""
        self._mend_log()
        self.settings.reload_if_changed()
        if not self.worker.n_working:
            self._model.sleep_if_idle(60 * self.config.worker.idle_minutes)

    def _mend_log(self) -> None:
        told = mend(self.store, self.clock())
        for sentence in told:
            self.notice(sentence)
        if told:  # who waited may not be in it any more, nor the tokens
            if self._after_mending:
                self._after_mending()
            self.worker.queue.open()
            self.worker.wake()
            self.rescan()

    def tidy(self) -> None:
        """Once a day: the backup, and what has become older than the person wants it kept."""
        now, kept = self.clock(), self.config.history
        self.store.back_up(now)
        if kept.keep_days:
            forgetting.retire(self.store, now - timedelta(days=kept.keep_days))
        if kept.keep_checks:
            with self.store.reading() as session:
                before = forgetting.older_than_newest(session, kept.keep_checks)
            if before is not None:
                forgetting.retire(self.store, before)
        with self.store.writing() as session:
            forgetting.trim_thumbnails(session, kept.thumbnails)
            jobs.drop_over(session, now - timedelta(days=1))


def _pictures(found: Sequence[Check]) -> list[str]:
    """Raises AntifakeError where one was never read, so that nothing can be said of it."""
    missing = [check for check in found if check.sha256 is None]
    if missing:
        raise AntifakeError("A picture that could not be read cannot be corrected.")
    return list(dict.fromkeys(check.sha256 for check in found if check.sha256))
