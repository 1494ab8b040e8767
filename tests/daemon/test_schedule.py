"""Regular jobs run in time, are made up for after a sleep, and report their failures."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from kit.pages import places_in
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.daemon import schedule
from antifake.daemon.config import Config
from antifake.daemon.schedule import rescanning_after_sleep, scheduled
from antifake.daemon.service import Events, Settings, Status, Upkeep, learning_of
from antifake.daemon.store import open_store
from antifake.daemon.worker.model_process import ModelProcess
from antifake.daemon.worker.queue import JobQueue

MINUTE = timedelta(minutes=1)


class Clocks:
    """A wall clock and a monotonic clock; the computer can be put to sleep."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_000_000.0, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def sleep(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def done(clocks):
    """The calls in order, and a `look` that makes them."""
    log: list[str] = []
    look = rescanning_after_sleep(
        lambda: log.append("look"),
        lambda: log.append("rescan"),
        lambda: clocks.wall,
        lambda: clocks.monotonic,
    )
    return log, look


def test_while_the_computer_is_awake_the_folders_are_not_walked_each_time(clocks, done):
    log, look = done
    for _ in range(3):
        clocks.pass_(30)
        look()
    clocks.sleep(schedule.ASLEEP_S - 1)  # as when the wall clock is corrected
    look()
    assert log == ["look"] * 4


def test_after_a_sleep_the_folders_are_walked_once_before_anything_else(clocks, done):
    log, look = done
    clocks.sleep(8 * 3600)
    look()
    clocks.pass_(30)
    look()
    assert log == ["rescan", "look", "look"]
    clocks.sleep(schedule.ASLEEP_S + 1)
    look()
    assert log[3:] == ["rescan", "look"]


def test_a_wall_clock_that_is_put_back_does_not_count_as_sleep(clocks, done):
    log, look = done
    clocks.sleep(-3600)
    look()
    assert log == ["look"]


@contextmanager
def at_work(folder, rescan=lambda: None):
    """Runs a schedule with the upkeep that it calls. Its clock stands still."""
    now = datetime.now(UTC)
    with open_store(folder / "history.db", now) as store, ModelProcess(Home(folder)) as model:
        settings = Settings(folder / "config.toml", Config())
        status = Status(store, settings, model, Events(), lambda: now)
        queue = JobQueue(store.machine, folder, lambda: 9, lambda: now)
        upkeep = Upkeep(store, settings, model, status, queue, lambda: now, lambda: None)
        where = places_in(folder, Home(folder))
        learning = learning_of(store, settings, where, status, Events(), clock=lambda: now)
        with scheduled(upkeep, rescan, learning) as scheduler:
            yield scheduler, upkeep


def test_each_job_runs_at_its_time(tmp_path):
    with at_work(tmp_path) as (scheduler, upkeep):
        jobs = {job.id: job.trigger for job in scheduler.get_jobs()}
        assert str(jobs.pop("nightly")) == "cron[hour='3']"
        every = {name: trigger.interval for name, trigger in jobs.items()}
        assert every == {
            "learning": timedelta(minutes=1),
            "tidy-crops": timedelta(hours=6),
            "look-after": timedelta(seconds=30),
            "tidy": timedelta(hours=6),
            "rescan": timedelta(minutes=15),
        }
        assert scheduler.get_job("tidy").next_run_time == upkeep.clock() + MINUTE


def test_a_new_interval_between_walks_counts_at_once(tmp_path):
    walks = []
    with at_work(tmp_path, lambda: walks.append(1)) as (scheduler, upkeep):
        upkeep.settings.put("watch.rescan_minutes", 90.0)
        assert scheduler.get_job("rescan").trigger.interval == 90 * MINUTE
        former = scheduler.get_job("rescan").next_run_time
        upkeep.settings.put("worker.queue", 3)
        assert scheduler.get_job("rescan").next_run_time == former
        scheduler.modify_job("rescan", next_run_time=datetime.now(UTC))
        eventually(lambda: walks)


def test_a_new_hour_of_the_night_counts_at_once(tmp_path):
    with at_work(tmp_path) as (scheduler, upkeep):
        upkeep.settings.put("learning.hour", 5)
        assert str(scheduler.get_job("nightly").trigger) == "cron[hour='5']"
        assert scheduler.get_job("nightly").misfire_grace_time == schedule.NIGHT_GRACE_S


def test_tidying_up_makes_the_backup_of_the_day(tmp_path):
    with at_work(tmp_path) as (scheduler, upkeep):
        scheduler.modify_job("tidy", next_run_time=datetime.now(UTC))
        assert eventually(upkeep.store.backups.all)


def test_a_failed_job_tells_the_user_why_and_runs_again_at_its_next_time(tmp_path):
    with at_work(tmp_path) as (scheduler, upkeep):
        upkeep.settings.path.write_text("[worker]\nqeue = 8\n")
        scheduler.modify_job("look-after", next_run_time=datetime.now(UTC))
        eventually(lambda: "did you mean" in "".join(upkeep.status.state().notices))
        assert scheduler.get_job("look-after").next_run_time > datetime.now(UTC)
        upkeep.settings.path.write_text("[worker]\nqueue = 8\n")
        scheduler.modify_job("look-after", next_run_time=datetime.now(UTC))
        eventually(lambda: upkeep.settings.config.worker.queue == 8)


def test_a_failure_puts_no_file_name_into_the_logs(tmp_path, caplog):
    """The error of a failing disk names a file. The user may see it, but not the logs."""

    def fail():
        raise PermissionError(13, "Permission denied", "/home/anna/secret picture.png")

    with at_work(tmp_path, fail) as (scheduler, upkeep):
        scheduler.modify_job("rescan", next_run_time=datetime.now(UTC))
        eventually(lambda: "secret picture" in "".join(upkeep.status.state().notices))
        told = [one for one in caplog.records if one.name == schedule.__name__]
        assert ["rescan failed" in one.getMessage() for one in told] == [True]
        assert "anna" not in told[0].getMessage()
