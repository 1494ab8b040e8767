"""The one thread that serves those who wait: judge, write down, tell.

What goes wrong on the way (no model, a full disk, a picture that kills) is dealt with here, so
that nobody waits in vain and nothing is lost.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

from antifake.core.errors import AntifakeError, ModelError
from antifake.daemon.config import Config
from antifake.daemon.store import Store, StoreError, jobs
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.jobs import Priority

from .job import Outcome, Work
from .judge import Judge
from .model_process import ModelChangedError, ModelDiedError, ModelLoadingError, ModelRestingError
from .queue import WaitingRoom
from .record import record

log = logging.getLogger(__name__)

HOLD_S = 15.0
"""So long folders wait where no model loads or the disk is full, before it is tried again."""
_IDLE_S = 30.0
_LOADING_S = 0.2


@dataclass(frozen=True)
class Done:
    """What came of a work."""

    id: str
    check: Check
    is_stored: bool


@dataclass(frozen=True)
class Around:
    """What the line needs of its surroundings."""

    config: Callable[[], Config]
    clock: Callable[[], datetime]
    on_done: Callable[[Done], None]
    on_trouble: Callable[[str | None], None]
    """Told why folders must wait, in a sentence; None: it is over."""
    on_pace: Callable[[], None]
    """Told when there is work again, and when there is none any more."""


class Line:
    """A context manager: inside it there is a thread that judges who is in the room."""

    def __init__(self, store: Store, judge: Judge, room: WaitingRoom, around: Around) -> None:
        self._store, self._judge, self.room, self._around = store, judge, room, around
        self._unwritten: list[Outcome] = []
        self._held_until = 0.0
        self._n_working = 0
        self._is_busy = False
        self._is_resting = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="judging", daemon=True)

    @property
    def n_working(self) -> int:
        """Pictures that are being judged just now."""
        return self._n_working

    def wake(self) -> None:
        """Something may have changed for those who wait: settings, a model, the disk."""
        self._held_until = 0.0
        self.room.ring()

    # --- Life -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._recover()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The pictures at hand are finished; who still waits is in the log."""
        self._is_closing = True
        self.room.let_go()
        self._thread.join(8)
        if not self._thread.is_alive():
            with suppress(StoreError):  # the next start takes up what was begun
                self.room.put_back_ahead()

    def _recover(self) -> None:
        """Take up what the last run was killed over."""
        with self._store.writing() as session:
            queued, failed = jobs.recover(session)
            for job in failed:
                record(session, _given_up(Work(job)), self._around.clock())
        if queued or failed:
            log.info("%d pictures are taken up again, %d were given up", queued, len(failed))
        self.room.open()

    def _run(self) -> None:
        while not self._is_closing:
            news = self.room.news
            try:
                if self.step():
                    continue
            except StoreError as error:
                self._trouble(error)
            self._wait(news)

    def _wait(self, news: int) -> None:
        """For anybody who comes after `news`; a while without is used to free memory."""
        self._pace(is_busy=False)
        somebody_came = self.room.wait_for_news(news, self._pause_s())
        if not somebody_came and not self._is_resting:
            self._is_resting = True
            self._judge.rest()

    def _pace(self, *, is_busy: bool) -> None:
        if is_busy != self._is_busy:
            self._is_busy = is_busy
            self._around.on_pace()

    def _pause_s(self) -> float:
        held = self._held_until - time.monotonic()
        return max(0.05, held) if held > 0 else _IDLE_S

    # --- One turn ---------------------------------------------------------------------------

    def step(self) -> bool:
        """Judge the next few; False where nobody's turn has come."""
        self._write_late()
        self._try_the_disk()
        if self._judge.is_starting():
            self._wait_for_model()  # nobody is begun whom a death of now would be counted against
        works = self.room.take(self._lowest())
        if not works:
            return False
        self._is_resting = False
        self._n_working = len(works)
        self._pace(is_busy=True)
        try:
            self._settle(works)
        except StoreError:
            raise
        except Exception:
            # A fault of ours. Whoever waits must not wait for ever, nor the others behind.
            log.exception("the line stumbled")
            self._after_death(works, AntifakeError("antifake stumbled over this picture."))
        finally:
            self._n_working = 0
        return True

    def _lowest(self) -> Priority:
        """Who has a turn: while folders are paused, or nothing can be done for them, people."""
        paused = self._around.config().watch.paused_until
        if self._held_until > time.monotonic() or (paused and paused > self._around.clock()):
            return Priority.PERSON
        return Priority.BATCH

    def _settle(self, works: list[Work]) -> None:
        try:
            outcomes = self._judge.judge(works, self._around.config())
        except ModelChangedError:
            self.room.put_back(works)
        except ModelLoadingError:
            self.room.put_back(works)
            self._wait_for_model()
        except ModelRestingError as error:
            self._trouble(error)
            self._without_model(works, error)
        except ModelDiedError as error:
            log.warning("%s", error)
            self._after_death(works, error)
        except ModelError as error:
            self._trouble(error)
            self._without_model(works, error)
        except StoreError:
            self.room.put_back(works)
            raise
        else:
            if any(outcome.finding or outcome.known for outcome in outcomes):
                self._well()
            self._finish(outcomes)

    def _wait_for_model(self) -> None:
        while not self._is_closing and self._judge.is_loading(_LOADING_S):
            pass

    def _finish(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.work.is_private:
                self._answer(outcome)
        stored = [outcome for outcome in outcomes if not outcome.work.is_private]
        try:
            self._write(stored)
        except StoreError as error:
            self._unwritten += stored
            for outcome in stored:
                if outcome.work.is_person:  # who need not wait for the disk as well
                    self._answer(outcome)
            self._trouble(error)

    def _write_late(self) -> None:
        """What could not be written down when it was judged."""
        if self._unwritten and self._held_until <= time.monotonic():
            self._write(self._unwritten)
            self._unwritten = []
            self._well()

    def _try_the_disk(self) -> None:
        """Whether those who come can be written down again."""
        if self.room.refuses and self._held_until <= time.monotonic():
            self.room.try_to_write()
            self._well()

    def _write(self, outcomes: list[Outcome]) -> None:
        if not outcomes:
            return
        with self._store.writing() as session:
            made = [record(session, outcome, self._around.clock()) for outcome in outcomes]
        for outcome, check in zip(outcomes, made, strict=True):
            if check is not None:  # before it leaves: whoever waits for it is handed the answer
                self._around.on_done(Done(outcome.work.job.id, check, is_stored=True))
            self.room.leave(outcome.work)

    def _answer(self, outcome: Outcome) -> None:
        """Tell whoever waits for it, though it is in no log."""
        if outcome.finding is not None:
            check = Check(id=outcome.work.job.id, **asdict(outcome.finding))
            self._around.on_done(Done(check.id, check, is_stored=False))
        self.room.leave(outcome.work)

    # --- What goes wrong --------------------------------------------------------------------

    def _trouble(self, error: AntifakeError) -> None:
        self._held_until = time.monotonic() + HOLD_S
        self._around.on_trouble(str(error))

    def _well(self) -> None:
        """Something went well; a disk that is still full stays on the person's screen."""
        if not self._unwritten and not self.room.refuses:
            self._around.on_trouble(None)

    def _after_death(self, works: list[Work], error: AntifakeError) -> None:
        for work in works:
            if work.is_private:
                self._answer(_failed(work, str(error), "crashed"))
        in_log = [work for work in works if not work.is_private]
        try:
            with self._store.writing() as session:
                here = [work for work in in_log if jobs.is_there(session, work.job.id)]
                lost = [work for work in here if not jobs.try_again(session, work.job.id)]
        except StoreError:
            self.room.keep_ahead(in_log)
            raise
        self._finish([_given_up(work) for work in lost])

    def _without_model(self, works: list[Work], error: AntifakeError) -> None:
        """A person is told at once; folders wait until there is one.

        Nothing of it goes into the log: it says nothing of the picture.
        """
        people = [work for work in works if work.is_person]
        for work in people:
            self._answer(_failed(work, str(error), "no_model"))
        with suppress(StoreError), self._store.writing() as session:
            for work in people:
                if not work.is_private:
                    jobs.drop(session, work.job.id)
        self.room.put_back([work for work in works if not work.is_person])


def _given_up(work: Work) -> Outcome:
    return _failed(work, jobs.KILLED, "crashed")


def _failed(work: Work, sentence: str, code: str) -> Outcome:
    job = work.job
    finding = Finding(
        source=job.source, sha256=job.sha256, path=job.path, page=job.page,
        error=sentence, code=code,
    )  # fmt: skip
    # The ledger is to know a file that was given up, or it would be found again.
    return Outcome(work, finding, stamp=work.look())
