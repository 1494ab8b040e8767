"""Checks that are asked for: from the bytes of a picture to an answer about it."""

import hashlib
import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from antifake.core import AntifakeError
from antifake.daemon.store import Store, StoreError, checks, history, jobs
from antifake.daemon.store.history import Entry
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.tables import Source
from antifake.daemon.worker.active_model import ActiveModel

from .answers import Answer, Ticket, verdict_of
from .events import Events
from .settings import Settings

log = logging.getLogger(__name__)

KEPT_UNSTORED = 200
"""How many answers that are not in the history are kept for clients that come back."""


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """Who wants a picture checked, and what is known about it."""

    source: Source
    priority: Priority = Priority.PERSON
    path: str | None = None
    """Where the file is, if it is on this computer."""
    page: str | None = None
    """Address of the page it was on. How much of it is kept is a setting."""
    name: str | None = None
    """What it is called, if it has no path. A setting decides whether it is kept."""
    is_private: bool = False
    """Store nothing about it, as for a private window."""


class Queue(Protocol):
    """What takes new jobs. See JobQueue."""

    def put(self, new_job: NewJob, data: bytes, *, is_private: bool = False) -> str: ...
    def is_unfinished(self, name: str) -> bool: ...
    def ahead(self, name: str) -> int | None: ...
    def wait(self, name: str, seconds: float) -> None: ...


@dataclass
class _Handover:
    """Gives the answer to the threads that wait for it, so that they need not read it again."""

    answer: Answer | None = None


class Checks:
    """Usable from many threads."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        active_model: ActiveModel,
        queue: Queue,
        events: Events,
    ) -> None:
        self._store, self._settings, self._events = store, settings, events
        self._active_model, self._queue = active_model, queue
        self._lock = threading.Lock()
        self._unstored: OrderedDict[str, Answer] = OrderedDict()
        # An entry lives as long as a thread waits for that id.
        self._handovers: WeakValueDictionary[str, _Handover] = WeakValueDictionary()

    def check(self, data: bytes, request: CheckRequest) -> Ticket:
        """Answer from the history, or have the picture judged.

        Raises ModelError if there is no model, QueueFullError and StoreError.
        """
        version = self._active_model.now()
        sha256 = hashlib.sha256(data).hexdigest()
        if not request.is_private:
            with suppress(StoreError):  # without the history the picture is judged again
                with self._store.reading() as session:
                    known = checks.earlier(session, sha256, version.model, version.prompt)
                    if known is not None:
                        came_by = request.source
                        log.info("%s by %s: known already", known.id, came_by)
                        return Ticket(known.id, "done", Answer(history.entry(session, known)))
                    same = jobs.in_flight(session, sha256)
                if same is not None:
                    return self.ticket(same.id)
        keep = self._settings.config.history
        new_job = NewJob(
            source=request.source,
            priority=request.priority,
            sha256=sha256,
            path=request.path if keep.paths else None,
            page=kept_page(request.page, keep.pages),
            name=None if request.path else kept_name(request.name, keep=keep.paths),
        )
        return Ticket(self._queue.put(new_job, data, is_private=request.is_private), "queued")

    def ticket(self, name: str) -> Ticket:
        """Returns how far a check has come. Raises NotThereError."""
        with self._lock:
            if name in self._unstored:
                return Ticket(name, "done", self._unstored[name])
        if self._queue.is_unfinished(name):
            return Ticket(name, "running")
        with self._store.reading() as session:
            try:
                job = jobs.get(session, name)
                found = job.check_id
                if job.state in ("queued", "running"):
                    return Ticket(name, "queued")
            except AntifakeError:
                found = None
            check = checks.get(session, found or name)
            return Ticket(check.id, "done", Answer(history.entry(session, check)))

    def wait(self, name: str, seconds: float) -> Ticket:
        """Returns the ticket as soon as the check is done, or after so many seconds."""
        with self._lock:
            handover = self._handovers.setdefault(name, _Handover())
        self._queue.wait(name, seconds)
        if handover.answer is not None:
            return Ticket(handover.answer.id, "done", handover.answer)
        return self.ticket(name)

    def ahead(self, name: str) -> int | None:
        """Returns how many pictures are judged before this one. None if that cannot be told."""
        return self._queue.ahead(name)

    def done(self, name: str, entry: Entry, is_stored: bool) -> None:
        """The worker has finished the job `name`."""
        answer = Answer(entry, is_stored)
        self._hand_over(name, answer)
        if not is_stored:
            return  # only the client that asked is told
        check = entry.check
        came_by, came_to = check.source, check.label or check.code
        log.info("%s by %s: %s in %.0f ms", check.id, came_by, came_to, check.ms)
        self._events.tell(
            "check",
            **verdict_of(answer),
            source=check.source,
            name=check.shown_name,
            error=check.error,
        )

    def _hand_over(self, name: str, answer: Answer) -> None:
        with self._lock:
            if handover := self._handovers.get(name):
                handover.answer = answer
            if answer.is_stored:
                self._unstored.pop(name, None)
                return
            self._unstored[name] = answer
            while len(self._unstored) > KEPT_UNSTORED:
                self._unstored.popitem(last=False)


def kept_name(name: str | None, *, keep: bool) -> str | None:
    """Returns the name if the setting history.paths allows to keep it.

    That setting is for all names of files, also those in the address of a picture of the web. Only
    the last part of what looks like a path is a name.
    """
    return (checks.file_name(name or "").strip() or None) if keep else None


def kept_page(page: str | None, keep: str) -> str | None:
    """Returns as much of the address of a page as the setting history.pages allows to keep."""
    if not page or keep == "no":
        return None
    if keep == "all":
        return page[:2000]
    try:
        return urlsplit(page if "//" in page else f"//{page}").hostname
    except ValueError:
        return None
