"""The facade of learning: everything that a client can do about it. Thread-safe."""

import shutil
import threading
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Self

from sqlalchemy.orm import Session

from antifake.core.bundle import Bundle
from antifake.core.errors import AntifakeError, ModelError
from antifake.daemon.store import NotThereError, Store, corrections, crops, reviews, trainings
from antifake.daemon.store import checks as checks_
from antifake.daemon.store.corrections import Word
from antifake.daemon.store.crops import Crop, CropStats
from antifake.daemon.store.history import Entry
from antifake.daemon.store.tables import Trigger
from antifake.daemon.store.trainings import AlreadyTrainingError, Training

from . import flips, merging, pack, review, words
from .merging import Merge
from .request import CONFIDENCE, Material
from .results import Budget, Comparison, Flip, LearningState, Progress, ReviewQueue, Version
from .running import LearningCallbacks, Place, Run
from .scheduling import Schedule
from .trainer_process import end_left_over

__all__ = ["Learning", "LearningCallbacks", "TooFewWordsError"]

STOPPED = "antifake was stopped while it trained; nothing has changed."


class TooFewWordsError(AntifakeError):
    """There is not enough to learn from, or nothing new."""

    code = "nothing_to_learn"


class Learning:
    """A context manager: inside it trainings can run. Outside everything else works."""

    def __init__(self, place: Place, callbacks: LearningCallbacks) -> None:
        self._place, self._callbacks = place, callbacks
        self._versions = place.versions
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
        with self.store.reading() as session:
            all_words = corrections.words(session)
            held, kept = crops.stats(session)
            last = next(iter(trainings.newest(session, 1)), None)
        counted, grouped = words.counted(all_words), words.grouped(all_words)
        bundle = self._bundle()
        there = self._usable(bundle, all_words)
        needed = words.needed(words.grouped(there))
        last_done = self._last_done(bundle)
        new_words = self._new_words(last_done, all_words)
        return LearningState(
            words_real=counted["real"],
            words_fake=counted["fake"],
            groups_real=grouped["real"],
            groups_fake=grouped["fake"],
            without_picture=len(all_words) - len(there),
            new_words=new_words,
            needed=needed,
            running=self._progress(),
            last=last,
            next_run=self._schedule.next_run() if self._is_open else None,
            why_not=self._why_not(bundle, new_words, needed),
            skipped=self._schedule.skipped,
            version=self._active(bundle),
            held=held,
            kept=kept,
            budget=self._budget(last_done),
        )

    def _bundle(self) -> Bundle | None:
        try:
            return self._versions.bundle()
        except AntifakeError:
            return None

    def _usable(self, bundle: Bundle | None, all_words: Sequence[Word]) -> list[Word]:
        """Returns the words whose crop is there, or can perhaps be made again from a file."""
        if bundle is None:
            return list(all_words)
        size = bundle.manifest.image_size
        there = Material(self.store, self._place.crop_files, size).has(all_words)
        with self.store.reading() as session:
            return [
                word
                for word in all_words
                if word.sha256 in there or crops.paths(session, word.sha256)
            ]

    def _last_done(self, bundle: Bundle | None) -> Training | None:
        with self.store.reading() as session:
            return trainings.last_done(session, bundle.manifest.version) if bundle else None

    def _new_words(self, last: Training | None, all_words: Sequence[Word]) -> int:
        if last is None:
            return len(all_words)
        if last.words == self._fingerprint(all_words):
            return 0
        with self.store.reading() as session:
            return max(1, trainings.changed_since(session, last.at))

    def _fingerprint(self, all_words: Sequence[Word]) -> str:
        return words.fingerprint(all_words, self._callbacks.config().learning.false_alarms)

    def _progress(self) -> Progress | None:
        run = self._run
        return run.progress if run is not None and not run.is_over else None

    def _why_not(self, bundle: Bundle | None, new_words: int, needed: str | None) -> str | None:
        if bundle is None:
            return "There is no model on this computer."
        if self._progress() is not None:
            return "A training is running already."
        try:
            self._versions.refuse_if_set()
        except AntifakeError as error:
            return str(error)
        if needed is not None:
            return needed
        if new_words == 0:
            return "Nothing has changed since the last training."
        return None

    def _active(self, bundle: Bundle | None) -> Version | None:
        return next((one for one in self._all(bundle) if one.is_active), None)

    def _all(self, bundle: Bundle | None) -> list[Version]:
        if bundle is None:
            return []
        with self.store.reading() as session:
            makers = trainings.makers(session)
        try:
            return self._versions.all(bundle, self._callbacks.config().learning.pinned, makers)
        except ModelError:
            return []

    def _budget(self, last: Training | None) -> Budget:
        one_in = self._callbacks.config().learning.false_alarms
        found = (last.report or {}).get("budget") if last else None
        if not one_in or not isinstance(found, dict) or found.get("one_in") != one_in:
            return Budget(one_in, CONFIDENCE)
        names = ("reached", "n_real", "needed", "reason")
        return Budget(one_in, CONFIDENCE, **{name: found.get(name) for name in names})

    # --- When -------------------------------------------------------------------------------

    def nightly(self) -> None:
        """It is the hour of the nightly training."""
        self._schedule.nightly()

    def tick(self) -> None:
        """Every minute: begin a training that is due, and delete crops that are too old."""
        self.trim_crops()
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
                raise AntifakeError("antifake is not running: start it with antifake daemon start.")
            if self._run is not None and not self._run.is_over:
                raise AlreadyTrainingError("A training is running already.")
            bundle = self._versions.bundle()
            self._versions.refuse_if_set()
            with self.store.reading() as session:
                all_words = corrections.words(session)
            needed = words.needed(words.grouped(self._usable(bundle, all_words)))
            new_words = self._new_words(self._last_done(bundle), all_words)
            if why_not := self._why_not(bundle, new_words, needed):
                raise TooFewWordsError(why_not)
            with self.store.writing(durable=True) as session:
                training = trainings.begin(
                    session,
                    trigger,
                    bundle.manifest.version,
                    self._fingerprint(all_words),
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
            raise AntifakeError("This training is over already.")
        run.end("cancelled", "You cancelled it; nothing has changed.")
        return self.training(number)

    def trainings(self, limit: int = 20) -> list[Training]:
        """Returns the last ones, newest first."""
        with self.store.reading() as session:
            return trainings.newest(session, limit)

    def training(self, number: int) -> Training:
        """Raises NotThereError."""
        with self.store.reading() as session:
            return trainings.get(session, number)

    def flips(self, number: int) -> list[Flip]:
        """Returns the pictures on which the prompt of a training and the one before it differ."""
        with self.store.reading() as session:
            return flips.of(session, trainings.get(session, number))

    def contradictions(self, number: int) -> list[tuple[Entry, Entry]]:
        """Returns pairs that look alike and that the user said different things of."""
        with self.store.reading() as session:
            return flips.contradictions(session, trainings.get(session, number))

    def promote(self, number: int) -> Training:
        """Puts the prompt of a training into use, whatever was advised. Raises AntifakeError."""
        training = self.training(number)
        if training.candidate is None:
            raise AntifakeError("This training made no version that could be used.")
        self.use(training.candidate)
        with self.store.writing(durable=True) as session:
            return trainings.promoted(session, number)

    def _recover(self) -> None:
        """Tell of a training that was killed; complete one whose prompt answers already."""
        end_left_over(self._place.note)
        with self.store.writing(durable=True) as session:
            for one in trainings.unfinished(session):
                self._callbacks.notice(self._recovered(session, one))
        shutil.rmtree(self._place.work, ignore_errors=True)

    def _recovered(self, session: Session, one: Training) -> str:
        now, name = self._callbacks.clock(), one.candidate
        bundle = self._bundle()
        if name and bundle and self._versions.active(bundle) == name:
            reason = str((one.report or {}).get("reason", ""))
            trainings.finish(session, one.id, "done", reason, now, promoted=True)
            return f"antifake was ended just after a training: the version {name} answers."
        if name and bundle and name in self._versions.files(bundle):
            reason = f"antifake was ended before {name} was put into use; you can do that by hand."
        else:
            trainings.drop_candidate(session, one.id)
            reason = "antifake was ended while it trained; nothing has changed."
        trainings.finish(session, one.id, "interrupted", reason, now)
        return f"A training was interrupted: {reason}"

    # --- Versions ---------------------------------------------------------------------------

    def versions(self) -> list[Version]:
        """Returns the shipped one, then the others, newest first. Raises ModelError."""
        return self._all(self._versions.bundle())

    def version(self, name: str) -> Version:
        """Raises NotThereError."""
        found = next((one for one in self.versions() if name in (one.name, one.version)), None)
        if found is None:
            raise NotThereError(f"There is no version {name[:80]}.")
        return found

    def use(self, name: str) -> Version:
        """Puts a version into use, and unpins another one. Raises AntifakeError."""
        name = self.version(name).name
        self._versions.use(name)
        return self._now_used()

    def roll_back(self) -> Version:
        """Takes the last change of the version back. Raises UsageError if there was none."""
        self._versions.roll_back()
        return self._now_used()

    def pin(self, name: str | None) -> Version:
        """Keeps a version in use whatever is learned; None ends that. Returns the one in use."""
        if name is not None:
            name = self.use(name).name
        self._callbacks.put_setting("learning.pinned", name)
        return self._now_used()

    def _now_used(self) -> Version:
        found = self._active(self._versions.bundle())
        if found is None:
            raise ModelError("No version answers.")
        if self._callbacks.config().learning.pinned not in ("", found.name):
            self._callbacks.put_setting("learning.pinned", None)
        self._callbacks.tell(version=found.version)
        return found

    def compare(self, a: str, b: str) -> Comparison:
        """Raises NotThereError."""
        return self._versions.compare(self.version(a), self.version(b))

    # --- Review -----------------------------------------------------------------------------

    def review(self) -> ReviewQueue:
        """Returns the pictures to ask about today, at most ten."""
        with self.store.reading() as session:
            return review.queue(session, self._callbacks.clock())

    def skip(self, names: Collection[str]) -> None:
        """Asks about the pictures of these checks no more for 30 days. Raises NotThereError."""
        with self.store.writing() as session:
            found = [checks_.get(session, name).sha256 for name in names]
            reviews.skip(session, [one for one in found if one], self._callbacks.clock())

    # --- Packs ------------------------------------------------------------------------------

    def export_pack(self, *, with_crops: bool) -> bytes:
        """Returns what was learned here as a zip. See learning/pack."""
        bundle, one_in = self._versions.bundle(), self._callbacks.config().learning.false_alarms
        return pack.write(merging.export(self._place, bundle, one_in, with_crops=with_crops))

    def preview_pack(self, data: bytes, *, use: bool | None = None) -> Merge:
        """Returns what a pack would change. Raises PackError."""
        return self._plan(data, use=use).merge()

    def import_pack(self, data: bytes, *, use: bool | None = None) -> Merge:
        """Takes a pack in beside what is here. Raises PackError, and then nothing has changed.

        `use`: whether its version answers afterwards; None: if the shipped one does now.
        """
        with self._lock:
            wanted = self._plan(data, use=use)
            if wanted.uses is not None:
                self._versions.refuse_if_set()
            done = merging.carry_out(wanted, self._callbacks.clock)
        if wanted.one_in is not None:
            self._callbacks.put_setting("learning.false_alarms", wanted.one_in)
        if wanted.uses is not None:
            self._now_used()
        self._callbacks.tell(imported=done.words_new + done.words_changed)
        return done

    def _plan(self, data: bytes, *, use: bool | None) -> merging.Plan:
        bundle, one_in = self._versions.bundle(), self._callbacks.config().learning.false_alarms
        return merging.plan(self._place, bundle, pack.read(data, bundle.manifest), one_in, use=use)

    # --- Crops ------------------------------------------------------------------------------

    def crops(self, after: str | None = None, limit: int = 100) -> list[Crop]:
        """Returns at most `limit` crops by sha256, those after `after`."""
        with self.store.reading() as session:
            return list(crops.page(session, after, limit))

    def crop_stats(self) -> tuple[CropStats, CropStats]:
        """Returns those that are held for a while, and those that are kept for good."""
        with self.store.reading() as session:
            return crops.stats(session)

    def delete_crops(self, sha256s: Collection[str] | None = None) -> int:
        """Deletes these crops, or all. Returns how many. What was said of the pictures stays."""
        with self.store.writing(durable=True) as session:
            there = crops.every(session)
            gone = there if sha256s is None else there & set(sha256s)
            crops.drop(session, gone)
        self._place.crop_files.remove(gone)
        if sha256s is None:
            self._place.crop_files.remove(list(self._place.crop_files.names()))
        self._callbacks.tell(crops=len(there) - len(gone))
        return len(gone)

    def trim_crops(self) -> int:
        """Deletes crops that need not be held any longer. Returns how many."""
        learning, now = self._callbacks.config().learning, self._callbacks.clock()
        before = now - timedelta(days=learning.hold_days)
        with self.store.reading() as session:
            gone = crops.surplus(session, before, learning.hold_crops)
        if gone:
            with self.store.writing() as session:
                crops.drop(session, gone)
            self._place.crop_files.remove(gone)
        return len(gone)

    def tidy(self) -> None:
        """Deletes crops that need not be held, and files that no row knows."""
        self.trim_crops()
        with self.store.reading() as session:
            known = crops.every(session)
        self._place.crop_files.sweep(known, self._callbacks.clock())
