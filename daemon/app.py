"""Puts the daemon together. Its parts start in this order and stop in the reverse order."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from apiflask import APIFlask

from antifake.core.decoder import Decoder
from antifake.core.errors import AntifakeError, ModelError
from antifake.core.evidence.reading import EvidenceReader
from antifake.core.i18n import _
from antifake.core.private_files import NotPrivateError
from antifake.daemon.service.access import Access
from antifake.daemon.worker.active_model import ActiveModel
from antifake.daemon.worker.judge import Judge
from antifake.daemon.worker.model_process import ModelProcess
from antifake.daemon.worker.queue import JobQueue
from antifake.daemon.worker.worker import Callbacks, Worker

from . import autostart, logs, web
from .config import Config, load
from .home_guard import LOOK_EVERY_S, HomeGuard, HomeLostError, guarding
from .instance import Running, announce, single_instance
from .places import Places
from .schedule import scheduled
from .service import (
    Checks,
    Events,
    ExistingFiles,
    Intake,
    Service,
    Settings,
    Status,
    Upkeep,
    learning_of,
    service_at_rest,
)
from .service.forwarder import Forwarder
from .service.model_fetch import ModelFetch
from .store import Store, StoreError, open_store
from .store.crops import CropFiles
from .store.history import Entry
from .watcher import Watcher

log = logging.getLogger(__name__)

DECODERS = 2
CROP = 224
"""Side of a picture in pixels, until a model says otherwise."""
TELL_S = 1.0
"""How long a daemon that must end lives on, so that the icon can say why."""
SWITCH_S = 0.001
"""How long a thread runs before others do. Python's 5 ms are half of what a check may cost."""


@dataclass(frozen=True)
class Daemon:
    """A running daemon that is ready."""

    running: Running
    service: Service
    access: Access
    upkeep: Upkeep
    intake: Intake


def run(where: Places, say: Callable[[str], None]) -> None:
    """Run the daemon until a signal or a client stops it. Raises AntifakeError if it cannot."""
    os.umask(0o077)  # also for parent folders that are created now
    sys.setswitchinterval(SWITCH_S)
    where.make()
    stop = threading.Event()
    with _handling_signals(stop), single_instance(where), guarding(where) as guard:
        logs.set_up(where)
        with started(where, stop.set) as daemon:
            for notice in daemon.service.state().notices:
                say(notice)
            say(_("antifake is ready on {address}", address=daemon.running.address))
            log.info("ready on port %d", daemon.running.port)
            while not stop.wait(LOOK_EVERY_S):
                _look_after_home(guard, daemon)
        log.info("stopped")


def _look_after_home(guard: HomeGuard, daemon: Daemon) -> None:
    """Raises AntifakeError if this daemon must end."""
    where, running = guard.where, daemon.running
    try:
        has_lost_lock = guard.look()
        logs.reopen_lost()
        if has_lost_lock or not (where.running.exists() and where.local_token.exists()):
            daemon.access.local_secret(where.local_token)
            announce(where, running.port, running.version, datetime.fromisoformat(running.started))
        if has_lost_lock:
            daemon.service.notice(
                _(
                    "The folder {folder} was removed while antifake ran; it was made again.",
                    folder=where.state,
                )
            )
            log.warning("the folder of the lock was lost and made again")
    except (HomeLostError, NotPrivateError) as error:
        log.error("ended: the home was lost")  # noqa: TRY400  # the traceback tells no more
        daemon.service.notice(str(error))
        time.sleep(TELL_S)
        raise
    except (StoreError, OSError) as error:
        log.warning("the home could not be looked after: %s", error)


@contextmanager
def started(where: Places, stop: Callable[[], None]) -> Iterator[Daemon]:
    """Runs a daemon inside the block. `stop` is called when a client asks it to stop."""
    config = load(where.config)
    with ExitStack() as parts:
        clock, events = _now, Events()
        store = parts.enter_context(_history(where, config, events))
        settings = Settings(where.config, config, where.home)
        names = config.worker.model, config.worker.prompt
        active_model = ActiveModel(where.home, *names)
        decoder = parts.enter_context(Decoder(DECODERS, _image_size(active_model), view="shown"))
        model = parts.enter_context(
            ModelProcess(where.home, *names, on_change=partial(events.tell, "state"))
        )
        model.wake()
        status = Status(store, settings, model, events, clock)
        queue = JobQueue(store.machine, where.spool, lambda: settings.config.worker.queue, clock)
        checks = Checks(store, settings, active_model, queue, events, clock=clock)
        learning = parts.enter_context(
            learning_of(store, settings, where, status, events, clock=clock)
        )

        def on_busy(is_busy: bool) -> None:
            learning.set_busy(is_busy=is_busy)
            status.set_busy(is_busy)

        callbacks = Callbacks(
            lambda: settings.config, clock, _done(checks, status), status.set_trouble, on_busy
        )
        crop_files = CropFiles(where.crops)
        evidence = parts.enter_context(EvidenceReader())
        judge = Judge(decoder, model, active_model, store, evidence)
        worker = parts.enter_context(Worker(store, judge, queue, callbacks, crop_files))
        status.fetch = parts.enter_context(_fetch_of_model(where, events, model, worker))
        intake = Intake(store, queue.put_file, clock, lambda: settings.config.history.paths)
        existing = ExistingFiles(
            store.machine,
            clock,
            queue.put_file,
            lambda: watcher.apply(existing.ready(settings.config.watch)),
            partial(events.tell, "watch"),
        )
        existing.open(config)
        watcher = parts.enter_context(Watcher(intake, existing.ready(config.watch)))
        service = Service(
            store, settings, events, clock, checks, status, watcher, existing, learning, crop_files
        )
        parts.callback(service.backfill.close)
        parts.enter_context(existing)
        access = _access_of(where, store, events)

        def on_mended() -> None:
            """Reload tokens and jobs. The replacement file may lack those of the damaged one."""
            access.reload()
            queue.open()
            worker.wake()
            existing.open(settings.config)
            watcher.apply(existing.ready(settings.config.watch))
            watcher.rescan()

        upkeep = Upkeep(store, settings, model, status, queue, clock, on_mended)
        settings.listen(_follow(service, worker, watcher))
        settings.listen(_keep_autostart_in_step(service))
        parts.enter_context(scheduled(upkeep, watcher.rescan, learning))
        server = parts.enter_context(_serving(where, service, access, stop))
        parts.callback(queue.close)
        parts.callback(events.close)
        running = announce(where, server.port, version("antifake"), clock())
        yield Daemon(running, service, access, upkeep, intake)


