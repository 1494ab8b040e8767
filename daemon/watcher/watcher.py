"""The watcher: one patrol, in one thread, for each ground of the settings."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from antifake.daemon.config import Folder
from antifake.daemon.config.settings import Watch

from .sink import Desk
from .tree import Ground, below, grounds_of
from .tree_watcher import VISIT_S, Patrol

_END_S = 1.8


@dataclass(frozen=True)
class FolderState:
    folder: Folder
    polling: bool
    """It is looked through again and again; no events come from it, or not from all of it."""
    problem: str | None
    """In a sentence; None: it is watched as it should be."""
    pending: int
    """Files that were seen and are not handed over yet."""


class Watcher:
    """Watches from `with` to its end. Overlapping folders hand each file over once; a file is
    wanted if any of its folders wants it.

    Nothing here is lasting: whatever was on its way when all was killed is found again by the
    walk at the start.
    """

    def __init__(
        self,
        service: Desk,
        watch: Watch,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._service = service
        self._watch = watch
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._patrols: dict[str, Patrol] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._is_running = False
        self._minder = threading.Thread(target=self._mind, name="watcher", daemon=True)
        self._adopt(watch)

    def __enter__(self) -> Self:
        with self._lock:
            self._is_running = True
            self._start_all()
        self._minder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._lock:
            self._is_running = False
            self._end(list(self._patrols))
        self._minder.join(timeout=0.2)

    def apply(self, watch: Watch) -> None:
        """New settings. At most one file that is being handed over just now still follows the
        old ones."""
        with self._lock:
            self._adopt(watch)
            self._start_all()

    def rescan(self) -> None:
        for patrol in list(self._patrols.values()):
            patrol.rescan()

    def state(self) -> list[FolderState]:
        """In the order of the settings."""
        patrols = list(self._patrols.values())
        return [self._state_of(folder, patrols) for folder in self._watch.folders]

    def step(self, now: float) -> None:
        """One turn of everything, for a test that starts no threads."""
        self._notice_links()
        for patrol in self._patrols.values():
            patrol.step(now)

    def close(self) -> None:
        """For whoever called step(); `with` does it itself."""
        for patrol in self._patrols.values():
            patrol.close()

    def _is_paused(self) -> bool:
        until = self._watch.paused_until
        return until is not None and self._clock() < until

    # Under the lock.

    def _adopt(self, watch: Watch) -> None:
        self._watch = watch
        wanted = {_key(ground): ground for ground in grounds_of(watch.folders)}
        # The old ones end first: a file must not be handed over by two.
        self._end([key for key in self._patrols if key not in wanted])
        for key, ground in wanted.items():
            if key in self._patrols:
                self._patrols[key].adopt(ground, watch.quiet_s)
            else:
                patrol = Patrol(self._service, ground, watch.quiet_s, self._is_paused)
                self._patrols = {**self._patrols, key: patrol}

    def _start_all(self) -> None:
        """Those that do not run, or no longer do."""
        for key, patrol in self._patrols.items() if self._is_running else ():
            thread = self._threads.get(key)
            if thread is None or not thread.is_alive():
                thread = threading.Thread(target=patrol.run, name="watcher-folder", daemon=True)
                self._threads[key] = thread
                thread.start()

    def _end(self, keys: list[str]) -> None:
        patrols = [self._patrols[key] for key in keys]
        self._patrols = {key: one for key, one in self._patrols.items() if key not in keys}
        threads = [self._threads.pop(key) for key in keys if key in self._threads]
        for patrol in patrols:
            patrol.stop()
            if not threads:
                patrol.close()
        end = time.monotonic() + _END_S
        for thread in threads:
            if thread is not threading.current_thread():
                # One whose drive does not answer is left behind; it ends with the process.
                thread.join(max(0.0, end - time.monotonic()))

    # The watcher's own thread.

    def _mind(self) -> None:
        while not self._stop.wait(VISIT_S):
            self._notice_links()
            with self._lock:
                self._start_all()

    def _notice_links(self) -> None:
        """A link to a watched folder that leads elsewhere now."""
        watch = self._watch
        places = [
            place for patrol in list(self._patrols.values()) for place in patrol.ground.places
        ]
        if any(os.path.realpath(place.folder.path) != place.root for place in places):
            with self._lock:
                if watch is self._watch and not self._stop.is_set():
                    self._adopt(watch)
                    self._start_all()

    def _state_of(self, folder: Folder, patrols: list[Patrol]) -> FolderState:
        for patrol in patrols:
            for place in patrol.ground.places:
                if place.folder == folder:
                    inside = [p for p in patrol.pending() if below(place.root, p) is not None]
                    problem = patrol.problems.get(place.root)
                    return FolderState(folder, patrol.is_polling, problem, len(inside))
        return FolderState(folder, folder.polling, None, 0)


def _key(ground: Ground) -> str:
    """A patrol lasts as long as this: its events and walks are of this tree."""
    return f"{ground.root}\0{ground.is_recursive}"
