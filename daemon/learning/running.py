"""One training from its start to its end: the process, its pauses, and what its result does.

The order at the end makes a kill at any point harmless: the name of the new prompt is recorded,
then its file is added, then it is put into use by one atomic write, then the training is done.
"""

import json
import logging
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from antifake.core.bundle import Bundle
from antifake.core.errors import AntifakeError
from antifake.core.files import read_capped
from antifake.core.i18n import _
from antifake.core.prompt_file import check_fits, open_prompt
from antifake.daemon.store import corrections, trainings
from antifake.daemon.store.tables import TrainingState
from antifake.daemon.store.trainings import Report, Training

from .place import LearningCallbacks, Place
from .request import Material, write_request
from .results import Progress
from .trainer_process import TrainerProcess

log = logging.getLogger(__name__)

QUIET_S = 1.0
"""How long nothing must have been judged before a training goes on."""
STALLED_S = 1800.0
"""A trainer that says nothing for so long while it may work is ended."""
MAX_REPORT_BYTES = 16 * 2**20
_PACE_S = 0.2
_TELL_EVERY_S = 0.5
_BY_ITSELF = ("nightly", "words")


class Run:
    """One training, in a thread of its own."""

    def __init__(self, training: Training, place: Place, callbacks: LearningCallbacks) -> None:
        self._training, self._place, self._callbacks = training, place, callbacks
        self._lock = threading.Lock()
        self._process: TrainerProcess | None = None
        self._ending: tuple[TrainingState, str] | None = None
        self._busy_until = 0.0
        self._is_busy = False
        self._heard = time.monotonic()
        self._told = 0.0
        self._over = threading.Event()
        self._progress = Progress(
            training.id, training.trigger, training.at, "words", 0, 0, is_suspended=False
        )
        self._threads = (
            threading.Thread(target=self._work, name="training", daemon=True),
            threading.Thread(target=self._pace, name="training-pace", daemon=True),
        )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def progress(self) -> Progress:
        with self._lock:
            is_suspended = self._process is not None and self._process.is_suspended
            return replace(self._progress, is_suspended=is_suspended)

    @property
    def id(self) -> int:
        return self._training.id

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def set_busy(self, *, is_busy: bool) -> None:
        """The worker has begun to judge, or has nothing left to judge."""
        self._is_busy = is_busy
        self._busy_until = time.monotonic() + QUIET_S
        if is_busy and (process := self._process) is not None and process.suspend(wanted=True):
            self._tell()

    def end(self, state: TrainingState, reason: str, within_s: float = 10.0) -> None:
        """Ends it at once. Nothing of it is put into use."""
        with self._lock:
            if self._ending is None:
                self._ending = state, reason
            if self._process is not None:
                self._process.kill()
        self._over.wait(within_s)

    # --- The threads ------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            state, reason, promoted = self._train()
        except AntifakeError as error:
            state, reason, promoted = *(self._ending or ("failed", str(error))), False
        except Exception:
            log.exception("a training failed")
            told = _("Something went wrong in the training; the log says what.")
            state, reason, promoted = *(self._ending or ("failed", told)), False
        self._finish(state, reason, promoted=promoted)

    def _finish(self, state: TrainingState, reason: str, *, promoted: bool) -> None:
        number = self._training.id
        try:
            with self._place.store.machine.writing(durable=True) as session:
                trainings.finish(
                    session, number, state, reason, self._callbacks.clock(), promoted=promoted
                )
        except AntifakeError as error:
            self._callbacks.notice(_("The end of a training could not be saved: {why}", why=error))
        self._over.set()
        shutil.rmtree(self._folder, ignore_errors=True)
        if state == "failed":
            self._callbacks.notice(_("The training failed: {why}", why=reason))
        log.info("training %d: %s", number, state)
        self._callbacks.tell(id=number, state=state, promoted=promoted)

    @property
    def _folder(self) -> Path:
        return self._place.work / str(self._training.id)

    def _train(self) -> tuple[TrainingState, str, bool]:
        """Returns how it ended, why, and whether its prompt was put into use."""
        place, config = self._place, self._callbacks.config()
        bundle = place.versions.bundle()
        material = Material(place.store, place.crop_files, bundle.manifest.image_size)
        with place.store.reading() as session:
            words = corrections.words(session)
        material.read_again(words, self._callbacks.clock, lambda: self._ending is not None)
        request = write_request(
            self._folder,
            material,
            words,
            bundle=bundle.folder,
            prompts=place.versions.book.folder,
            start=place.versions.start(bundle),
            current=place.versions.active(bundle),
            one_in=config.learning.false_alarms,
            threads=min(2, psutil.cpu_count() or 1),
        )
        self._run(request)
        return self._use_result(bundle)

    def _run(self, request: Path) -> None:
        """Runs the trainer to its end. Raises AntifakeError if it failed or was ended."""
        with self._lock:
            self._raise_if_ended()
            process = self._process = TrainerProcess(request, self._place.note)
        if self._wants_pause():
            process.suspend(wanted=True)
        error = None
        try:
            for message in process.messages():
                self._heard = time.monotonic()
                error = message.get("error", error)
                self._note_progress(message)
        finally:
            code = process.wait()
            with self._lock:
                self._process = None
        self._raise_if_ended()
        if code != 0:
            told = _("The training ended without a result (exit code {code}).", code=code)
            raise AntifakeError(error if isinstance(error, str) else told)

    def _raise_if_ended(self) -> None:
        if self._ending is not None:
            raise AntifakeError(self._ending[1])

    def _note_progress(self, message: dict[str, Any]) -> None:
        stage, done, total = (message.get(key) for key in ("stage", "done", "total"))
        if not isinstance(stage, str):
            return
        with self._lock:
            is_new = stage != self._progress.stage
            self._progress = replace(
                self._progress,
                stage=stage[:40],
                done=done if isinstance(done, int) else 0,
                total=total if isinstance(total, int) else 0,
            )
        # Only the last few hundred events are kept, so that progress must not drive others out.
        if is_new or time.monotonic() - self._told > _TELL_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        now = self.progress
        self._callbacks.tell(
            id=now.id,
            state="running",
            stage=now.stage,
            done=now.done,
            total=now.total,
            is_suspended=now.is_suspended,
        )

    def _pace(self) -> None:
        """Stops the trainer while it would be in the way, and ends it if it hangs."""
        while not self._over.wait(_PACE_S):
            process = self._process
            if process is None:
                continue
            wants_pause = self._wants_pause()
            if process.suspend(wanted=wants_pause):
                self._heard = time.monotonic()
                self._tell()
            if not wants_pause and time.monotonic() - self._heard > STALLED_S:
                self._ending = self._ending or ("failed", _("The training got stuck."))
                process.kill()

    def _wants_pause(self) -> bool:
        return self._is_busy or time.monotonic() < self._busy_until or self._saves_battery()

    def _saves_battery(self) -> bool:
        return self._training.trigger in _BY_ITSELF and self._callbacks.is_on_battery()

    # --- The result -------------------------------------------------------------------------

    def _use_result(self, bundle: Bundle) -> tuple[TrainingState, str, bool]:
        place, out = self._place, self._folder / "out"
        report = read_report(out / "report.json")
        candidate = out / "candidate.safetensors"
        reason = str(report["reason"])
        if not candidate.is_file():
            with place.store.machine.writing(durable=True) as session:
                trainings.reported(session, self.id, report, None)
            return "done", reason, False
        file = open_prompt(candidate)
        check_fits(file.about, file.shapes, bundle.manifest)
        name, is_known = place.versions.name_for(bundle, file.sha256)
        with place.store.machine.writing(durable=True) as session:
            trainings.reported(session, self.id, report, name)
        if not is_known:
            place.versions.book.add(name, candidate.read_bytes())
        if report["outcome"] != "promote":
            return "done", reason, False
        if why_not := self._why_not_promoted(bundle, name):
            return "done", f"{reason} {why_not}", False
        place.versions.use(name)
        return "done", reason, True

    def _why_not_promoted(self, bundle: Bundle, name: str) -> str | None:
        versions, pinned = self._place.versions, self._callbacks.config().learning.pinned
        if self._ending is not None:
            return _("It was not put into use, because the training was ended.")
        if pinned:
            return _(
                "It was not put into use, because the version {version} is pinned.", version=pinned
            )
        if versions.prompt:
            return _("It was not put into use, because the setting worker.prompt names another.")
        if versions.active(bundle) == name:
            return _("It is already in use.")
        return None


def read_report(path: Path) -> Report:
    """Returns the trainer's report. Raises AntifakeError."""
    data = read_capped(path, MAX_REPORT_BYTES, "report")
    try:
        report = json.loads(data)
        is_sound = report["outcome"] in ("promote", "candidate", "nothing")
        is_sound = is_sound and isinstance(report["reason"], str)
    except (ValueError, TypeError, LookupError, RecursionError):
        is_sound = False
    if not is_sound:
        raise AntifakeError(_("The report of the training cannot be read."))
    return dict(report)
