"""Runs the regular jobs: look after settings and model, rescan the folders, tidy up, learn.

A run that was missed, for example while the computer slept, is made up for once.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from .config import Config
from .learning import Learning
from .redaction import message_without_files
from .service import Upkeep
from .store import StoreAwayError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30
TIDY_EVERY_H = 6
NIGHT_GRACE_S = 20 * 3600
"""How late the nightly training may begin, where the computer slept at its hour."""
ASLEEP_S = 60.0
"""If wall clock and monotonic clock differ by more than this, the computer has slept."""
_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": 6 * 3600}


@contextmanager
def scheduled(
    upkeep: Upkeep, rescan: Callable[[], None], learning: Learning
) -> Iterator[BackgroundScheduler]:
    """Runs the regular jobs in threads of its own until the end of the block."""
    settings = upkeep.settings
    scheduler = BackgroundScheduler(job_defaults=_DEFAULTS, timezone="UTC", daemon=True)
    scheduler.add_listener(_report_to(upkeep), EVENT_JOB_ERROR)
    look_after = rescanning_after_sleep(upkeep.look_after, rescan)
    scheduler.add_job(look_after, "interval", seconds=LOOK_EVERY_S, id="look-after")
    soon = upkeep.clock() + timedelta(minutes=1)
    scheduler.add_job(upkeep.tidy, "interval", hours=TIDY_EVERY_H, next_run_time=soon, id="tidy")
    every = {"hours": TIDY_EVERY_H, "next_run_time": soon}
    scheduler.add_job(learning.crops.tidy, "interval", id="tidy-crops", **every)
    scheduler.add_job(learning.tick, "interval", minutes=1, id="learning")
    hour = settings.config.learning.hour
    nightly = {"id": "nightly", "misfire_grace_time": NIGHT_GRACE_S}
    scheduler.add_job(learning.nightly, CronTrigger(hour=hour), **nightly)
    minutes = settings.config.watch.rescan_minutes
    scheduler.add_job(rescan, "interval", minutes=minutes, id="rescan")

    def follow(config: Config) -> None:
        nonlocal minutes, hour
        if config.learning.hour != hour:
            hour = config.learning.hour
            scheduler.reschedule_job("nightly", trigger=CronTrigger(hour=hour))
        if config.watch.rescan_minutes != minutes:
            minutes = config.watch.rescan_minutes
            scheduler.reschedule_job("rescan", trigger="interval", minutes=minutes)

    settings.listen(follow)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def rescanning_after_sleep(
    look_after: Callable[[], None],
    rescan: Callable[[], None],
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Callable[[], None]:
    """Returns `look_after`, preceded by a rescan if the computer has slept since the last call.

    The monotonic clock stands still while the computer sleeps.
    """
    difference = wall() - monotonic()

    def run() -> None:
        nonlocal difference
        now = wall() - monotonic()
        if now - difference > ASLEEP_S:
            rescan()
        difference = now
        look_after()

    return run


def _report_to(upkeep: Upkeep) -> Callable[[JobExecutionEvent], None]:
    """Returns a listener that tells the user why a job failed, until the job runs again."""

    def report(event: JobExecutionEvent) -> None:
        log.error("%s failed: %s", event.job_id, message_without_files(event.exception))
        if not isinstance(event.exception, StoreAwayError):  # that is said for as long as it is so
            upkeep.status.notice(str(event.exception))

    return report
