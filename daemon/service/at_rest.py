"""The service without a daemon: it reads and changes the history, but judges nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from antifake.core import AntifakeError
from antifake.daemon.instance import START_IT
from antifake.daemon.learning import Learning, LearningCallbacks, Place, Versions
from antifake.daemon.places import Places
from antifake.daemon.store import Store, StoreError
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.jobs import NewJob, Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.watcher import FolderState
from antifake.daemon.watcher.roots import objection_to
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.model_process import ModelProcess

from .checks import Checks
from .events import Events
from .existing import ExistingFiles
from .service import Service
from .settings import Settings
from .status import Status


class NoQueue:
    """Replaces the queue: there is no worker that could take a job."""

    def put(
        self,
        new_job: NewJob,  # noqa: ARG002
        data: bytes,  # noqa: ARG002
        *,
        is_private: bool = False,  # noqa: ARG002
        client: str = "",  # noqa: ARG002
    ) -> str:
        raise AntifakeError(START_IT)

    def put_off(self, write: Callable[[Session], object], error: StoreError) -> None:
        """Leaves it out: this process ends before anything could be written."""

    def is_unfinished(self, name: str) -> bool:  # noqa: ARG002
        return False

    def is_stored(self, name: str) -> bool:  # noqa: ARG002
        return True

    def ahead(self, name: str) -> int | None:  # noqa: ARG002
        return None

    def wait(self, name: str, seconds: float) -> None:
        """Returns at once, because no job is running."""


@dataclass(frozen=True)
class FoldersAtRest:
    """Replaces the watcher: shows the folders of the settings and what is wrong with them."""

    settings: Settings

    def state(self) -> list[FolderState]:
        return [
            FolderState(folder, folder.polling, objection_to(str(folder.path)), pending=0)
            for folder in self.settings.config.watch.folders
        ]

    def rescan(self) -> None:
        """Does nothing: the next start of the daemon looks through all folders."""


def service_at_rest(
    store: Store, settings: Settings, where: Places, clock: Callable[[], datetime]
) -> Service:
    """Returns a service over an open store. The caller closes the store."""
    home, names = where.home, (settings.config.worker.model, settings.config.worker.prompt)
    events = Events()
    # It only says which model would answer: nothing starts its process.
    status = Status(store, settings, ModelProcess(home, *names), events, clock)
    checks = Checks(store, settings, ActiveModel(home, *names), NoQueue(), events, clock=clock)
    learning = learning_of(store, settings, where, status, events, clock=clock)
    folders = FoldersAtRest(settings)
    existing = existing_at_rest(store, settings, events, clock)
    return Service(
        store,
        settings,
        events,
        clock,
        checks,
        status,
        folders,
        existing,
        learning,
        CropFiles(where.crops),
    )


def existing_at_rest(
    store: Store, settings: Settings, events: Events, clock: Callable[[], datetime]
) -> ExistingFiles:
    """Counts what is in a new folder while that is added. The daemon checks it, if at all."""
    tell = partial(events.tell, "watch")
    existing = ExistingFiles(store.machine, clock, _take_nothing, _do_nothing, tell)
    existing.follow(settings.config)
    settings.listen(existing.apply)
    return existing


def _take_nothing(_stamp: Stamp, _priority: Priority) -> bool:
    return False


def _do_nothing() -> None:
    """There is no watcher to tell."""


def learning_of(  # noqa: PLR0913 - it lies between many parts
    store: Store,
    settings: Settings,
    where: Places,
    status: Status,
    events: Events,
    *,
    clock: Callable[[], datetime],
) -> Learning:
    """Returns what learns from corrections. Trainings can run once it is entered."""
    worker = settings.config.worker
    versions = Versions(where.home, worker.model, worker.prompt)
    place = Place(store, versions, CropFiles(where.crops), where.training)
    callbacks = LearningCallbacks(
        lambda: settings.config,
        settings.put,
        clock,
        partial(events.tell, "training"),
        status.notice,
    )
    return Learning(place, callbacks)
