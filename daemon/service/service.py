"""The facade for the API and the pages: everything that a client can do."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from antifake.core import AntifakeError, Label
from antifake.core.i18n import _
from antifake.daemon.config import Config, Folder
from antifake.daemon.config.settings import History
from antifake.daemon.learning import Learning
from antifake.daemon.store import (
    Store,
    checks,
    corrections,
    exchange,
    forgetting,
    grouped,
    history,
    outbox,
    saved_filters,
)
from antifake.daemon.store.checks import Check
from antifake.daemon.store.corrections import NewCorrection
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.exchange import Form
from antifake.daemon.store.history import Count, Entry, Filter
from antifake.daemon.store.importing import Imported
from antifake.daemon.store.ordering import Sort
from antifake.daemon.store.tables import Source
from antifake.daemon.watcher import FolderState
from antifake.daemon.watcher.roots import objection_to
from antifake.daemon.worker.model_process import ModelState

from . import file_manager, originals
from .answers import Answer, AnswerGroup, Ticket, verdict_of
from .checks import CheckRequest, Checks
from .events import Events
from .evidence_backfill import EvidenceBackfill
from .existing import Action, ExistingFiles, Wish
from .file_hashes import FileHashes
from .originals import NoOriginalError, Original
from .progress import Progress
from .renditions import Renditions
from .settings import Settings
from .status import State, Status
from .upkeep import CleanUp, to_clean_up

NOTHING_TO_CONFIRM = _("There is no verdict to confirm. Say what it is: real, or AI-made.")


class Folders(Protocol):
    """The part of the watcher that the service needs."""

    def state(self) -> list[FolderState]: ...
    def rescan(self) -> None: ...


@dataclass(frozen=True)
class WatchedFolder:
    """A folder of the settings, as the watcher sees it, and what it held before."""

    folder: Folder
    polling: bool
    problem: str | None
    pending: int
    existing: Progress | None
    """None as long as nothing is known about it, as without a daemon."""


@dataclass(frozen=True)
class Service:
    """Thread-safe."""

    store: Store
    settings: Settings
    events: Events
    clock: Callable[[], datetime]
    checks: Checks
    status: Status
    watched: Folders
    existing: ExistingFiles
    learning: Learning
    """Learning from corrections: trainings, versions, review, kept crops."""
    crop_files: CropFiles
    hashes: FileHashes = field(default_factory=FileHashes)
    renditions: Renditions = field(default_factory=Renditions)

    @property
    def config(self) -> Config:
        return self.settings.config

    @cached_property
    def backfill(self) -> EvidenceBackfill:
        """Reads what files say for pictures that were judged before that was read."""
        tell = partial(self.events.tell, "state")
        return EvidenceBackfill(self.store, self.original, self.clock, tell)

    # --- Checks -----------------------------------------------------------------------------

    def check(self, data: bytes, request: CheckRequest) -> Ticket:
        """See Checks.check."""
        return self.checks.check(data, request)

    def ticket(self, name: str) -> Ticket:
        """See Checks.ticket."""
        return self.checks.ticket(name)

    def wait(self, name: str, seconds: float) -> Ticket:
        """See Checks.wait."""
        return self.checks.wait(name, seconds)

    def ahead(self, name: str) -> int | None:
        """See Checks.ahead."""
        return self.checks.ahead(name)

    # --- History ----------------------------------------------------------------------------

    def get(self, name: str) -> Answer:
        """Raises NotThereError."""
        return Answer(outbox.entry(self.store, name))

    def page(
        self, wanted: Filter, after: str | None = None, limit: int = 50, sort: Sort = "newest"
    ) -> tuple[list[Answer], str | None]:
        """Returns at most `limit` answers, and the `after` of the next page."""
        with self.store.reading() as session:
            found = history.page(session, wanted, after, limit, sort)
            return [Answer(entry) for entry in found.entries], found.next

    def grouped_page(
        self, wanted: Filter, after: str | None, limit: int, sort: Sort = "newest"
    ) -> tuple[list[AnswerGroup], str | None]:
        """Returns at most `limit` groups of near-copies, and the `after` of the next page."""
        with self.store.reading() as session:
            found = grouped.page(session, wanted, after, limit, sort)
        return [AnswerGroup.of(group) for group in found.groups], found.next

    def neighbours(
        self, name: str, wanted: Filter, sort: Sort = "newest"
    ) -> tuple[str | None, str | None]:
        """Returns the ids of the checks before and after one. Raises NotThereError."""
        with self.store.reading() as session:
            return history.neighbours(session, checks.get(session, name), wanted, sort)

    def count(self, wanted: Filter) -> int:
        with self.store.reading() as session:
            return history.count(session, wanted)

    def count_by_label(self, wanted: Filter) -> dict[Label | None, int]:
        """See history.count_by_label."""
        with self.store.reading() as session:
            return history.count_by_label(session, wanted)

    def models(self) -> list[str]:
        """Returns the models that have judged something."""
        with self.store.reading() as session:
            return history.models(session)

    def known_folders(self) -> list[str]:
        """Returns the watched folders, and those that the latest pictures lie in."""
        with self.store.reading() as session:
            found = history.folders(session)
        return list(dict.fromkeys([*map(str, self._watched_paths()), *found]))

    def saved_filters(self) -> dict[str, str]:
        """See saved_filters.every."""
        with self.store.machine.reading() as session:
            return saved_filters.every(session)

    def save_filter(self, name: str, query: str) -> None:
        """See saved_filters.save."""
        with self.store.machine.writing() as session:
            saved_filters.save(session, name, query, self.clock())

    def drop_filter(self, name: str) -> None:
        with self.store.machine.writing() as session:
            saved_filters.drop(session, name)

    def count_by_day(
        self, since: datetime, until: datetime, utc_offset: timedelta = timedelta()
    ) -> list[Count]:
        with self.store.reading() as session:
            return history.count_by_day(session, since, until, utc_offset)

    def thumbnail(self, name: str) -> bytes | None:
        """Returns WebP, or None if none is kept. Raises NotThereError if there is no such check."""
        return outbox.thumbnail(self.store, name)

    def original(self, name: str, *, with_data: bool = True) -> Original:
        """Returns the file of a picture, if it is still there. Raises NotThereError."""
        entry, folders = self.get(name).entry, self._watched_paths()
        return originals.find(entry, folders, self.hashes, with_data=with_data)

    def rendition(
        self, name: str, original: Original, is_unwanted: Callable[[], bool]
    ) -> bytes | None:
        """Returns an original as JPEG. See Renditions.make."""
        sha256 = self.get(name).entry.check.sha256
        if sha256 is None or original.data is None:
            return None
        return self.renditions.make(sha256, original.data, is_unwanted)

    def kept_copy(self, name: str) -> bytes | None:
        """Returns the kept crop of a picture, WebP, or None. Raises NotThereError."""
        sha256 = self.get(name).entry.check.sha256
        try:
            return self.crop_files.path(sha256).read_bytes() if sha256 else None
        except OSError:
            return None

    def open_file(self, name: str) -> None:
        """Opens the file of a picture in the program that it is for.

        Raises NotThereError, NoOriginalError and NoDesktopError. Only what is a picture by its name
        and has the bytes that were judged is opened, so that nothing is ever run.
        """
        path = self.original(name, with_data=False).path
        if path is None:
            raise NoOriginalError(_("The file is not there any more, or it has changed since."))
        if not originals.is_named_like_a_picture(path):
            sentence = _("Its name is not that of a picture, so it is not opened from here.")
            raise NoOriginalError(sentence)
        file_manager.open_file(path)

    def show_in_folder(self, name: str) -> None:
        """Shows the file of a picture in its folder.

        Raises NotThereError, NoOriginalError and NoDesktopError.
        """
        path = originals.present(self.get(name).entry, self._watched_paths())
        if path is None:
            raise NoOriginalError(_("The file is not there any more."))
        file_manager.show_in_folder(path)

    def _watched_paths(self) -> list[Path]:
        return [folder.path for folder in self.config.watch.folders]

    def export(self, form: Form, wanted: Filter | None = None) -> Iterator[str]:
        """See exchange.export."""
        outbox.deliver(self.store)
        return exchange.export(self.store, form, wanted)

    def import_rows(
        self, lines: Iterable[str], form: Form, before: int, is_unwanted: Callable[[], bool]
    ) -> Imported:
        """Adds the rows of an exported file to the history. See exchange.import_rows."""

        def is_over() -> bool:
            return self.events.is_closed or is_unwanted()

        try:
            return exchange.import_rows(
                self.store, lines, form, self.clock(), before=before, is_unwanted=is_over
            )
        finally:
            self.events.tell("state")

    def to_forget(self, names: Collection[str]) -> list[str]:
        """Returns the ids of all checks that `forget` would delete."""
        outbox.deliver(self.store)
        return forgetting.to_forget(self.store, names)

    def forget(self, names: Collection[str]) -> int:
        """Deletes every trace of these pictures. Returns the number of deleted checks."""
        outbox.deliver(self.store)
        gone = forgetting.forget(self.store, names, self.clock(), self.crop_files)
        self.renditions.forget()
        self.events.tell("forgotten", ids=sorted(names))
        return gone

    def to_clean_up(self, kept: History) -> CleanUp:
        """Returns what the daily upkeep would delete under these settings."""
        return to_clean_up(self.store, kept, self.clock())

    # --- Corrections ------------------------------------------------------------------------

    def correct(
        self, names: Collection[str], label: Label | None, source: Source, note: str = ""
    ) -> list[Answer]:
        """Records the user's label of these pictures. None removes their corrections.

        Raises NotThereError, and then nothing has changed.
        """
        with self._correcting() as session:
            found = [checks.get(session, name) for name in names]
            correction = NewCorrection(label, source, note)
            corrections.correct(session, _pictures(found), correction, self.clock())
            answers = [Answer(entry) for entry in history.entries(session, found)]
        return self._tell(answers)

    def confirm(self, names: Collection[str], source: Source, note: str = "") -> list[Answer]:
        """Records that the verdicts of these pictures are right, as if the user had given them.

        What the user has said of a picture before stays as it is. Raises AntifakeError if a verdict
        is neither real nor AI-made, and NotThereError; then nothing has changed.
        """
        with self._correcting() as session:
            found = [checks.get(session, name) for name in names]
            for label, sha256s in _verdicts(history.entries(session, found)).items():
                correction = NewCorrection(label, source, note)
                corrections.correct(session, sha256s, correction, self.clock())
            answers = [Answer(entry) for entry in history.entries(session, found)]
        return self._tell(answers)

    def undo(self, names: Collection[str], source: Source) -> list[Answer]:
        """Undoes the last correction of each picture; the one before it counts again."""
        with self._correcting() as session:
            found = [checks.get(session, name) for name in names]
            for sha256 in _pictures(found):
                corrections.undo(session, sha256, source, self.clock())
            answers = [Answer(entry) for entry in history.entries(session, found)]
        return self._tell(answers)

    def _correcting(self) -> AbstractContextManager[Session]:
        outbox.deliver(self.store)
        return self.store.writing(durable=True)

    def _tell(self, answers: list[Answer]) -> list[Answer]:
        for answer in answers:
            self.events.tell("correction", **verdict_of(answer))
        return answers

    # --- Folders and status -----------------------------------------------------------------

    def folders(self) -> list[WatchedFolder]:
        """Returns the folders of the settings, and what is wrong with them."""
        states = {one.folder: one for one in self.watched.state()}
        progress = self.existing.progress()
        return [
            _watched(folder, states.get(folder), progress.get(str(folder.path)))
            for folder in self.config.watch.folders
        ]

    def watch(self, folder: Folder, wish: Wish = "ask") -> None:
        """Watches a folder. `wish`: what to do with the pictures that it holds already.

        Raises ConfigError, also if it is watched already.
        """
        self.existing.expect(folder, wish)
        self.settings.watch(folder)

    def watch_too(self, folder: Folder, wish: Wish = "ask") -> bool:
        """Adds patterns and options to a folder that is watched already. Raises ConfigError.

        Returns False if there is nothing to add. What it holds is counted again; if its older
        pictures are being checked, that goes on.
        """
        former = next(one for one in self.config.watch.folders if one.path == folder.path)
        now = former.with_more(folder)
        if now == former:
            return False
        state = self.existing.progress().get(str(folder.path))
        if wish == "ask" and state is not None and state.state == "checking":
            wish = "check"
        self.existing.expect(now, wish)
        self.settings.change_watch(former, now)
        return True

    def act_on_existing(self, folder: str, action: Action) -> None:
        """See ExistingFiles.act."""
        self.existing.act(folder, action)

    def rescan(self) -> None:
        """Makes the watcher look through all folders soon."""
        self.watched.rescan()

    def state(self) -> State:
        return self.status.state()

    @property
    def is_in_trouble(self) -> bool:
        """See Status.is_in_trouble."""
        return self.status.is_in_trouble

    def model_state(self) -> ModelState:
        """See Status.model_state."""
        return self.status.model_state()

    def fetch_model(self) -> None:
        """See Status.fetch_model."""
        self.status.fetch_model()

    def notice(self, sentence: str) -> None:
        """See Status.notice."""
        self.status.notice(sentence)

    def dismiss_notices(self, read: Collection[str] | None = None) -> None:
        """See Status.dismiss_notices."""
        self.status.dismiss_notices(read)


def _watched(folder: Folder, state: FolderState | None, existing: Progress | None) -> WatchedFolder:
    if state is None:  # it is being surveyed, or its folder is not there
        problem = objection_to(str(folder.path))
        return WatchedFolder(folder, folder.polling, problem, 0, existing)
    return WatchedFolder(folder, state.polling, state.problem, state.pending, existing)


def _verdicts(entries: Iterable[Entry]) -> dict[Label, list[str]]:
    """Returns the hashes of the pictures to confirm, by the verdict that is shown."""
    shown = [answer for answer in map(Answer, entries) if answer.entry.correction is None]
    if not all(answer.can_be_confirmed for answer in shown):
        raise AntifakeError(NOTHING_TO_CONFIRM)
    verdicts: dict[Label, list[str]] = {}
    for answer in shown:
        sha256, label = answer.entry.check.sha256, answer.shown_as
        if sha256 and label and sha256 not in verdicts.setdefault(label, []):
            verdicts[label].append(sha256)
    return verdicts


def _pictures(found: Sequence[Check]) -> list[str]:
    """Returns the hashes. Raises AntifakeError if one could not be read: it cannot be corrected."""
    if any(check.sha256 is None for check in found):
        raise AntifakeError(_("A picture that could not be read cannot be corrected."))
    return list(dict.fromkeys(check.sha256 for check in found if check.sha256))
