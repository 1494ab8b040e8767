"""What is done regularly: look after settings, model and database, and tidy the history up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from antifake.daemon.config.settings import History
from antifake.daemon.store import Store, forgetting, jobs, mend
from antifake.daemon.store.checks import count_thumbnails
from antifake.daemon.worker.model_process import ModelProcess
from antifake.daemon.worker.queue import JobQueue

from .settings import Settings
from .status import Status


@dataclass(frozen=True)
class CleanUp:
    """How much the daily upkeep would delete."""

    checks: int
    thumbnails: int


def to_clean_up(store: Store, kept: History, now: datetime) -> CleanUp:
    """Returns what `Upkeep.tidy` would delete of the history under these settings."""
    with store.reading() as session:
        before = _kept_since(session, kept, now)
        n = 0 if before is None else forgetting.count_old(session, before)
        return CleanUp(n, max(0, count_thumbnails(session) - kept.thumbnails))


def _kept_since(session: Session, kept: History, now: datetime) -> datetime | None:
    """Returns the time before which checks are too old, or too many. None keeps all."""
    limits: list[datetime | None] = []
    if kept.keep_days:
        limits.append(now - timedelta(days=kept.keep_days))
    if kept.keep_checks:
        limits.append(forgetting.older_than_newest(session, kept.keep_checks))
    return max((one for one in limits if one is not None), default=None)


@dataclass(frozen=True)
class Upkeep:
    """Its methods are called by the schedule, each by one thread at a time."""

    store: Store
    settings: Settings
    model: ModelProcess
    status: Status
    queue: JobQueue
    clock: Callable[[], datetime]
    on_mended: Callable[[], object]
    """Called when another database file has taken the place of a damaged one."""

    def look_after(self) -> None:
        """Every half minute: edited settings, a database or a disk that fails, an unused model."""
        self._mend()
        self.settings.reload_if_changed()
        self.queue.look_at_disk()
        if not self.status.is_busy:
            self.model.sleep_if_idle(60 * self.settings.config.worker.idle_minutes)

    def _mend(self) -> None:
        told = mend(self.store.machine, self.clock())
        for sentence in told:
            self.status.notice(sentence)
        if told:
            self.on_mended()

    def tidy(self) -> None:
        """Make the daily backup, and drop what the settings do not allow to be kept longer."""
        now, kept = self.clock(), self.settings.config.history
        self.store.machine.back_up(now)
        with self.store.reading() as session:
            before = _kept_since(session, kept, now)
        if before is not None:
            forgetting.retire(self.store, before)
        with self.store.writing_both() as (session, work):
            forgetting.trim_thumbnails(session, kept.thumbnails)
            jobs.drop_over(work, now - timedelta(days=1))