def _access_of(where: Places, store: Store, events: Events) -> Access:
    access = Access(store.machine, events, _now)
    access.local_secret(where.local_token)
    access.browsers.load_key(where.browsers_key)
    return access


def _done(checks: Checks, status: Status) -> Callable[[str, Entry, bool], None]:
    """Returns what the worker calls when a picture is judged."""

    def done(name: str, entry: Entry, is_stored: bool) -> None:
        status.note_done()
        checks.done(name, entry, is_stored)

    return done


@contextmanager
def _fetch_of_model(
    where: Places, events: Events, model: ModelProcess, worker: Worker
) -> Iterator[ModelFetch]:
    def on_done() -> None:
        model.wake()
        worker.wake()

    fetch = ModelFetch(where.home, partial(events.tell, "state"), on_done)
    try:
        yield fetch
    finally:
        fetch.close()


@contextmanager
def _history(where: Places, config: Config, events: Events) -> Iterator[Store]:
    """The open store, from which a shared history gets what comes to it."""
    on_change = partial(events.tell, "state")
    with open_history(where, config) as store, Forwarder(store, on_change):
        yield store


def open_history(where: Places, config: Config) -> Store:
    """Returns the open database that the settings name. Raises AntifakeError."""
    place = config.history.database or where.database
    return open_store(place, _now(), keep_backups=config.history.backups, machine=where.machine)


@contextmanager
def at_rest(where: Places) -> Iterator[tuple[APIFlask, tuple[str, ...]]]:
    """Yields the app without a daemon, which answers from the history and judges nothing.

    With it come sentences on what was done to mend the database.
    """
    config = load(where.config)
    with open_history(where, config) as store:
        service = service_at_rest(store, Settings(where.config, config, where.home), where, _now)
        about = web.About(version("antifake"), lambda: None, where.home.requests)
        with closing(service.backfill):
            access = Access(store.machine, service.events, _now)
            yield web.create_app(service, access, about), store.notices


@contextmanager
def _serving(
    where: Places, service: Service, access: Access, stop: Callable[[], None]
) -> Iterator[web.Server]:
    about = web.About(version("antifake"), stop, where.home.requests, _icon_starter(where))
    app = web.create_app(service, access, about)
    with web.Server(app, service.config.server.port, where.state) as server:
        yield server


def _icon_starter(where: Places) -> Callable[[], None] | None:
    """Returns what starts the icon beside the clock. None if there is no screen for it."""
    session = autostart.Session.of_this_process()
    if not session.has_screen:
        return None
    said = where.logs / "tray-start.log"

    def start() -> None:
        process = autostart.start_detached(session.tray.command, said, where.state)
        # Reaped when it ends, which it does at once if an icon is there already.
        threading.Thread(target=process.wait, name="tray-reaper", daemon=True).start()

    return start


def _follow(service: Service, worker: Worker, watcher: Watcher) -> Callable[[Config], None]:
    def follow(config: Config) -> None:
        logs.set_level(config.logs.level)
        service.existing.apply(config)
        watcher.apply(service.existing.ready(config.watch))
        worker.wake()
        service.events.tell("settings")

    return follow


def _keep_autostart_in_step(service: Service) -> Callable[[Config], None]:
    """Returns a listener that installs or removes the autostart entries when settings change."""
    before = service.config.login

    def follow(config: Config) -> None:
        nonlocal before
        former, before = before, config.login
        session = autostart.Session.of_this_process()
        try:
            if before.start != former.start:
                (autostart.turn_on if before.start else autostart.turn_off)(session)
            if before.menu != former.menu and session.has_menu:
                (session.menu.on if before.menu else session.menu.off)()
        except (AntifakeError, OSError) as error:
            service.notice(
                _(
                    "Starting with your session, or the menu, could not be changed: {error}",
                    error=error,
                )
            )

    return follow


def _image_size(active_model: ActiveModel) -> int:
    try:
        return active_model.now().image_size
    except ModelError:
        return CROP


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _handling_signals(stop: threading.Event) -> Iterator[None]:
    """Handle signals: the first one asks the daemon to stop, the second one ends it at once."""

    def handle(_number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    former = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
