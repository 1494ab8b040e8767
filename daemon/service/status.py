"""How the daemon is doing, for health, tray and page; and what the user must be told."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from antifake.core.errors import AntifakeError
from antifake.daemon.instance import START_IT
from antifake.daemon.store import Store, StoreError, jobs, outbox
from antifake.daemon.store.jobs import Priority
from antifake.daemon.worker.model_process import ModelProcess, ModelState

from .events import Events
from .model_fetch import FetchState, ModelFetch
from .progress import Pace
from .settings import Settings

Mode = Literal["ready", "working", "paused", "attention"]


@dataclass(frozen=True)
class State:
    """How things are now."""

    mode: Mode
    model: ModelState
    waiting: dict[str, int]
    """How many pictures wait, by priority: person, folder, batch."""
    left_s: float | None
    """How long these will take; None if that is not known, or if none wait."""
    paused_until: datetime | None
    notices: list[str]
    """What the user must know, in sentences."""
    fetch: FetchState | None = None
    """How far the embedded model is fetched; None if it is here, or if another one is used."""


class Status:
    """Usable from many threads."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        model: ModelProcess,
        events: Events,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._settings, self._model = store, settings, model
        self._events, self._clock = events, clock
        self.fetch: ModelFetch | None = None
        """What fetches the embedded model. None without a daemon."""
        self._lock = threading.Lock()
        self._notices: list[str] = list(store.notices)
        self._trouble: str | None = None
        self._is_busy = False
        self._pace = Pace()

    @property
    def is_busy(self) -> bool:
        """Whether pictures are being judged."""
        return self._is_busy

    @property
    def is_in_trouble(self) -> bool:
        """Whether pictures cannot be judged, or written down. Asks neither disk nor database."""
        return self._trouble is not None

    def state(self) -> State:
        counted, trouble, unsent = dict.fromkeys(Priority, 0), None, None
        try:
            with self._store.machine.reading() as session:
                counted = jobs.waiting(session)
            unsent = outbox.trouble(self._store)
        except StoreError as error:
            trouble = str(error)
        waiting = {priority.name.lower(): n for priority, n in counted.items()}
        until = self._settings.config.watch.paused_until
        until = until if until and until > self._clock() else None
        model = self._model.state()
        with self._lock:
            broken = model.why if model.phase == "broken" else None
            current = [self._trouble, trouble, broken, model.warning, unsent]
            notices = list(dict.fromkeys([*self._notices, *filter(None, current)]))
            n = sum(waiting.values())
            left_s = None if until else self._pace.left_s(n, time.monotonic())
        fetch = self.fetch.state() if self.fetch else None
        return State(self._mode(notices, until), model, waiting, left_s, until, notices, fetch)

    def fetch_model(self) -> None:
        """Starts to fetch the embedded model. Raises AntifakeError if that cannot be done."""
        if self.fetch is None:
            raise AntifakeError(START_IT)
        self.fetch.start()

    def model_state(self) -> ModelState:
        """Returns the state of the model alone, without asking the database."""
        return self._model.state()

    def _mode(self, notices: list[str], until: datetime | None) -> Mode:
        if notices:
            return "attention"
        if self._is_busy:
            return "working"
        return "paused" if until else "ready"

    def set_trouble(self, sentence: str | None) -> None:
        """Why no pictures can be judged, or written down. None: they can be."""
        with self._lock:
            is_new, self._trouble = sentence != self._trouble, sentence
        if is_new:
            self._events.tell("state")

    def set_busy(self, is_busy: bool) -> None:
        """The worker has begun to work, or has nothing left to do."""
        self._is_busy = is_busy
        with self._lock:
            self._pace.restart()
        self._events.tell("state")

    def note_done(self) -> None:
        """A picture was judged."""
        with self._lock:
            self._pace.note(time.monotonic())

    def notice(self, sentence: str) -> None:
        """Show the user this sentence until they dismiss it."""
        with self._lock:
            if sentence not in self._notices:
                self._notices.append(sentence)
        self._events.tell("state")

    def dismiss_notices(self, read: Collection[str] | None = None) -> None:
        """The user has read these notices; None: all of them."""
        with self._lock:
            self._notices = [] if read is None else [n for n in self._notices if n not in read]
        self._events.tell("state")
