"""The queue of pictures that wait for a verdict: people before folders before batches, and within
each of them clients in turns.

It is in the database, and so outlives this process. Only private pictures, and those that cannot
be written down because the disk is full or another program has locked the database, wait in memory.
"""

import errno
import logging
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from sqlalchemy.orm import Session

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _, ngettext
from antifake.daemon.store import ANSWER_S, Store, StoreBusyError, StoreError, jobs
from antifake.daemon.store.ids import new_number, to_text
from antifake.daemon.store.jobs import Job, NewJob, Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.tables import Source

from .job import QueuedJob
from .turns import Turns, Waiting

log = logging.getLogger(__name__)

_COPY = re.compile(r"[0-9a-f]{32}")

FOLDER_BATCH = 4
"""Pictures of folders judged at once. A person who comes meanwhile waits for them."""
PERSON_BATCH = 8
"""Pictures that people sent, judged at once: those that came while the last ones were judged.

The worker does not wait for more to come: 20 ms of that gained nothing (docs/speed.md).
"""
_PROBE_BYTES = 2**18
MOST_PUT_OFF = 1_000
"""So many notes are kept until they can be written; then the oldest are dropped."""
LEAST_FOR_CLIENT = 4
"""So many pictures of a client may wait however short the queue is."""


class QueueFullError(AntifakeError):
    """Too many wait already."""

    status = 503
    code = "queue_full"
    retry_after_s = 2

    def __init__(self, waiting: int) -> None:
        super().__init__(
            ngettext(
                "{n} picture is waiting already; try again in a moment.",
                "{n} pictures are waiting already; try again in a moment.",
                waiting,
            )
        )


class ClientQueueFullError(QueueFullError):
    """Too many pictures of this client wait already."""

    status = 429

    def __init__(self, waiting: int) -> None:
        AntifakeError.__init__(
            self,
            ngettext(
                "{n} picture from here is waiting already; try again in a moment.",
                "{n} pictures from here are waiting already; try again in a moment.",
                waiting,
            ),
        )


