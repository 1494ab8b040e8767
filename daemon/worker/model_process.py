"""The model, as the daemon has it: asleep until a picture comes, replaced when it dies.

One child process (see child) owns the detector; this module decides when there is one. It
is started by the first picture, replaced when another model or prompt is to answer, and
after each death in a row it is left in peace for longer. Imports no torch.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import Literal, Self

from antifake.core.catalog import Home
from antifake.core.errors import AntifakeError, ModelError, NoScoreError
from antifake.core.images import Pixels
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
"""So long a picture waits for the next start; where it would take longer it is told so."""

Phase = Literal["asleep", "loading", "ready", "broken"]


class ModelChangedError(AntifakeError):
    """Another model answers by now, which sees pictures of another size: decode them again."""


class ModelLoadingError(AntifakeError):
    """It is on its way; nothing was begun."""


class ModelRestingError(ModelDiedError):
    """It died before, and is started again only later: no picture of now has to do with it."""


@dataclass(frozen=True)
class ModelState:
    """For a status page."""

    phase: Phase
    model: str | None
    """Who answers, or would if it were awake; None: there is none."""
    prompt: str | None
    why: str | None = None
    """Of a broken one, in a sentence."""
    warning: str | None = None
    """Of a ready one: it is not the prompt that was meant, or this computer scores otherwise."""
    rss_bytes: int | None = None
    """Memory of the child; None: there is no child, or the system does not tell."""


class BackOff:
    """After one failure at once again, then after 1, 2, 4 ... and at most 60 seconds."""

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
        """How long it should still be left in peace."""
        return max(0.0, self._until - self._clock())


class ModelProcess:
    """The one model; a context manager, usable from several threads, which judge in turn."""

    def __init__(  # noqa: PLR0913 - settings, each with its default
        self,
        home: Home,
        model: str = "",
        prompt: str = "",
        *,
        deadline_s: float = 60.0,
        start_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._names = home, (model, prompt)
        self._active_model = ActiveModel(home, model, prompt)
        self._deadline_s, self._start_s, self._clock = deadline_s, start_s, clock
        self._back_off = BackOff(clock)
        self._turn = Lock()  # of whoever judges; the only one to replace a living child
        self._lock = Lock()  # of all below, and never held while pictures are judged
        self._child: Child | None = None
        self._failure: AntifakeError | None = None
        self._failed_with: Stamps = ()
        self._last_used = clock()
        self._closing = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wake(self) -> None:
        """Start loading, unless that has been done or is to be waited with; returns at once."""
        with self._lock:
            try:
                wanted = self._active_model.now()
                self._forgive()
                if not self._living() and not self._back_off.wait_s():
                    self._start(wanted)
            except AntifakeError:
                return  # whoever brings a picture will be told

    def is_loading(self, patience_s: float = 0.0) -> bool:
        """Start it if need be; whether after so long it is still not loaded.

        Raises as judge does. One that died of loading is started again, so there is no telling
        how often this must be asked.
        """
        wanted = self._active_model.now()
        with self._turn:
            self._be_patient()
            with self._lock:
                self._check_open()
                child = self._living() or self._start(wanted)
        with suppress(TimeoutError, AntifakeError):
            child.loaded.result(patience_s)
        return child.ready() is None

    def judge(self, crops: Sequence[Pixels]) -> list[Verdict | NoScoreError]:
        """Judge uint8 crops [S, S, 3], S being ModelVersion.image_size, loading the model first.

        Raises ModelError where it cannot be loaded, ModelDiedError where its process ended
        or hung, or did so before and is tried again only later, and ModelChangedError.
        """
        if not crops:
            return []
        with self._turn:
            child = self._awake(crops)
            try:
                child.loaded.result()
                found = child.judge(crops, self._deadline_s)
            except AntifakeError as error:
                with self._lock:
                    self._bury(child, error)
                    self._check_open()
                raise
            with self._lock:
                self._last_used = self._clock()
                self._failure = None
                self._back_off.reset()
            return found

    def sleep_if_idle(self, idle_s: float) -> bool:
        """End the child if its last picture is longer ago; says whether it did."""
        if not self._turn.acquire(blocking=False):
            return False  # it is judging
        try:
            with self._lock:
                child = self._living()
                is_idle = self._clock() - self._last_used > idle_s
                if child is None or not child.ready() or not is_idle:
                    return False
                self._end(child)
                return True
        finally:
            self._turn.release()

    def state(self) -> ModelState:
        with self._lock:
            try:
                wanted = self._active_model.now()
            except ModelError as error:
                return ModelState("broken", None, None, why=str(error))
            child = self._living()
            if child is None:
                phase: Phase = "broken" if self._failure else "asleep"
                why = str(self._failure) if self._failure else None
                return ModelState(phase, wanted.model, wanted.prompt, why)
            rss = child.rss_bytes()
            said = child.ready()
            if said is None:
                return ModelState("loading", child.asked.model, child.asked.prompt, rss_bytes=rss)
            return ModelState("ready", said.model, said.prompt, None, said.warning, rss)

    def close(self) -> None:
        """End the child, busy or not; whoever waits for it is told."""
        self._closing.set()
        with self._lock:
            if self._child:
                self._end(self._child)

    def _awake(self, crops: Sequence[Pixels]) -> Child:
        """The child that is to judge these crops, perhaps still loading."""
        wanted = self._active_model.now()
        size = wanted.image_size
        if any(crop.shape != (size, size, 3) for crop in crops):
            raise ModelChangedError(
                f"{wanted.model} answers now, and it sees pictures of {size} x {size} pixels."
            )
        self._be_patient()
        with self._lock:
            self._check_open()
            child = self._living()
            # Asked by somebody who was interrupted: the next answer would not be ours.
            if child and (child.asked != wanted or child.is_asked):
                self._end(child)
                child = None
            return child or self._start(wanted)

    def _be_patient(self) -> None:
        """Wait for the time of the next start. Raises why not, where that is far off."""
        with self._lock:
            self._forgive()
            if self._living():
                return
            wait_s, failure = self._back_off.wait_s(), self._failure
        if wait_s and isinstance(failure, ModelError):
            raise type(failure)(str(failure))
        if wait_s > PATIENCE_S:
            raise ModelRestingError(f"{failure} It is tried again in {math.ceil(wait_s)} seconds.")
        self._closing.wait(wait_s)

    # --- From here on the lock is held --------------------------------------------------------

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise AntifakeError("The model has been shut down.")

    def _forgive(self) -> None:
        """Files that were changed since it failed deserve to be tried at once."""
        if self._failure and self._active_model.seen != self._failed_with:
            self._failure = None
            self._back_off.reset()

    def _living(self) -> Child | None:
        """The child, if it is loading, judging or ready."""
        if self._child and (error := self._child.failure()):
            self._bury(self._child, error)
        return self._child

    def _start(self, wanted: ModelVersion) -> Child:
        self._check_open()
        self._last_used = self._clock()
        try:
            self._child = Child(self._home, self._names, wanted, self._start_s)
        except ModelDiedError as error:
            self._note(error)
            raise
        return self._child

    def _end(self, child: Child) -> None:
        child.close()
        self._child = None

    def _bury(self, child: Child, error: AntifakeError) -> None:
        """Take note of a death, once, whoever noticed it first."""
        child.close()
        if self._child is child:
            self._child = None
            self._note(error)

    def _note(self, error: AntifakeError) -> None:
        self._failure, self._failed_with = error, self._active_model.seen
        self._back_off.failed()
        if isinstance(error, ModelDiedError):  # the sentence of a ModelError may name folders
            log.warning("%s", error)
