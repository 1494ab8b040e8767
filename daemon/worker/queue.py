"""Everybody who waits for a verdict: people before folders before batches.

Who waits is in the log, and so outlives this process; only private pictures, and those that a
full disk does not take, wait in memory alone.
"""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from antifake.core.errors import AntifakeError
from antifake.daemon.store import Store, StoreError, jobs
from antifake.daemon.store.ids import new_number, to_text
from antifake.daemon.store.jobs import Job, NewJob, Priority
from antifake.daemon.store.ledger import Stamp

from .job import QueuedJob

log = logging.getLogger(__name__)

_COPY = re.compile(r"[0-9a-f]{32}")

BATCH = 4
"""Pictures of folders judged at once: what a person waits at most who comes just then."""
TOGETHER = 8
"""Pictures that people sent, judged at once: those that came while the last ones were judged.

Nobody waits for others to come: 20 ms of that gained nothing (docs/speed.md).
"""


_PROBE_BYTES = 2**18


class QueueFullError(AntifakeError):
    """Too many wait already."""

    status = 503
    code = "queue_full"
    retry_after_s = 2

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} pictures are waiting already; try again in a moment.")


class JobQueue:
    """Usable from many threads; one of them takes."""

    def __init__(
        self, store: Store, spool: Path, seats: Callable[[], int], clock: Callable[[], datetime]
    ) -> None:
        """`seats`: so many may wait of each priority. `spool`: where sent bytes wait."""
        self._store, self._spool, self._seats, self._clock = store, spool, seats, clock
        self._changed = threading.Condition()
        # One at a time: of two who see the last free seat only one may take it.
        self._door = threading.Lock()
        self._private: deque[QueuedJob] = deque()
        self._ahead: deque[QueuedJob] = deque()
        self._open: set[str] = set()
        self._paths: set[str] = set()
        self._news = 0
        self._is_taker_idle = False
        self._is_letting_go = False
        self._refusal: StoreError | None = None

    def open(self) -> None:
        """Know again who waited when the last run ended; remove what nobody waits for."""
        with self._door:
            with self._store.reading() as session:
                waiting = jobs.pending(session)
            with self._changed:
                self._open = {job.id for job in waiting} | {one.job.id for one in self._private}
                self._paths = {job.path for job in waiting if job.path and job.copy is None}
                self._changed.notify_all()
            kept = {job.copy for job in waiting}
            for copy in self._spool.iterdir():
                # Only what is named as ours: somebody may have made the folder a link to theirs.
                if str(copy) not in kept and _COPY.fullmatch(copy.name):
                    copy.unlink(missing_ok=True)

    # --- Whoever comes ----------------------------------------------------------------------

    def put(self, new_job: NewJob, data: bytes, *, is_private: bool = False) -> str:
        """Bytes that somebody sent; gives the name that its check will have.

        Raises QueueFullError, and StoreError where it cannot be written down.
        """
        with self._door:
            try:
                self._make_sure_of_room(new_job.priority)
            except StoreError as error:
                return self._put_unwritten(new_job, data, error)
            return self._let_in(new_job, data, is_private=is_private)

    def _let_in(self, new_job: NewJob, data: bytes, *, is_private: bool) -> str:
        if is_private:
            return self._put_private(new_job, data)
        copy = self._spool / token_hex(16)
        try:
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            return self._put(replace(new_job, copy=str(copy)))
        except (StoreError, OSError) as error:
            copy.unlink(missing_ok=True)
            return self._put_unwritten(new_job, data, error)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

    def _put_unwritten(self, new_job: NewJob, data: bytes, error: StoreError | OSError) -> str:
        """Who waits for a verdict need not wait for the disk as well."""
        refusal = _in_words(error)
        if self._refusal is None:
            log.warning("pictures are judged without being written down: %s", error)
        self._refusal = refusal
        return self._put_private(new_job, data)

    @property
    def refuses(self) -> bool:
        """Whether somebody who came could not be written down, and nobody has been since."""
        return self._refusal is not None

    def try_to_write(self) -> None:
        """Raises StoreError as long as nobody who comes could be written down."""
        probe = self._spool / token_hex(16)
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
            with self._store.writing() as session:
                new_job = NewJob(source="api", priority=Priority.BATCH)
                jobs.drop(session, jobs.add(session, new_job, self._clock()).id)
        except OSError as error:
            raise _in_words(error) from error
        finally:
            probe.unlink(missing_ok=True)
        self._refusal = None

    def put_file(self, stamp: Stamp) -> bool:
        """A file of a watched folder; False: it cannot wait here now, come again."""
        with self._changed:
            if stamp.path in self._paths:
                return True
            self._paths.add(stamp.path)
        try:
            with self._door:
                self._make_sure_of_room(Priority.FOLDER)
                self._put(NewJob(source="watch", priority=Priority.FOLDER, path=stamp.path))
        except (QueueFullError, StoreError):
            with self._changed:
                self._paths.discard(stamp.path)
            return False
        return True

    def _put(self, new_job: NewJob) -> str:
        job = None
        begins = new_job.priority == Priority.PERSON and self._catch_taker()
        try:
            with self._store.writing() as session:
                job = jobs.add(session, new_job, self._clock(), is_begun=begins)
                # Before anybody can take it, and with that finish it.
                self._enter(job.id)
        except BaseException:
            if job is not None:
                self._exit(job.id)
            raise
        if begins:
            self._ahead.append(QueuedJob(job))
        self.ring()
        return job.id

    def _catch_taker(self) -> bool:
        """Whether whoever takes has nothing to do. The next one finds it busy."""
        with self._changed:
            was_idle, self._is_taker_idle = self._is_taker_idle, False
            return was_idle

    def _put_private(self, new_job: NewJob, data: bytes) -> str:
        name = to_text(new_number(self._clock()))
        job = Job(
            **asdict(new_job), id=name, state="running", attempts=1, check_id=None, error=None
        )
        self._enter(name)
        with self._changed:
            self._private.append(QueuedJob(job, data))
        self.ring()
        return name

    def _make_sure_of_room(self, priority: Priority) -> None:
        """Raises QueueFullError. Each priority has its own seats: folders keep nobody out."""
        with self._store.reading() as session:
            waiting = jobs.waiting(session)[priority]
        if priority == Priority.PERSON:
            with self._changed:
                waiting += len(self._private)
        if waiting >= self._seats():
            raise QueueFullError(waiting)

    def _enter(self, name: str) -> None:
        with self._changed:
            self._open.add(name)

    def _exit(self, name: str) -> None:
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()

    # --- Whoever asks for somebody ------------------------------------------------------------

    def is_open(self, name: str) -> bool:
        """Whether it still waits or is being judged."""
        with self._changed:
            return name in self._open

    def wait(self, name: str, seconds: float) -> None:
        """Until it is done, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_letting_go or name not in self._open, seconds)

    def let_go(self) -> None:
        """Nobody is to wait here any longer: the daemon is about to stop."""
        with self._changed:
            self._is_letting_go = True
            self._news += 1
            self._changed.notify_all()

    # --- Whoever takes ------------------------------------------------------------------------

    @property
    def news(self) -> int:
        """Becomes another number whenever somebody comes or something changes."""
        with self._changed:
            return self._news

    def ring(self) -> None:
        """There are news."""
        with self._changed:
            self._news += 1
            self._changed.notify_all()

    def wait_for_news(self, seen: int, seconds: float) -> bool:
        """Gives whether there are other ones than those that were seen."""
        with self._changed:
            self._is_taker_idle = True
            try:
                return self._changed.wait_for(
                    lambda: bool(self._private) or self._news != seen, seconds
                )
            finally:
                self._is_taker_idle = False

    def take(self, lowest: Priority) -> list[QueuedJob]:
        """Begin the next few. Whoever was begun before, and died of it, comes alone."""
        works: list[QueuedJob] = []
        try:
            self._fill(works, lowest)
        except StoreError:
            if not works:
                raise
        return works

    def _fill(self, works: list[QueuedJob], lowest: Priority) -> None:
        while not _are_enough(works) and (work := self._next(lowest)) is not None:
            if work.job.attempts > 1 and works:
                self._ahead.append(work)
                break
            works.append(work)
            if work.is_person:
                lowest = Priority.PERSON  # who does not wait for a folder's pictures beside it

    def _next(self, lowest: Priority) -> QueuedJob | None:
        if self._ahead and self._ahead[0].job.priority <= lowest:
            return self._ahead.popleft()
        with self._changed:
            if self._private:
                return self._private.popleft()
        if not self._somebody_waits(lowest):
            return None
        with self._store.writing() as session:
            job = jobs.take_next(session, lowest)
        return QueuedJob(job) if job else None

    def _somebody_waits(self, lowest: Priority) -> bool:
        """Asked first, since to write is to keep all others from it for a moment."""
        with self._store.reading() as session:
            waiting = jobs.waiting(session)
        return any(n for priority, n in waiting.items() if priority <= lowest)

    def put_back(self, works: list[QueuedJob]) -> None:
        """They were begun, and it was not their fault that they were not finished."""
        with self._changed:
            self._private.extendleft(work for work in reversed(works) if work.is_private)
        in_log = [work for work in works if not work.is_private]
        try:
            with self._store.writing() as session:
                for work in in_log:
                    if jobs.is_there(session, work.job.id):
                        jobs.put_back(session, work.job.id)
        except StoreError:
            self.keep_ahead(in_log)
            raise

    def keep_ahead(self, works: list[QueuedJob]) -> None:
        """The log has them as begun, and cannot be told otherwise just now."""
        self._ahead.extend(works)

    def put_back_ahead(self) -> None:
        """Those that were taken and whose turn did not come any more."""
        waiting = list(self._ahead)
        self._ahead.clear()
        self.put_back(waiting)

    def leave(self, work: QueuedJob) -> None:
        """It is done: the copy of its bytes goes, and who waits for it is woken."""
        if work.job.copy is not None:
            Path(work.job.copy).unlink(missing_ok=True)
        with self._changed:
            self._paths.discard(work.watched or "")
        self._exit(work.job.id)


def _are_enough(works: list[QueuedJob]) -> bool:
    """Whoever was begun before, and died of it, is judged alone."""
    if not works:
        return False
    return works[0].job.attempts > 1 or len(works) >= (TOGETHER if works[0].is_person else BATCH)


def _in_words(error: StoreError | OSError) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(f"Pictures that are sent cannot be written down: {error.strerror or error}.")