class JobQueue:
    """Usable from many threads, of which one takes jobs."""

    def __init__(
        self, store: Store, spool: Path, limit: Callable[[], int], clock: Callable[[], datetime]
    ) -> None:
        """`limit`: how many may wait in each priority. `spool`: the folder for sent bytes."""
        self._store, self._spool, self._limit, self._clock = store, spool, limit, clock
        self._changed = threading.Condition()
        # Counting and adding are one step: two clients must not both get the last place.
        self._adding = threading.Lock()
        self._in_memory: deque[QueuedJob] = deque()
        self._put_off: deque[Callable[[Session], object]] = deque(maxlen=MOST_PUT_OFF)
        # Begun in the database, but not judged yet.
        self._begun: deque[QueuedJob] = deque()
        # Begun here only, while the database is locked: there they are still queued.
        self._unmarked: set[str] = set()
        self._unfinished: dict[str, str | None] = {}
        """The clients of unfinished jobs. None: its source stands for it, as after a restart."""
        self._unstored: set[str] = set()
        """Those of them that are only in memory."""
        self._turns = Turns()
        self._paths: set[str] = set()
        self._begun_paths: set[str] = set()
        """Of the batch that was taken last: its files have been read, or are about to be."""
        self._changes = 0
        self._may_have_queued = True
        self._is_worker_idle = False
        self._is_closing = False
        self._failure: StoreError | None = None

    def open(self) -> None:
        """Read which jobs wait in the database, and delete copies that belong to none of them."""
        with self._adding:
            with self._store.reading() as session:
                waiting = jobs.pending(session)
            with self._changed:
                there = {job.id for job in waiting} | {job.id for job in self._in_memory}
                self._unfinished = {name: self._unfinished.get(name) for name in there}
                self._paths = {job.path for job in waiting if job.path and job.copy is None}
            kept = {job.copy for job in waiting}
            for copy in self._spool.iterdir():
                # Only files with names of ours: the folder may be a link to one of the user's.
                if str(copy) not in kept and _COPY.fullmatch(copy.name):
                    copy.unlink(missing_ok=True)
        self.notify()

    # --- Adding -----------------------------------------------------------------------------

    def put(
        self, new_job: NewJob, data: bytes, *, is_private: bool = False, client: str = ""
    ) -> str:
        """Queue the bytes of a picture from a client. Returns the id that its check will have.

        If it cannot be written down it is judged all the same. Raises QueueFullError.
        """
        with self._adding:
            self._check_limit_of(client)
            try:
                self._check_limit(new_job.priority)
            except StoreError as error:
                return self._put_unstored(new_job, data, error, client, is_private=is_private)
            if is_private:
                return self._put_in_memory(new_job, data, client, is_private=True)
            return self._put_stored(new_job, data, client)

    def _check_limit_of(self, client: str) -> None:
        """Raises ClientQueueFullError: half of the queue is left to others."""
        with self._changed:
            waiting = sum(one == client for one in self._unfinished.values())
        if waiting >= max(LEAST_FOR_CLIENT, self._limit() // 2):
            raise ClientQueueFullError(waiting)

    def _put_stored(self, new_job: NewJob, data: bytes, client: str) -> str:
        copy = self._spool / token_hex(16)
        try:
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            return self._put(replace(new_job, copy=str(copy)), client)
        except (StoreError, OSError) as error:
            copy.unlink(missing_ok=True)
            return self._put_unstored(new_job, data, error, client)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

    def _put_unstored(
        self,
        new_job: NewJob,
        data: bytes,
        error: StoreError | OSError,
        client: str,
        *,
        is_private: bool = False,
    ) -> str:
        """Keep it in memory: a client that waits for a verdict need not wait for the disk."""
        self._fail(error)
        return self._put_in_memory(new_job, data, client, is_private=is_private)

    def put_off(self, write: Callable[[Session], object], error: StoreError) -> None:
        """Write something as soon as that is possible again; until then it is in memory."""
        with self._changed:
            self._put_off.append(write)
        self._fail(error)
        self.notify(has_queued=False)

    def _fail(self, error: StoreError | OSError) -> None:
        if self._failure is None:
            log.warning("not everything can be written down now: %s", error)
        self._failure = _store_error(error)

    @property
    def is_failing(self) -> bool:
        """Whether a picture could not be written down, and none has been since."""
        return self._failure is not None

    def look_at_disk(self) -> None:
        """Notice that the disk is full or read-only before a picture comes that must wait there."""
        try:
            has_room = shutil.disk_usage(self._spool).free >= _PROBE_BYTES
            if has_room and os.access(self._spool, os.W_OK):
                return
            code = errno.EROFS if has_room else errno.ENOSPC
            error = OSError(code, os.strerror(code))
        except OSError as found:
            error = found
        self._fail(error)
        self.notify(has_queued=False)

    def probe(self) -> None:
        """Try to write again, with what was put off. Raises StoreError if that still fails."""
        probe = self._spool / token_hex(16)
        with self._changed:
            late = list(self._put_off)
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
            with self._store.writing(within_s=ANSWER_S) as session:
                new_job = NewJob(source="api", priority=Priority.BATCH)
                jobs.drop(session, jobs.add(session, new_job, self._clock()).id)
                for write in late:
                    write(session)
        except OSError as error:
            raise _store_error(error) from error
        finally:
            probe.unlink(missing_ok=True)
        with self._changed:
            for write in late:
                with suppress(ValueError):  # too many came meanwhile
                    self._put_off.remove(write)
            if not self._put_off:
                self._failure = None

    def put_file(self, stamp: Stamp, priority: Priority = Priority.FOLDER) -> bool:
        """Queue a file of a watched folder. Returns False if it must be offered again later.

        That is so if the queue is full, and while the file is judged: it may have changed since
        it was read.
        """
        with self._changed:
            if stamp.path in self._paths:
                return stamp.path not in self._begun_paths
            self._paths.add(stamp.path)
        try:
            with self._adding:
                self._check_limit(priority)
                self._put(NewJob(source="watch", priority=priority, path=stamp.path), "watch")
        except (QueueFullError, StoreError):
            with self._changed:
                self._paths.discard(stamp.path)
            return False
        return True

    def _put(self, new_job: NewJob, client: str) -> str:
        job = None
        is_begun = new_job.priority == Priority.PERSON and self._claim_idle_worker()
        try:
            with self._store.writing(within_s=ANSWER_S) as session:
                job = jobs.add(session, new_job, self._clock(), is_begun=is_begun)
                # Before the commit, after which the worker could take it and finish it.
                self._add_unfinished(job.id, client)
        except BaseException:
            if job is not None:
                self._remove_unfinished(job.id)
            raise
        if is_begun:
            self._begun.append(QueuedJob(job, client=client))
        self.notify(has_queued=not is_begun)
        return job.id

    def _claim_idle_worker(self) -> bool:
        """Returns True once if the worker waits: the job is then begun in the same transaction."""
        with self._changed:
            was_idle, self._is_worker_idle = self._is_worker_idle, False
            return was_idle

    def _put_in_memory(self, new_job: NewJob, data: bytes, client: str, *, is_private: bool) -> str:
        name = to_text(new_number(self._clock()))
        about = asdict(new_job)
        job = Job(**about, id=name, state="running", attempts=1, check_id=None, error=None)
        self._add_unfinished(name, client)
        with self._changed:
            self._unstored.add(name)
            self._in_memory.append(QueuedJob(job, data, is_private, client))
        self.notify(has_queued=False)
        return name

    def _check_limit(self, priority: Priority) -> None:
        """Raises QueueFullError. Each priority has a limit of its own."""
        with self._store.reading() as session:
            waiting = jobs.waiting(session)[priority]
        with self._changed:
            waiting += sum(job.job.priority == priority for job in self._in_memory)
        if waiting >= self._limit():
            raise QueueFullError(waiting)

    def _add_unfinished(self, name: str, client: str) -> None:
        with self._changed:
            self._unfinished[name] = client

    def _remove_unfinished(self, name: str) -> None:
        with self._changed:
            self._unfinished.pop(name, None)
            self._unstored.discard(name)
            self._changed.notify_all()

    # --- Waiting for a result -----------------------------------------------------------------

    def is_stored(self, name: str) -> bool:
        """Whether a job that is not finished is in the database, and not only in memory."""
        with self._changed:
            return name not in self._unstored

    def is_unfinished(self, name: str) -> bool:
        """Whether the job waits or is being judged."""
        with self._changed:
            return name in self._unfinished

    def ahead(self, name: str) -> int | None:
        """Returns how many pictures are judged before this one, some of them in its own batch.

        A client that comes later may still have its turn first. While some wait in memory it may
        be wrong by a batch. None if it cannot be told.
        """
        with self._changed:
            memory = [Waiting(job.id, job.job.priority, job.client) for job in self._in_memory]
        try:
            with self._store.reading() as session:
                running = jobs.running(session)
                stored = self._waiting_in_store(session, Priority.BATCH)
                # Further back than is looked at, or begun: then nothing is before it.
                behind = jobs.ahead(session, name) if jobs.is_there(session, name) else 0
        except AntifakeError:
            return None
        coming = [one.job for one in self._turns.in_turn([*memory, *stored])]
        if name in coming:
            return running + coming.index(name)
        return behind + len(memory) if behind else 0

    def wait(self, name: str, seconds: float) -> None:
        """Wait until the job is finished, but at most `seconds`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closing or name not in self._unfinished, seconds
            )

    def close(self) -> None:
        """End all waiting: the daemon is about to stop."""
        with self._changed:
            self._is_closing = True
        self.notify()

    # --- Taking -------------------------------------------------------------------------------

    @property
    def changes(self) -> int:
        """A counter that grows with each new job and each notify()."""
        with self._changed:
            return self._changes

    def notify(self, *, has_queued: bool = True) -> None:
        """Wake the worker. `has_queued`: the database may have a job that nobody has begun."""
        with self._changed:
            self._changes += 1
            self._may_have_queued |= has_queued
            self._changed.notify_all()

    def wait_for_change(self, seen: int, seconds: float) -> bool:
        """Returns whether `changes` has become another number than `seen` in so many seconds."""
        with self._changed:
            self._is_worker_idle = True
            try:
                has_changed = self._changed.wait_for(
                    lambda: bool(self._in_memory) or self._changes != seen, seconds
                )
            finally:
                self._is_worker_idle = False
            # Another daemon may use the same database: look into it now and then.
            self._may_have_queued |= not has_changed
            return has_changed

    def take(self, lowest: Priority) -> list[QueuedJob]:
        """Begin the next few jobs, none of them with a priority below `lowest`.

        A job that was begun before, and crashed the model or was beside one that did, comes alone.
        """
        batch = self._take(lowest)
        with self._changed:
            self._begun_paths = {job.watched for job in batch if job.watched}
        return batch

    def _take(self, lowest: Priority) -> list[QueuedJob]:
        batch: list[QueuedJob] = []
        while self._begun and self._begun[0].job.priority <= _lowest(batch, lowest):
            if batch and (self._is_full(batch) or self._comes_alone(self._begun[0])):
                return batch
            batch.append(self._begun.popleft())
        # Half of the places: those in the database have waited, too.
        self._take_from_memory(batch, PERSON_BATCH // 2, with_slow=False)
        if not self._is_full(batch) and self._may_find(_lowest(batch, lowest)):
            try:
                self._take_from_database(batch, lowest)
            except StoreBusyError:
                if not (batch or self._take_unmarked(batch) or self._in_memory):
                    raise
            except StoreError:
                if not batch and not self._in_memory:
                    raise
        if all(job.is_person for job in batch):
            self._take_from_memory(batch, PERSON_BATCH, with_slow=True)
        return batch

    def _is_full(self, batch: list[QueuedJob]) -> bool:
        if not batch:
            return False
        first = batch[0]
        return self._comes_alone(first) or len(batch) >= (
            PERSON_BATCH if first.is_person else FOLDER_BATCH
        )

    def _comes_alone(self, job: QueuedJob) -> bool:
        return job.job.attempts > 1 or self._turns.is_slow(job.client)

    def _take_from_memory(self, batch: list[QueuedJob], most: int, *, with_slow: bool) -> None:
        """Fills a batch up to `most` with pictures from memory."""
        while len(batch) < most and not self._is_full(batch):
            with self._changed:
                waiting = [
                    Waiting(one, one.job.priority, one.client)
                    for one in self._in_memory
                    if with_slow or not self._turns.is_slow(one.client)
                ]
                found = self._turns.next(waiting, [one.client for one in batch])
                if found is None:
                    return
                self._in_memory.remove(found.job)
            batch.append(found.job)

    def _waiting_in_store(self, session: Session, lowest: Priority) -> list[Waiting[str]]:
        return [
            Waiting(name, priority, self._client_of(name, source))
            for name, priority, source in jobs.in_order(session, lowest)
        ]

    def was_slow(self, job: QueuedJob) -> None:
        """A picture took long or ended its decoder: others of its client come last."""
        self._turns.was_slow(job.client)

    def _may_find(self, lowest: Priority) -> bool:
        """Whether it is worth a transaction that writes, which keeps all others from writing."""
        with self._changed:
            if not self._may_have_queued:
                return False
        if lowest == Priority.BATCH:
            return True
        try:
            with self._store.reading() as session:
                waiting = jobs.waiting(session)
        except StoreError:
            return True  # taking will raise it
        return any(n for priority, n in waiting.items() if priority <= lowest)

    def _take_from_database(self, batch: list[QueuedJob], lowest: Priority) -> None:
        """Begin jobs until the batch is full, all in one transaction."""
        seen = self.changes
        taken: list[QueuedJob] = []
        alone: QueuedJob | None = None
        with self._store.writing(within_s=ANSWER_S) as session:
            for name in self._unmarked:
                jobs.begin(session, name)
            waiting = self._waiting_in_store(session, _lowest(batch, lowest))
            while not self._is_full(together := [*batch, *taken]):
                waiting = [one for one in waiting if one.priority <= _lowest(together, lowest)]
                found = self._turns.next(waiting, [one.client for one in together])
                job = jobs.take(session, found.job) if found else None
                if found is None or job is None:
                    break
                waiting.remove(found)
                begun = QueuedJob(job, client=found.client)
                if job.attempts > 1 and together:
                    alone = begun
                    break
                taken.append(begun)
        self._unmarked.clear()
        batch += taken
        if alone is not None:
            self._begun.append(alone)
        if not waiting and _lowest(batch, lowest) == Priority.BATCH:
            with self._changed:
                # A job that was queued meanwhile has changed the counter.
                self._may_have_queued = self._changes != seen

    def _client_of(self, name: str, source: Source) -> str:
        with self._changed:
            client = self._unfinished.get(name)
        return source if client is None else client

    def _take_unmarked(self, batch: list[QueuedJob]) -> bool:
        """Begin what a person waits for, though the database cannot be told.

        Returns whether there was any. If this process is killed meanwhile the next one begins it
        again.
        """
        with self._store.reading() as session:
            for job in jobs.queued(session, Priority.PERSON, PERSON_BATCH + len(self._unmarked)):
                is_new = job.id not in self._unmarked and job.attempts == 0
                if is_new and not self._is_full(batch):
                    self._unmarked.add(job.id)
                    batch.append(QueuedJob(job, client=self._client_of(job.id, job.source)))
        return bool(batch)

    def put_back(self, batch: list[QueuedJob]) -> None:
        """Queue jobs again that were begun and could not be finished, through no fault of theirs.

        Raises StoreError. They are kept in memory then.
        """
        with self._changed:
            self._in_memory.extendleft(job for job in reversed(batch) if job.is_in_memory)
        stored = [job for job in batch if not job.is_in_memory]
        if not stored:
            return
        try:
            with self._store.writing(within_s=ANSWER_S) as session:
                for job in stored:
                    if jobs.is_there(session, job.id):
                        jobs.put_back(session, job.id)
        except StoreError:
            self._begun.extend(stored)
            raise
        self._unmarked.difference_update(job.id for job in stored)
        self.notify()

    def try_again(self, batch: list[QueuedJob]) -> list[QueuedJob]:
        """Queue jobs again whose model process has died. Returns those that were tried too often.

        Raises StoreError. They are kept in memory then.
        """
        stored = [job for job in batch if not job.is_in_memory]
        lost = self._try_in_memory_again([job for job in batch if job.is_in_memory])
        try:
            if stored:
                with self._store.writing(within_s=ANSWER_S) as session:
                    there = [job for job in stored if jobs.is_there(session, job.id)]
                    lost += [job for job in there if not jobs.try_again(session, job.id)]
        except StoreError:
            self._begun.extend([*stored, *(job for job in lost if job.is_in_memory)])
            raise
        self._unmarked.difference_update(job.id for job in batch)
        self.notify()
        return lost

    def _try_in_memory_again(self, batch: list[QueuedJob]) -> list[QueuedJob]:
        """Does the same for jobs that are in memory only."""
        again = [job for job in batch if job.job.attempts < jobs.MAX_ATTEMPTS]
        with self._changed:
            self._in_memory.extendleft(
                replace(job, job=replace(job.job, attempts=job.job.attempts + 1))
                for job in reversed(again)
            )
        return [job for job in batch if job not in again]

    def close_down(self) -> None:
        """Queue those again that were taken and not judged, and write what was put off.

        Raises StoreError.
        """
        if self._put_off:
            self.probe()
        begun = list(self._begun)
        self._begun.clear()
        self.put_back(begun)

    def answered(self, job: QueuedJob) -> None:
        """Wake whoever waits for the job. It is not finished until its result is written."""
        self._remove_unfinished(job.id)

    def finish(self, job: QueuedJob) -> None:
        """Delete the copy of its bytes and wake whoever waits for the job."""
        if job.job.copy is not None:
            Path(job.job.copy).unlink(missing_ok=True)
        with self._changed:
            self._paths.discard(job.watched or "")
        self._remove_unfinished(job.id)


def _lowest(batch: list[QueuedJob], lowest: Priority) -> Priority:
    """The lowest priority that may join the batch: a person does not wait for folders."""
    return Priority.PERSON if any(job.is_person for job in batch) else lowest


def _store_error(error: StoreError | OSError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(
        _("Pictures that are sent cannot be saved: {reason}.", reason=error.strerror or error)
    )
