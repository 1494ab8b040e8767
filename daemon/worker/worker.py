"""The one thread that takes jobs from the queue, has them judged, and records the results.

It also deals with what goes wrong (no model, a full disk, a picture that crashes the model), so
that no client waits in vain and no job is lost.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from antifake.core.errors import AntifakeError, ModelError
from antifake.daemon.config import Config
from antifake.daemon.store import (
    ANSWER_S,
    Store,
    StoreBusyError,
    StoreError,
    history,
    jobs,
    outbox,
)
from antifake.daemon.store.checks import GIVEN_UP, Check, Finding
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.history import Entry
from antifake.daemon.store.jobs import Priority

from .job import JobResult, QueuedJob
from .judge import Judge
from .model_process import ModelChangedError, ModelDiedError, ModelLoadingError, ModelRestingError
from .queue import JobQueue
from .record import record, write_crops

log = logging.getLogger(__name__)

HOLD_S = 15.0
"""How long folders wait before the next attempt if no model loads or the disk is full."""
BUSY_HOLD_S = 1.0
"""How long if another program writes to the history."""
SLOW_S = 2.0
"""A picture that takes longer to decode keeps the others in its batch waiting.

A drawn one of 60 megapixels took 0.4 s as JPEG, 0.8 s as progressive JPEG and 1.7 s as WebP.
"""
MOST_UNWRITTEN = 1_000
"""Results in memory. Beyond that the oldest that came from memory are dropped."""
_IDLE_S = 30.0
_LOADING_S = 0.2


@dataclass(frozen=True)
class Callbacks:
    """What the worker asks and tells the rest of the daemon."""

    config: Callable[[], Config]
    clock: Callable[[], datetime]
    on_done: Callable[[str, Entry, bool], None]
    """Called with the id of a job, what came of it, and whether that is in the history."""
    on_trouble: Callable[[str | None], None]
    """Called with a sentence when folders must wait, and with None when that is over."""
    on_busy: Callable[[bool], None]
    """Called with True when there are jobs again, and with False when there are none left."""


class Worker:
    """A context manager. Inside it a thread works through the queue."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        queue: JobQueue,
        callbacks: Callbacks,
        crop_files: CropFiles,
    ) -> None:
        self._store, self._judge, self._queue, self._callbacks = store, judge, queue, callbacks
        self._crop_files = crop_files
        self._unwritten: list[JobResult] = []
        self._now = 0.0
        self._held_until = 0.0
        self._is_busy = False
        self._is_resting = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def wake(self) -> None:
        """Try at once what was put off: settings, the model or the disk may have changed."""
        self._held_until = 0.0
        self._queue.notify()

    # --- The thread -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._recover()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the current batch. The jobs that still wait are in the database."""
        self._is_closing = True
        self._queue.close()
        self._thread.join(8)
        if not self._thread.is_alive():
            # The next start finds jobs that were begun. What is in memory only has its last chance.
            with suppress(StoreError):
                self._write(self._unwritten)
            with suppress(StoreError):
                self._queue.close_down()

    def _recover(self) -> None:
        """Queue the jobs again that were begun when the last run was killed."""
        with self._store.machine.writing() as session:
            queued, failed = jobs.recover(session)
            for job in failed:
                record(session, _given_up(QueuedJob(job)), self._callbacks.clock())
        if queued or failed:
            log.info("%d pictures are taken up again, %d were given up", queued, len(failed))
        self._queue.open()

    def _run(self) -> None:
        while not self._is_closing:
            seen = self._queue.changes
            try:
                if self.step(time.monotonic()):
                    continue
            except StoreError as error:
                self._trouble(error)
            self._wait(seen)

    def _wait(self, seen: int) -> None:
        """Wait for the next job. If none comes for a while, free memory."""
        self._set_busy(is_busy=False)
        has_changed = self._queue.wait_for_change(seen, self._pause_s())
        if not has_changed and not self._is_resting:
            self._is_resting = True
            self._judge.rest()

    def _set_busy(self, *, is_busy: bool) -> None:
        if is_busy != self._is_busy:
            self._is_busy = is_busy
            self._callbacks.on_busy(is_busy)

    def _pause_s(self) -> float:
        held = self._held_until - time.monotonic()
        return max(0.05, held) if held > 0 else _IDLE_S

    # --- One step ---------------------------------------------------------------------------

    def step(self, now: float) -> bool:
        """Judge the next few jobs. Returns False if there is none to judge.

        `now` is in seconds and never goes back, like time.monotonic().
        """
        self._now = now
        self._write_late()
        self._probe_disk()
        if self._judge.is_starting():
            # Nothing is begun meanwhile: a kill now must not count as an attempt of a job.
            self._wait_for_model()
        batch = self._queue.take(self._lowest())
        if not batch:
            return False
        self._is_resting = False
        self._set_busy(is_busy=True)
        try:
            self._process(batch)
        except StoreError:
            raise
        except Exception:
            # A bug. Clients must not wait for ever because of it, nor the jobs after this one.
            log.exception("a batch failed")
            self._after_death(batch)
        return True

    def _is_held(self) -> bool:
        return self._held_until > self._now

    def _lowest(self) -> Priority:
        """The lowest priority to take: only people while folders are paused or held."""
        paused = self._callbacks.config().watch.paused_until
        if self._is_held() or (paused and paused > self._callbacks.clock()):
            return Priority.PERSON
        return Priority.BATCH

    def _process(self, batch: list[QueuedJob]) -> None:
        try:
            results = self._judge.judge(batch, self._callbacks.config())
        except ModelChangedError:
            self._queue.put_back(batch)
        except ModelLoadingError:
            self._queue.put_back(batch)
            self._wait_for_model()
        except ModelRestingError as error:
            self._trouble(error)
            self._without_model(batch, error)
        except ModelDiedError as error:
            log.warning("%s", error)
            self._after_death(batch)
        except ModelError as error:
            self._trouble(error)
            self._without_model(batch, error)
        else:
            if any(result.finding or result.known for result in results):
                self._end_trouble()
            for result in results:
                is_given_up = result.finding and result.finding.code in GIVEN_UP
                if is_given_up or result.decode_s > SLOW_S:
                    self._queue.was_slow(result.job)
            self._finish(results)

    def _wait_for_model(self) -> None:
        while not self._is_closing and self._judge.is_loading(_LOADING_S):
            pass

    def _finish(self, results: list[JobResult]) -> None:
        for result in results:
            if result.job.is_private:
                self._answer(result)
        stored = [result for result in results if not result.job.is_private]
        try:
            self._write(stored)
        except StoreError as error:
            self._unwritten += stored
            for result in stored:
                # Who waits need not wait for the disk as well.
                if result.job.is_person or result.job.is_in_memory:
                    self._answer(result, is_finished=not isinstance(error, StoreBusyError))
            self._drop_oldest()
            self._trouble(error)

    def _drop_oldest(self) -> None:
        """Results of jobs in the database are kept: those are not judged again before a restart."""
        n_left = len(self._unwritten) - MOST_UNWRITTEN
        from_memory = [one for one in self._unwritten if one.job.is_in_memory]
        for result in from_memory[: max(0, n_left)]:
            self._unwritten.remove(result)

    def _write_late(self) -> None:
        """Write the results that could not be written when they were found."""
        if self._unwritten and not self._is_held():
            self._write(self._unwritten)
            self._unwritten = []
            self._end_trouble()

    def _probe_disk(self) -> None:
        """Find out whether new jobs can be written down again."""
        if self._queue.is_failing and not self._is_held():
            self._queue.probe()
            self._end_trouble()

    def _write(self, results: list[JobResult]) -> None:
        """Record the results and read what to answer, in one transaction."""
        if not results:
            return
        results = write_crops(self._crop_files, results)
        with self._store.machine.writing(within_s=ANSWER_S) as session:
            made = [record(session, result, self._callbacks.clock()) for result in results]
            found = history.entries(session, [check for check in made if check])
        entries = iter(outbox.with_shared(self._store, found))
        self._drop_crops_of_forgotten(results, made)
        for result, check in zip(results, made, strict=True):
            if check is not None:  # before finish(), which wakes those who wait for the answer
                self._callbacks.on_done(result.job.id, next(entries), True)
            self._queue.finish(result.job)
        self._store.post()

    def _drop_crops_of_forgotten(self, results: list[JobResult], made: list[Check | None]) -> None:
        """Remove the files of pictures that were forgotten while they were judged."""
        gone = {
            result.finding.sha256
            for result, check in zip(results, made, strict=True)
            if check is None and result.crop and result.finding and result.finding.sha256
        }
        self._crop_files.remove(gone)

    def _answer(self, result: JobResult, *, is_finished: bool = True) -> None:
        """Answer a result that is not in the history. If it `is_finished` its bytes are deleted."""
        if result.finding is not None:
            check = Check(id=result.job.id, **vars(result.finding))
            entry = replace(self._entry(check), file=result.file)
            self._callbacks.on_done(check.id, entry, False)
        if is_finished:
            self._queue.finish(result.job)
        else:
            self._queue.answered(result.job)

    def _entry(self, check: Check) -> Entry:
        try:
            with self._store.machine.reading() as session:
                found = history.entry(session, check)
            return outbox.with_shared(self._store, [found])[0]
        except StoreError:
            return Entry(check, None, has_thumbnail=False)

    # --- Errors -----------------------------------------------------------------------------

    def _trouble(self, error: AntifakeError) -> None:
        is_busy = isinstance(error, StoreBusyError)
        self._held_until = self._now + (BUSY_HOLD_S if is_busy else HOLD_S)
        self._callbacks.on_trouble(str(error))

    def _end_trouble(self) -> None:
        """Something went well. A disk that is still full stays a trouble."""
        if not self._unwritten and not self._queue.is_failing:
            self._callbacks.on_trouble(None)

    def _after_death(self, batch: list[QueuedJob]) -> None:
        self._finish([_given_up(job) for job in self._queue.try_again(batch)])

    def _without_model(self, batch: list[QueuedJob], error: AntifakeError) -> None:
        """Answer people at once with what their files say; folders wait until there is a model.

        Nothing is recorded: the pictures are still to be judged.
        """
        people = [job for job in batch if job.is_person]
        for job, file in zip(people, self._judge.file_evidence(people), strict=True):
            self._answer(replace(_failed(job, str(error), "no_model"), file=file))
        with suppress(StoreError), self._store.machine.writing(within_s=ANSWER_S) as session:
            for job in people:
                if not job.is_in_memory:
                    jobs.drop(session, job.id)
        self._queue.put_back([job for job in batch if not job.is_person])


def _given_up(job: QueuedJob) -> JobResult:
    return _failed(job, jobs.KILLED, "crashed")


def _failed(job: QueuedJob, sentence: str, code: str) -> JobResult:
    about = job.job
    finding = Finding(
        source=about.source,
        sha256=about.sha256,
        path=about.path,
        page=about.page,
        name=about.name,
        error=sentence,
        code=code,
    )
    # With the stamp: a file that the ledger does not know would be found again.
    return JobResult(job, finding, stamp=job.stamp())
