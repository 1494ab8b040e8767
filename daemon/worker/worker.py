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

from .job import JobResult, QueuedJob
from .judge import Judge
from .model_process import ModelChangedError, ModelDiedError, ModelLoadingError, ModelRestingError
from .queue import JobQueue
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
class Callbacks:
    """What the line needs of its surroundings."""

    config: Callable[[], Config]
    clock: Callable[[], datetime]
    on_done: Callable[[Done], None]
    on_trouble: Callable[[str | None], None]
    """Told why folders must wait, in a sentence; None: it is over."""
    on_pace: Callable[[], None]
    """Told when there is work again, and when there is none any more."""


class Worker:
    """A context manager: inside it there is a thread that judges who is in the queue."""

    def __init__(self, store: Store, judge: Judge, queue: JobQueue, callbacks: Callbacks) -> None:
        self._store, self._judge, self.queue, self._callbacks = store, judge, queue, callbacks
        self._unwritten: list[JobResult] = []
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
        self.queue.ring()

    # --- Life -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._recover()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The pictures at hand are finished; who still waits is in the log."""
        self._is_closing = True
        self.queue.let_go()
        self._thread.join(8)
        if not self._thread.is_alive():
            with suppress(StoreError):  # the next start takes up what was begun
                self.queue.put_back_ahead()

    def _recover(self) -> None:
        """Take up what the last run was killed over."""
        with self._store.writing() as session:
            queued, failed = jobs.recover(session)
            for job in failed:
                record(session, _given_up(QueuedJob(job)), self._callbacks.clock())
        if queued or failed:
            log.info("%d pictures are taken up again, %d were given up", queued, len(failed))
        self.queue.open()

    def _run(self) -> None:
        while not self._is_closing:
            news = self.queue.news
            try:
                if self.step():
                    continue
            except StoreError as error:
                self._trouble(error)
            self._wait(news)

    def _wait(self, news: int) -> None:
        """For anybody who comes after `news`; a while without is used to free memory."""
        self._pace(is_busy=False)
        somebody_came = self.queue.wait_for_news(news, self._pause_s())
        if not somebody_came and not self._is_resting:
            self._is_resting = True
            self._judge.rest()

    def _pace(self, *, is_busy: bool) -> None:
        if is_busy != self._is_busy:
            self._is_busy = is_busy
            self._callbacks.on_pace()

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
        works = self.queue.take(self._lowest())
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
            log.exception("a batch failed")
            self._after_death(works, AntifakeError("antifake stumbled over this picture."))
        finally:
            self._n_working = 0
        return True

    def _lowest(self) -> Priority:
        """Who has a turn: while folders are paused, or nothing can be done for them, people."""
        paused = self._callbacks.config().watch.paused_until
        if self._held_until > time.monotonic() or (paused and paused > self._callbacks.clock()):
            return Priority.PERSON
        return Priority.BATCH

    def _settle(self, works: list[QueuedJob]) -> None:
        try:
            results = self._judge.judge(works, self._callbacks.config())
        except ModelChangedError:
            self.queue.put_back(works)
        except ModelLoadingError:
            self.queue.put_back(works)
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
            self.queue.put_back(works)
            raise
        else:
            if any(result.finding or result.known for result in results):
                self._well()
            self._finish(results)

    def _wait_for_model(self) -> None:
        while not self._is_closing and self._judge.is_loading(_LOADING_S):
            pass

    def _finish(self, results: list[JobResult]) -> None:
        for result in results:
            if result.work.is_private:
                self._answer(result)
        stored = [result for result in results if not result.work.is_private]
        try:
            self._write(stored)
        except StoreError as error:
            self._unwritten += stored
            for result in stored:
                if result.work.is_person:  # who need not wait for the disk as well
                    self._answer(result)
            self._trouble(error)

    def _write_late(self) -> None:
        """What could not be written down when it was judged."""
        if self._unwritten and self._held_until <= time.monotonic():
            self._write(self._unwritten)
            self._unwritten = []
            self._well()

    def _try_the_disk(self) -> None:
        """Whether those who come can be written down again."""
        if self.queue.refuses and self._held_until <= time.monotonic():
            self.queue.try_to_write()
            self._well()

    def _write(self, results: list[JobResult]) -> None:
        if not results:
            return
        with self._store.writing() as session:
            made = [record(session, result, self._callbacks.clock()) for result in results]
        for result, check in zip(results, made, strict=True):
            if check is not None:  # before it leaves: whoever waits for it is handed the answer
                self._callbacks.on_done(Done(result.work.job.id, check, is_stored=True))
            self.queue.leave(result.work)

    def _answer(self, result: JobResult) -> None:
        """Tell whoever waits for it, though it is in no log."""
        if result.finding is not None:
            check = Check(id=result.work.job.id, **asdict(result.finding))
            self._callbacks.on_done(Done(check.id, check, is_stored=False))
        self.queue.leave(result.work)

    # --- What goes wrong --------------------------------------------------------------------

    def _trouble(self, error: AntifakeError) -> None:
        self._held_until = time.monotonic() + HOLD_S
        self._callbacks.on_trouble(str(error))

    def _well(self) -> None:
        """Something went well; a disk that is still full stays on the person's screen."""
        if not self._unwritten and not self.queue.refuses:
            self._callbacks.on_trouble(None)

    def _after_death(self, works: list[QueuedJob], error: AntifakeError) -> None:
        for work in works:
            if work.is_private:
                self._answer(_failed(work, str(error), "crashed"))
        in_log = [work for work in works if not work.is_private]
        try:
            with self._store.writing() as session:
                here = [work for work in in_log if jobs.is_there(session, work.job.id)]
                lost = [work for work in here if not jobs.try_again(session, work.job.id)]
        except StoreError:
            self.queue.keep_ahead(in_log)
            raise
        self._finish([_given_up(work) for work in lost])

    def _without_model(self, works: list[QueuedJob], error: AntifakeError) -> None:
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
        self.queue.put_back([work for work in works if not work.is_person])


def _given_up(work: QueuedJob) -> JobResult:
    return _failed(work, jobs.KILLED, "crashed")


def _failed(work: QueuedJob, sentence: str, code: str) -> JobResult:
    job = work.job
    finding = Finding(
        source=job.source, sha256=job.sha256, path=job.path, page=job.page,
        error=sentence, code=code,
    )  # fmt: skip
    # The ledger is to know a file that was given up, or it would be found again.
    return JobResult(work, finding, stamp=work.look())
