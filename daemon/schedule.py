"""What is done again and again: look after settings and model, walk the folders, tidy up.

A run that was missed, as while the computer slept, is caught up with once, not many times.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from .config import Config
from .service import Service

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30
ASLEEP_S = 60.0
"""Clocks that part by more than this since the last look: the computer has slept."""
_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": 6 * 3600}


@contextmanager
def scheduled(service: Service) -> Iterator[BackgroundScheduler]:
    """Inside it everything is done in time."""
    scheduler = BackgroundScheduler(job_defaults=_DEFAULTS, timezone="UTC", daemon=True)
    scheduler.add_listener(_tell(service), EVENT_JOB_ERROR)
    look = _after_sleep(service.look_after, service.rescan)
    scheduler.add_job(look, "interval", seconds=LOOK_EVERY_S, id="look after")
    soon = service.clock() + timedelta(minutes=1)
    scheduler.add_job(service.tidy, "interval", hours=6, next_run_time=soon, id="tidy")
    minutes = service.config.watch.rescan_minutes
    scheduler.add_job(service.rescan, "interval", minutes=minutes, id="rescan")

    def follow(config: Config) -> None:
        nonlocal minutes
        if config.watch.rescan_minutes != minutes:
            minutes = config.watch.rescan_minutes
            scheduler.reschedule_job("rescan", trigger="interval", minutes=minutes)

    service.settings.listen(follow)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def _after_sleep(look: Callable[[], None], rescan: Callable[[], None]) -> Callable[[], None]:
    """`look`, and a walk where the wall's clock ran on while ours stood still."""
    parted = time.time() - time.monotonic()

    def run() -> None:
        nonlocal parted
        now = time.time() - time.monotonic()
        if now - parted > ASLEEP_S:
            rescan()
        parted = now
        look()

    return run


def _tell(service: Service) -> Callable[[JobExecutionEvent], None]:
    """A job that failed is tried again in its time; until then the person knows of it."""

    def told(event: JobExecutionEvent) -> None:
        log.error("%s: %s", event.job_id, event.exception)
        service.notice(str(event.exception))

    return told
