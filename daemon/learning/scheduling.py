"""When a training begins by itself, and why it does not, in words."""

import logging
from datetime import datetime, timedelta
from typing import Protocol

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.daemon.store import Store, trainings
from antifake.daemon.store.tables import Trigger
from antifake.daemon.store.trainings import AlreadyTrainingError, Training

from .place import LearningCallbacks
from .results import LearningState

log = logging.getLogger(__name__)

CATCH_UP_AFTER = timedelta(minutes=10)
"""After the start of the daemon, which is often also the start of the computer."""
ON_BATTERY = _("The computer is running on battery; the training waits.")


class Learner(Protocol):
    """The part of Learning that this needs."""

    @property
    def store(self) -> Store: ...
    @property
    def callbacks(self) -> LearningCallbacks: ...
    def state(self) -> LearningState: ...
    def start(self, trigger: Trigger) -> Training: ...


class Schedule:
    """Remembers whether a training is due. For the one thread of the scheduler."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._due: Trigger | None = None
        self._not_before: datetime | None = None
        self.skipped: str | None = None
        """Why it did not train the last time, in a sentence."""

    def next_run(self) -> datetime | None:
        """Returns when the next nightly training is due. None if there are none."""
        learning, now = self._learner.callbacks.config().learning, self._learner.callbacks.clock()
        if learning.when != "nightly":
            return None
        tonight = self._at_hour(now, learning.hour)
        # Not 24 hours later, which would be another hour where the clocks change.
        return tonight if tonight > now else self._at_hour(now + timedelta(days=1), learning.hour)

    def _at_hour(self, day: datetime, hour: int) -> datetime:
        local = day.astimezone().replace(hour=hour, minute=0, second=0, microsecond=0)
        return local.replace(tzinfo=None).astimezone().astimezone(day.tzinfo)

    def catch_up(self) -> None:
        """Makes up for a night in which the computer was off."""
        callbacks = self._learner.callbacks
        learning, now = callbacks.config().learning, callbacks.clock()
        if learning.when != "nightly":
            return
        missed = self._at_hour(now, learning.hour)
        missed = missed if missed <= now else self._at_hour(now - timedelta(days=1), learning.hour)
        with self._learner.store.machine.reading() as session:
            last = next(iter(trainings.newest(session, 1)), None)
        if last is None or last.at < missed:
            self._due, self._not_before = "nightly", now + CATCH_UP_AFTER

    def nightly(self) -> None:
        """It is the hour of the nightly training."""
        if self._learner.callbacks.config().learning.when == "nightly":
            self._due, self._not_before = "nightly", None
            self.tick()

    def tick(self) -> None:
        """Begins a training that is due. One that must wait stays due."""
        callbacks = self._learner.callbacks
        learning, now = callbacks.config().learning, callbacks.clock()
        if self._due is not None and self._due != learning.when:
            self._due = None  # the setting has changed meanwhile
        if learning.when == "words" and self._has_enough(learning.after_words):
            self._due, self._not_before = "words", None
        if self._due is None or (self._not_before is not None and now < self._not_before):
            return
        if callbacks.is_on_battery():
            self.skipped = ON_BATTERY
            return
        trigger, self._due = self._due, None
        try:
            self._learner.start(trigger)
        except AlreadyTrainingError:
            self._due = trigger
        except AntifakeError as error:
            time = now.astimezone().strftime("%Y-%m-%d %H:%M")
            self.skipped = _("Skipped on {time}: {why}", time=time, why=error)
            log.info("no training: %s", error)
        else:
            self.skipped = None

    def _has_enough(self, wanted: int) -> bool:
        """Whether so many words are new since the last attempt, also one that failed."""
        store = self._learner.store
        with store.machine.reading() as session:
            last = next(iter(trainings.newest(session, 1)), None)
        with store.reading() as session:
            if trainings.changed_since(session, last.at if last else None) < wanted:
                return False
        return self._learner.state().why_not is None
