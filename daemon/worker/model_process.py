"""Starts, restarts and stops the child process that runs the detector (see model_child).

The first picture starts it. It is replaced when another model or prompt becomes active. After
repeated crashes, the pauses before a restart grow. Imports no torch.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import Literal, Self

from antifake.core.catalog import Home
from antifake.core.errors import AntifakeError, CudaBrokenError, ModelError, NoScoreError
from antifake.core.i18n import _, ngettext
from antifake.core.load_times import LoadTimes
from antifake.core.pixels import Pixels
from antifake.core.verdict import Verdict

from .active_model import ActiveModel, ModelVersion, Stamps
from .model_child import Child, ModelDiedError, log

__all__ = [
    "BackOff",
    "ModelChangedError",
    "ModelDiedError",
    "ModelLoadingError",
    "ModelProcess",
    "ModelRestingError",
    "ModelState",
]

PATIENCE_S = 2.0
"""Longest pause that a picture waits for. During a longer one, judging raises an error."""

Phase = Literal["asleep", "loading", "ready", "broken"]


class ModelChangedError(AntifakeError):
    """The active model has changed and needs another image size: decode the pictures again."""


class ModelLoadingError(AntifakeError):
    """The model is still loading. Nothing was judged."""


class ModelRestingError(ModelDiedError):
    """The process crashed earlier and is restarted only after a pause. No picture is to blame."""


@dataclass(frozen=True)
class ModelState:
    """The state of the model, for status pages."""

    phase: Phase
    model: str | None
    """Version of the active model, loaded or not; None if there is none."""
    prompt: str | None
    why: str | None = None
    """If broken: the reason, in a sentence."""
    warning: str | None = None
    """If ready: it uses another prompt than intended, or this computer computes other scores."""
    rss_bytes: int | None = None
    """Memory of the child process. None if there is no child or the system does not tell."""
    ready_in_s: float | None = None
    """If asleep or loading: how long the rest of loading will take, by how long it took last time.
    None if it was never loaded here."""


class BackOff:
    """Exponential back-off: the first retry is immediate, then after 1, 2, 4 ... 60 seconds."""

    def __init__(self, clock: Callable[[], float], most_s: float = 60.0) -> None:
        self._clock, self._most_s = clock, most_s
        self.reset()

    def reset(self) -> None:
        self._failures = 0
        self._until = -math.inf

    def failed(self) -> None:
        self._failures += 1
        wait_s = 0.0 if self._failures == 1 else min(2.0 ** (self._failures - 2), self._most_s)
        self._until = self._clock() + wait_s

    def wait_s(self) -> float:
        """Returns the number of seconds until the next attempt."""
        return max(0.0, self._until - self._clock())


class ModelProcess:
    """The daemon's only model. Thread-safe: threads judge in turn. A context manager."""

    def __init__(  # noqa: PLR0913 - settings, each with its default
        self,
        home: Home,
        model: str = "",
        prompt: str = "",
        *,
        deadline_s: float = 60.0,
        start_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change` is called when loading begins, and when it ends, well or not."""
        self._load_times, self._on_change = LoadTimes.at(home.root), on_change
        self._load_began = -math.inf
        self._home, self._names = home, (model, prompt)
        self._active_model = ActiveModel(home, model, prompt)
        self._deadline_s, self._start_s, self._clock = deadline_s, start_s, clock
        self._back_off = BackOff(clock)
        self._judging = Lock()  # held while judging, and to replace a running child
        self._lock = Lock()  # guards all fields below; never held while pictures are judged
        self._child: Child | None = None
        self._failure: AntifakeError | None = None
        self._stamps_at_failure: Stamps = ()
        self._may_use_cuda_graphs = True
        self._last_used = clock()
        self._closing = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wake(self) -> None:
        """Starts loading if there is no child and no pause. Returns at once."""
        with self._lock:
            try:
                wanted = self._active_model.now()
                self._reset_if_files_changed()
                if not self._running_child() and not self._back_off.wait_s():
                    self._start(wanted)
            except AntifakeError:
                return  # the next call of judge raises it

    def is_loading(self, patience_s: float = 0.0) -> bool:
        """Starts the child if necessary. Returns whether it is still loading after `patience_s`.

        Raises what judge raises. A child that crashed while loading is started again, so callers
        must limit how often they call this.
        """
        wanted = self._active_model.now()
        with self._judging:
            self._wait_for_restart()
            with self._lock:
                self._check_open()
                child = self._running_child() or self._start(wanted)
        with suppress(TimeoutError, AntifakeError):
            child.loaded.result(patience_s)
        return child.ready() is None

    def judge(self, pictures: Sequence[Pixels]) -> list[Verdict | NoScoreError]:
        """Judges pictures, each uint8 crops [n, S, S, 3], S being ModelVersion.image_size.

        Loads the model if needed.
        Raises ModelError if it cannot be loaded, ModelDiedError if its process crashed or hung,
        ModelRestingError during the pause after a crash, and ModelChangedError.
        """
        if not pictures:
            return []
        with self._judging:
            try:
                return self._judge(pictures)
            except CudaBrokenError:
                return self._judge(pictures)  # by a new child, which uses no CUDA graphs

    def _judge(self, pictures: Sequence[Pixels]) -> list[Verdict | NoScoreError]:
        """The caller holds the lock for judging."""
        child = self._child_for(pictures)
        try:
            child.loaded.result()
            found = child.judge(pictures, self._deadline_s)
        except AntifakeError as error:
            with self._lock:
                self._discard(child, error)
                self._check_open()
            raise
        with self._lock:
            self._last_used = self._clock()
            self._failure = None
            self._back_off.reset()
        return found

    def sleep_if_idle(self, idle_s: float) -> bool:
        """Ends the child if it judged nothing for `idle_s`. Returns whether it did."""
        if not self._judging.acquire(blocking=False):
            return False  # it is judging
        try:
            with self._lock:
                child = self._running_child()
                is_idle = self._clock() - self._last_used > idle_s
                if child is None or not child.ready() or not is_idle:
                    return False
                self._end(child)
                return True
        finally:
            self._judging.release()

    def state(self) -> ModelState:
        with self._lock:
            try:
                wanted = self._active_model.now()
            except ModelError as error:
                return ModelState("broken", None, None, why=str(error))
            child = self._running_child()
            if child is None:
                phase: Phase = "broken" if self._failure else "asleep"
                why = str(self._failure) if self._failure else None
                needs_s = self._load_times.expected_s(wanted.model) if phase == "asleep" else None
                return ModelState(phase, wanted.model, wanted.prompt, why, ready_in_s=needs_s)
            rss = child.rss_bytes()
            loaded = child.ready()
            if loaded is None:
                return self._loading_state(child.expected, rss)
            return ModelState("ready", loaded.model, loaded.prompt, None, loaded.warning, rss)

    def _loading_state(self, wanted: ModelVersion, rss: int | None) -> ModelState:
        needs_s = self._load_times.expected_s(wanted.model)
        if needs_s is not None:
            needs_s = max(0.0, needs_s - (self._clock() - self._load_began))
        return ModelState("loading", wanted.model, wanted.prompt, rss_bytes=rss, ready_in_s=needs_s)

    def close(self) -> None:
        """Ends the child, even a busy one. Callers that wait for it get an error."""
        self._closing.set()
        with self._lock:
            if self._child:
                self._end(self._child)

    def _child_for(self, pictures: Sequence[Pixels]) -> Child:
        """Returns a child for these pictures; it may still be loading. Raises as judge does."""
        wanted = self._active_model.now()
        size = wanted.image_size
        if any(crops.shape[1:] != (size, size, 3) for crops in pictures):
            raise ModelChangedError(
                _(
                    "{model} answers now, and it sees pictures of {size} x {size} pixels.",
                    model=wanted.model,
                    size=size,
                )
            )
        self._wait_for_restart()
        with self._lock:
            self._check_open()
            child = self._running_child()
            # A busy child belongs to an interrupted call: its next answer would not be ours.
            if child and (child.expected != wanted or child.is_busy):
                self._end(child)
                child = None
            return child or self._start(wanted)

    def _wait_for_restart(self) -> None:
        """Waits out a short pause after a crash. Raises the reason if the pause is long."""
        with self._lock:
            self._reset_if_files_changed()
            if self._running_child():
                return
            wait_s, failure = self._back_off.wait_s(), self._failure
        if wait_s and isinstance(failure, ModelError):
            raise type(failure)(str(failure))
        if wait_s > PATIENCE_S:
            again = ngettext(
                "It is tried again in {n} second.",
                "It is tried again in {n} seconds.",
                math.ceil(wait_s),
            )
            raise ModelRestingError(f"{failure} {again}")
        self._closing.wait(wait_s)

    # --- Callers of these methods hold the lock -----------------------------------------------

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise AntifakeError(_("The model has been shut down."))

    def _reset_if_files_changed(self) -> None:
        """Ends the pause after a failure if the files of the model have changed since."""
        if self._failure and self._active_model.seen != self._stamps_at_failure:
            self._failure = None
            self._back_off.reset()

    def _running_child(self) -> Child | None:
        """Returns the child if it is loading, judging or ready."""
        if self._child and (error := self._child.failure()):
            self._discard(self._child, error)
        return self._child

    def _start(self, wanted: ModelVersion) -> Child:
        self._check_open()
        self._last_used = self._load_began = began = self._clock()
        try:
            child = self._child = Child(
                self._home,
                self._names,
                wanted,
                self._start_s,
                cuda_graphs=self._may_use_cuda_graphs,
            )
        except ModelDiedError as error:
            self._record_failure(error)
            raise
        child.loaded.add_done_callback(lambda _: self._note_loaded(child, began))
        self._on_change()
        return child

    def _note_loaded(self, child: Child, began: float) -> None:
        """Called by the thread that waits for a child. Takes no lock."""
        if child.ready():
            self._load_times.note(child.expected.model, self._clock() - began)
        self._on_change()

    def _end(self, child: Child) -> None:
        child.close()
        self._child = None

    def _discard(self, child: Child, error: AntifakeError) -> None:
        """Closes a failed child and records the failure, once for each child."""
        child.close()
        if self._child is child:
            self._child = None
            self._record_failure(error)

    def _record_failure(self, error: AntifakeError) -> None:
        self._failure, self._stamps_at_failure = error, self._active_model.seen
        self._back_off.failed()
        if isinstance(error, CudaBrokenError):
            self._may_use_cuda_graphs = False
            log.warning("The model is started again without CUDA graphs. %s", error)
        if isinstance(error, ModelDiedError):  # the message of a ModelError may contain paths
            log.warning("%s", error)
