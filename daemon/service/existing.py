"""What lay in a folder before it was watched: counted at once, checked only if the user wants it.

A new folder is surveyed before the watcher gets it. The survey enters what is there into the
ledger, so that neither this start nor a later one takes it for new. A check of it goes behind
people and new files, can be paused, and goes on after a restart.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Literal, Self

from antifake.core.i18n import _
from antifake.daemon.config import Config, Folder
from antifake.daemon.config.settings import Watch
from antifake.daemon.store import NotThereError, Store, StoreError, existing, jobs
from antifake.daemon.store.existing import Existing
from antifake.daemon.store.ids import to_ms
from antifake.daemon.store.jobs import Priority
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.store.tables import ExistingState
from antifake.daemon.watcher import survey
from antifake.daemon.watcher.roots import is_empty, objection_to
from antifake.daemon.watcher.tree import trees_of
from antifake.daemon.watcher.walk import look

from .progress import Progress, Rate

log = logging.getLogger(__name__)

Wish = Literal["ask", "check", "leave"]
"""What is to be done with the files that a new folder holds."""
Action = Literal["check", "pause", "leave"]
STATES: dict[str, ExistingState] = {
    "ask": "counted",
    "check": "checking",
    "pause": "paused",
    "leave": "left",
}
AHEAD = 16
"""So many files are queued ahead: few, so that a pause takes effect at once."""
FEED_S = 0.2
ABSENT_S = 1.0
TELL_S = 1.0
AT_REST_S = 3.0
"""Without a daemon, a person waits for the count no longer. The daemon begins again then."""
_ERROR_S = 2.0


class ExistingFiles:
    """A context manager with a thread of its own. Without it, apply() surveys at once."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        put_file: Callable[[Stamp, Priority], bool],
        on_surveyed: Callable[[], None],
        tell: Callable[[], None],
    ) -> None:
        """`on_surveyed`: ready() has more folders now. `tell`: the progress has changed."""
        self._store, self._clock, self._put_file = store, clock, put_file
        self._on_surveyed, self._tell = on_surveyed, tell
        self._folders: tuple[Folder, ...] = ()
        self._wishes: dict[str, ExistingState] = {}
        self._surveyed: frozenset[str] = frozenset()
        self._found: dict[str, tuple[int, int]] = {}
        self._last_path: dict[str, str] = {}
        self._rates: dict[str, Rate] = {}
        self._told_at = 0.0
        self._turn = threading.RLock()
        self._wakeup = threading.Event()
        self._stop = threading.Event()
        self._survey_until = math.inf
        self._thread = threading.Thread(target=self._run, name="existing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wakeup.set()
        self._thread.join(5)

    # --- Any thread -------------------------------------------------------------------------

    def follow(self, config: Config) -> None:
        """Takes the settings as they are, without a look at the database."""
        self._folders = config.watch.folders

    def open(self, config: Config) -> None:
        """Takes the settings of the start, and forgets folders that they do not name any more."""
        self.follow(config)
        with self._store.writing() as session:
            existing.adopt_older(session, map(_name, self._folders))
            # Another computer may use the same server.
            if self._store.backups is not None:
                for row in existing.everything(session):
                    if row.folder not in map(_name, self._folders):
                        existing.drop(session, row.folder)
        self._sync()

    def apply(self, config: Config) -> None:
        """Takes changed settings."""
        with self._turn:
            former = {_name(one): _filter(one) for one in self._folders}
            self._folders = config.watch.folders
            now = {_name(one): _filter(one) for one in self._folders}
            # With other patterns a folder may hold other files: it is surveyed again.
            gone = [name for name in former if now.get(name) != former[name]]
        try:
            with self._store.writing() as session:
                for name in gone:
                    existing.drop(session, name)
            self._sync()
        except StoreError as error:
            log.warning("new folders are looked through later: %s", error)
        if self._thread.is_alive():
            self._wakeup.set()
        else:
            began = time.monotonic()
            self._survey_until = began + AT_REST_S
            self.step(began)

    def expect(self, folder: Folder, wish: Wish) -> None:
        """Says what to do with the files of a folder that is about to be added."""
        self._wishes[_name(folder)] = STATES[wish]

    def ready(self, watch: Watch) -> Watch:
        """Returns the settings with only those folders that have been surveyed."""
        ready = [one for one in watch.folders if _name(one) in self._surveyed]
        return replace(watch, folders=tuple(ready))

    def progress(self) -> dict[str, Progress]:
        """Returns the progress by the path of the folder."""
        with self._store.reading() as session:
            rows = existing.everything(session)
            return {row.folder: self._progress(row, existing.left(session, row)) for row in rows}

    def act(self, folder: str, action: Action) -> None:
        """Checks, pauses or leaves the files of a folder. Raises NotThereError."""
        with self._store.writing() as session:
            row = next((one for one in existing.everything(session) if one.folder == folder), None)
            if row is None:
                raise NotThereError(_("{folder} is not watched.", folder=folder))
            if row.state == "counting":
                existing.add(session, folder, row.at, STATES[action])
            elif row.state != "done":
                existing.change(session, folder, STATES[action])
        self._rates.pop(folder, None)
        self._tell()
        self._wakeup.set()

    def _sync(self) -> None:
        """Adds the folders that are new, and finds out which ones are surveyed."""
        with self._turn, self._store.writing() as session:
            known = {row.folder for row in existing.everything(session)}
            for name in map(_name, self._folders):
                if name not in known:
                    wish = self._wishes.pop(name, STATES["ask"])
                    existing.add(session, name, self._clock(), wish)
            rows = existing.everything(session)
            self._surveyed = frozenset(row.folder for row in rows if row.state != "counting")

    def _progress(self, row: Existing, left: int) -> Progress:
        if row.state == "counting":
            total, others = self._found.get(row.folder, (0, 0))
            return Progress(row.state, total, 0, others, None)
        rate = self._rates.get(row.folder)
        left_s = rate.left_s(left) if rate and row.state == "checking" else None
        return Progress(row.state, row.total, max(0, row.total - left), row.others, left_s)

    # --- The thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wakeup.clear()
            try:
                wait_s = self.step(time.monotonic())
            except StoreError as error:
                log.warning("older files in folders must wait: %s", error)
                wait_s = _ERROR_S
            self._wakeup.wait(wait_s)

    def step(self, now: float) -> float | None:
        """Surveys new folders, and queues a few files. Returns the seconds until the next step.

        None: there is nothing to do until the settings or a wish change.
        """
        self._sync()
        waits: list[float] = []
        for folder, row in self._rows():
            if row.state == "counting" and not self._survey(folder, row):
                waits.append(ABSENT_S)
        for folder, row in self._rows():
            if row.state == "checking":
                self._feed(folder, row, now)
                waits.append(FEED_S)
        return min(waits, default=None)

    def _rows(self) -> list[tuple[Folder, Existing]]:
        folders = {_name(one): one for one in self._folders}
        with self._store.reading() as session:
            rows = existing.everything(session)
        return [(folders[row.folder], row) for row in rows if row.folder in folders]

    def _survey(self, folder: Folder, row: Existing) -> bool:
        """Enters what a folder holds. Returns False if that must be tried again."""
        if objection_to(os.path.realpath(folder.path)) is not None:
            return False
        watched = self.ready(Watch(folders=self._folders)).folders
        pictures = others = 0
        for part in survey(folder, watched, _end_ns(row.at)):
            if self._stop.is_set() or folder not in self._folders:
                return False
            if time.monotonic() > self._survey_until:
                return False
            if part.stamps:
                with self._store.writing() as session:
                    existing.enter(session, row.folder, part.stamps)
            pictures, others = pictures + len(part.stamps), others + part.others
            self._found[row.folder] = pictures, others
            self._tell_sometimes()
        with self._store.writing() as session:
            existing.counted(session, row.folder, others)
        log.info("a new folder holds %d pictures and %d other files", pictures, others)
        self._found.pop(row.folder, None)
        self._sync()
        self._on_surveyed()
        self._tell()
        return True

    def _feed(self, folder: Folder, row: Existing, now: float) -> None:
        """Queues the next few files, and notes how fast they become fewer."""
        with self._store.reading() as session:
            left = existing.waiting(session, row.folder)
            room = AHEAD - jobs.waiting(session)[Priority.BATCH]
            after = self._last_path.get(row.folder, "")
            some = existing.next_waiting(session, row.folder, after, max(0, room))
        if left == 0:
            self._finish(row)
            return
        self._rates.setdefault(row.folder, Rate()).note(now, left)
        self._tell_sometimes()
        # The files of a drive that was pulled out are not gone.
        if is_empty(os.path.realpath(folder.path)):
            return
        if not some and room == AHEAD:
            self._last_path.pop(row.folder, None)  # what was left over has its turn again
        self._queue(folder, some)

    def _queue(self, of: Folder, stamps: Iterable[Stamp]) -> None:
        folder, changed = _name(of), []
        (tree,) = trees_of([of])
        for stamp in stamps:
            # A pattern may have been added since it was entered.
            now = _look(stamp.path)
            if not tree.accepts(stamp.path) or now is None or not now.is_alike(stamp):
                changed.append(stamp.path)
            elif not self._put_file(stamp, Priority.BATCH):
                break
            self._last_path[folder] = stamp.path
        if changed:
            with self._store.writing() as session:
                existing.drop_waiting(session, changed)

    def _finish(self, row: Existing) -> None:
        with self._store.writing() as session:
            existing.change(session, row.folder, "done")
        log.info("the %d pictures that a folder held are checked", row.total)
        self._rates.pop(row.folder, None)
        self._last_path.pop(row.folder, None)
        self._tell()

    def _tell_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= TELL_S:
            self._told_at = now
            self._tell()


def _end_ns(at: datetime) -> int:
    """Returns the end of that millisecond: what was created in it was there before."""
    return (to_ms(at) + 1) * 1_000_000


def _name(folder: Folder) -> str:
    return str(folder.path)


def _filter(folder: Folder) -> Folder:
    return replace(folder, polling=False)


def _look(path: str) -> Stamp | None:
    try:
        return look(path)
    except OSError:
        return None
