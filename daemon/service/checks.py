"""Checks that are asked for: from the bytes of a picture to an answer about it."""

import hashlib
import logging
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

from sqlalchemy.orm import Session

from antifake.core.errors import ModelError
from antifake.daemon.store import (
    ANSWER_S,
    NotThereError,
    Store,
    StoreError,
    checks,
    evidence,
    history,
    jobs,
    occurrences,
    outbox,
)
from antifake.daemon.store.checks import Check
from antifake.daemon.store.history import Entry
from antifake.daemon.store.jobs import Job, NewJob, Priority
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.store.tables import Source
from antifake.daemon.worker.active_model import ActiveModel, ModelVersion

from .answers import Answer, Ticket, verdict_of
from .events import Events
from .settings import Settings

log = logging.getLogger(__name__)

NOT_TRIED_FOR = timedelta(days=1)
"""How long bytes that were too much are not decoded again. A later version may do better."""
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
    client: str = ""
    """The same for all requests of a client. Within a priority clients take turns."""


LONGEST_NAME = 255
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_ADDRESS_END = re.compile(r"[?#]")
_INERT = "\ufffd"
_JOINERS = "\u200c\u200d"
_SHAPELESS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Controls, marks without a shape such as those of direction, surrogates, ends of lines."""


class Queue(Protocol):
    """What takes new jobs. See JobQueue."""

    def put(
        self, new_job: NewJob, data: bytes, *, is_private: bool = False, client: str = ""
    ) -> str: ...
    def put_off(self, write: Callable[[Session], object], error: StoreError) -> None: ...
    def is_unfinished(self, name: str) -> bool: ...
    def is_stored(self, name: str) -> bool: ...
    def ahead(self, name: str) -> int | None: ...
    def wait(self, name: str, seconds: float) -> None: ...


@dataclass
class _Handover:
    """Gives the answer to the threads that wait for it, so that they need not read it again."""

    answer: Answer | None = None


class Checks:
    """Usable from many threads."""

    def __init__(  # noqa: PLR0913 - it lies between many parts
        self,
        store: Store,
        settings: Settings,
        active_model: ActiveModel,
        queue: Queue,
        events: Events,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._settings, self._events, self._clock = store, settings, events, clock
        self._active_model, self._queue = active_model, queue
        self._lock = threading.Lock()
        self._unstored: OrderedDict[str, Answer] = OrderedDict()
        # An entry lives as long as a thread waits for that id.
        self._handovers: WeakValueDictionary[str, _Handover] = WeakValueDictionary()

    def check(self, data: bytes, request: CheckRequest) -> Ticket:
        """Answer from the history, where it is then noted as seen again, or have it judged.

        A known picture whose file was not looked at yet goes to the worker once more. Without a
        model the worker answers a person with what the file says; for others, ModelError is
        raised. Raises QueueFullError and StoreError.
        """
        version = self._version_for(request)
        sha256 = hashlib.sha256(data).hexdigest()
        keep = self._settings.config.history
        new_job = NewJob(
            source=request.source,
            priority=request.priority,
            sha256=sha256,
            path=request.path if keep.paths else None,
            page=kept_page(request.page, keep.pages),
            name=None if request.path else kept_name(request.name, keep=keep.paths),
        )
        if request.is_private and (given_up := self._given_up_in_private(sha256)) is not None:
            return given_up
        if version and not request.is_private:
            with suppress(StoreError):  # without the history the picture is judged again
                known, same = self._look_up(sha256, version)
                if known is not None:
                    door = request.source
                    log.info("%s by %s: known already", known.id, door)
                    return self._seen_again(known, sha256, new_job)
                if same is not None:
                    self._note(sha256, new_job)
                    return self.ticket(same.id)
        name = self._queue.put(new_job, data, is_private=request.is_private, client=request.client)
        return Ticket(name, "queued", is_stored=self._queue.is_stored(name))

    def _given_up_in_private(self, sha256: str) -> Ticket | None:
        """Returns the answer to a private picture that was lately too much to decode."""
        with self._lock:
            answers = list(self._unstored.values())
        for answer in answers:
            check = answer.entry.check
            if check.sha256 == sha256 and check.code in checks.NOT_TRIED_AGAIN:
                return Ticket(answer.id, "done", answer)
        return None

    def _look_up(self, sha256: str, version: ModelVersion) -> tuple[Check | None, Job | None]:
        """Returns the check of a picture that need not be judged, or else an unfinished job."""
        with self._store.machine.reading() as session:
            known = checks.earlier(session, sha256, version.model, version.prompt)
            if known is not None:
                return (None if evidence.is_wanting(session, sha256) else known), None
            given_up = checks.given_up(session, sha256, self._clock() - NOT_TRIED_FOR)
            if given_up is not None:
                return given_up, None
            same = jobs.in_flight(session, sha256)
        if same is None and self._store.machine is not self._store:
            with self._store.reading() as session:
                known = checks.earlier(session, sha256, version.model, version.prompt)
        return known, same

    def _version_for(self, request: CheckRequest) -> ModelVersion | None:
        try:
            return self._active_model.now()
        except ModelError:
            if request.priority != Priority.PERSON:
                raise
            return None

    def _seen_again(self, known: Check, sha256: str, seen: NewJob) -> Ticket:
        entry = self._note(sha256, seen, known)
        if entry is None:
            with self._store.machine.reading() as session:
                entry = history.entry(session, known)
        (entry,) = outbox.with_shared(self._store, [entry])
        return Ticket(known.id, "done", Answer(entry))

    def _note(self, sha256: str, seen: NewJob, known: Check | None = None) -> Entry | None:
        """Notes where a picture was seen again, and returns how the history then shows its check.

        A disk that is full, or another program that writes, does not delay the answer: None. It
        is noted later.
        """
        place = Occurrence(
            at=self._clock(),
            source=seen.source,
            path=seen.path,
            page=seen.page,
            name=seen.name,
        )
        try:
            with self._store.machine.writing(within_s=ANSWER_S) as session:
                occurrences.add(session, sha256, place)
                entry = history.entry(session, known) if known else None
        except StoreError as error:
            self._queue.put_off(partial(occurrences.add, sha256=sha256, seen=place), error)
            return None
        self._store.post()
        return entry

    def ticket(self, name: str) -> Ticket:
        """Returns how far a check has come. Raises NotThereError."""
        with self._lock:
            if name in self._unstored:
                return Ticket(name, "done", self._unstored[name])
        if self._queue.is_unfinished(name):
            return Ticket(name, "running", is_stored=self._queue.is_stored(name))
        found = None
        with self._store.machine.reading() as session, suppress(NotThereError):
            job = jobs.get(session, name)
            found = job.check_id
            if job.state in ("queued", "running"):
                return Ticket(name, "queued")
        entry = outbox.entry(self._store, found or name)
        return Ticket(entry.check.id, "done", Answer(entry))

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
            is_late = self._unstored.pop(name, None) is not None
            # A copy of a known picture that was written late has no job that leads to its check.
            if answer.is_stored and not (is_late and answer.id != name):
                return
            self._unstored[name] = answer
            while len(self._unstored) > KEPT_UNSTORED:
                self._unstored.popitem(last=False)


def kept_name(name: str | None, *, keep: bool) -> str | None:
    """Returns the name if the setting history.paths allows to keep it.

    That setting is for all names of files, also those in the address of a picture of the web.
    """
    return (plain_name(name or "") or None) if keep else None


def plain_name(text: str) -> str:
    """Returns the plain name in what a client calls a picture. Empty if there is none.

    Only the last part of a path is a name, and of the address of a picture neither the host nor the
    query. What commands a terminal, ends a line or turns the direction of reading is replaced, and
    at most LONGEST_NAME characters are kept. It is for people to read and search, never a path.
    """
    if _ADDRESS.match(text):
        text = unquote(_ADDRESS_END.split(text, maxsplit=1)[0])
    last = re.split(r"[\\/]", text)[-1]
    name = "".join(one if _has_shape(one) else _INERT for one in last.strip())
    name = name.strip()[:LONGEST_NAME].strip()
    return "" if name in ("", ".", "..") else name


def _has_shape(letter: str) -> bool:
    return letter in _JOINERS or unicodedata.category(letter) not in _SHAPELESS


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
