"""Learning from the user's words: how it stands, its trainings, and the parts that clients use."""

import shutil
import threading
from typing import Self

from sqlalchemy.orm import Session

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.daemon.instance import START_IT
from antifake.daemon.store import Store, trainings
from antifake.daemon.store.history import Entry
from antifake.daemon.store.tables import Trigger
from antifake.daemon.store.trainings import AlreadyTrainingError, Training

from . import flips, words
from .kept_crops import KeptCrops
from .packs import Packs
from .place import LearningCallbacks, Place
from .readiness import Readiness, readiness
from .results import Flip, LearningState, Progress
from .review import Review
from .running import Run
from .scheduling import Schedule
from .trainer_process import end_left_over
from .version_choice import VersionChoice

STOPPED = _("antifake was stopped during a training; nothing has changed.")


class TooFewWordsError(AntifakeError):
    """There is not enough to learn from, or nothing new."""

    code = "nothing_to_learn"


class Learning:
    """A context manager: inside it trainings can run. Outside everything else works.

    Thread-safe, as its parts are.
    """

    def __init__(self, place: Place, callbacks: LearningCallbacks) -> None:
        self._place, self._callbacks = place, callbacks
        store, clock = place.store, callbacks.clock
        self.versions = VersionChoice(place, callbacks)
        self.packs = Packs(place, callbacks, self.versions)
        self.review = Review(store, clock)
        self.crops = KeptCrops(store, place.crop_files, callbacks.config, clock, callbacks.tell)
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._is_open = False
        self._is_busy = False
        self._schedule = Schedule(self)

    @property
    def store(self) -> Store:
        return self._place.store

    @property
    def callbacks(self) -> LearningCallbacks:
        return self._callbacks

    def __enter__(self) -> Self:
        self._recover()
        self._is_open = True
        self._schedule.catch_up()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_open = False
            run = self._run
        if run is not None:
            run.end("interrupted", STOPPED)

    # --- State ------------------------------------------------------------------------------

    def state(self) -> LearningState:
        now = self._readiness()
        held, kept = self.crops.stats()
        with self.store.machine.reading() as session:
            last = next(iter(trainings.newest(session, 1)), None)
        counted, grouped = words.counted(now.words), words.grouped(now.words)
        return LearningState(
            words_real=counted["real"],
            words_fake=counted["fake"],
            groups_real=grouped["real"],
            groups_fake=grouped["fake"],
            without_picture=len(now.words) - len(now.usable),
            new_words=now.new_words,
            needed=now.needed,
            running=self._progress(),
            last=last,
            next_run=self._schedule.next_run() if self._is_open else None,
            why_not=self._why_not(now),
            skipped=self._schedule.skipped,
            version=self.versions.active(),
            held=held,
            kept=kept,
            budget=now.budget,
        )

    def _readiness(self) -> Readiness:
        return readiness(self._place, self._callbacks.config().learning.false_alarms)

    def _progress(self) -> Progress | None:
        run = self._run
        return run.progress if run is not None and not run.is_over else None

    def _why_not(self, now: Readiness) -> str | None:
        if now.bundle is None:
            return _("There is no model on this computer.")
        if self._progress() is not None:
            return _("A training is running already.")
        try:
            self._place.versions.refuse_if_set()
        except AntifakeError as error:
            return str(error)
        return now.objection

    # --- When -------------------------------------------------------------------------------

    def nightly(self) -> None:
        """It is the hour of the nightly training."""
        self._schedule.nightly()

    def tick(self) -> None:
        """Every minute: begin a training that is due, and delete crops that are too old."""
        self.crops.trim()
        self._schedule.tick()

    def set_busy(self, *, is_busy: bool) -> None:
        """The worker has begun to judge, or has nothing left to judge."""
        self._is_busy = is_busy
        if (run := self._run) is not None:
            run.set_busy(is_busy=is_busy)

    # --- Trainings --------------------------------------------------------------------------

    def start(self, trigger: Trigger) -> Training:
        """Begins a training. Raises TooFewWordsError, AlreadyTrainingError and others that say
        why it cannot be.
        """
        with self._lock:
            if not self._is_open:
                raise AntifakeError(START_IT)
            if self._run is not None and not self._run.is_over:
                raise AlreadyTrainingError(_("A training is running already."))
            bundle = self._place.versions.bundle()
            self._place.versions.refuse_if_set()
            now = self._readiness()
            if objection := now.objection:
                raise TooFewWordsError(objection)
            with self.store.machine.writing(durable=True) as session:
                training = trainings.begin(
                    session,
                    trigger,
                    bundle.manifest.version,
                    now.fingerprint,
                    self._callbacks.clock(),
                )
            self._run = Run(training, self._place, self._callbacks)
            self._run.set_busy(is_busy=self._is_busy)
            self._run.start()
        self._callbacks.tell(id=training.id, state="running", stage="words", done=0, total=0)
        return training

    def cancel(self, number: int) -> Training:
        """Ends a running training. Raises NotThereError if it is not running."""
        run = self._run
        if run is None or run.id != number or run.is_over:
            self.training(number)
            raise AntifakeError(_("This training is already over."))
        run.end("cancelled", _("You cancelled it; nothing has changed."))
        return self.training(number)

    def trainings(self, limit: int = 20) -> list[Training]:
        """Returns the last ones, newest first."""
        with self.store.machine.reading() as session:
            return trainings.newest(session, limit)

    def training(self, number: int) -> Training:
        """Raises NotThereError."""
        with self.store.machine.reading() as session:
            return trainings.get(session, number)

    def flips(self, number: int) -> list[Flip]:
        """Returns the pictures on which the prompt of a training and the one before it differ."""
        training = self.training(number)
        with self.store.reading() as session:
            return flips.of(session, training)

    def contradictions(self, number: int) -> list[list[Entry]]:
        """Returns groups that look alike and that the user said different things of."""
        training = self.training(number)
        with self.store.reading() as session:
            return flips.contradictions(session, training)

    def promote(self, number: int) -> Training:
        """Puts the prompt of a training into use, whatever was advised. Raises AntifakeError."""
        training = self.training(number)
        if training.candidate is None:
            raise AntifakeError(_("This training made no version that could be used."))
        self.versions.use(training.candidate)
        with self.store.machine.writing(durable=True) as session:
            return trainings.promoted(session, number)

    def _recover(self) -> None:
        """Tell of a training that was killed; complete one whose prompt answers already."""
        end_left_over(self._place.note)
        with self.store.machine.writing(durable=True) as session:
            for one in trainings.unfinished(session):
                self._callbacks.notice(self._recovered(session, one))
        shutil.rmtree(self._place.work, ignore_errors=True)

    def _recovered(self, session: Session, one: Training) -> str:
        now, name = self._callbacks.clock(), one.candidate
        versions = self._place.versions
        bundle = versions.bundle_if_any()
        if name and bundle and versions.active(bundle) == name:
            reason = str((one.report or {}).get("reason", ""))
            trainings.finish(session, one.id, "done", reason, now, promoted=True)
            return _(
                "antifake was ended just after a training: version {name} is in use.", name=name
            )
        if name and bundle and name in versions.files(bundle):
            reason = _(
                "antifake was ended before {name} was put into use; you can do that by hand.",
                name=name,
            )
        else:
            trainings.drop_candidate(session, one.id)
            reason = _("antifake was ended during a training; nothing has changed.")
        trainings.finish(session, one.id, "interrupted", reason, now)
        return _("A training was interrupted: {why}", why=reason)
