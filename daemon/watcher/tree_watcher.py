"""Watches one tree, in steps of one thread.

    step(now)
      supervisor   keeps an observer on the tree, whose events go into a buffer
      scanner      takes events from the buffer and walks the tree: which files to look at
      delivery     waits until a file is complete and hands it to the sink

A test can call step() itself, with times of its own. Only events and requests come from other
threads. Each tree has its own thread, because a drive that does not answer blocks it.
"""

import threading
import time
from collections.abc import Callable

from .delivery import Delivery, log_failure
from .event_buffer import EventBuffer
from .roots import Root, objection_to
from .scanner import Scanner
from .sink import Sink
from .supervisor import ObserverSupervisor
from .tree import WatchedTree

CHECK_S = 1.0
"""How often the root and the observer are checked."""
ERROR_PAUSE_S = 2.0
STORM_PAUSE_S = 0.02
"""Between two steps: of many events, many are taken at once."""


class TreeWatcher:
    """step() and close() belong to one thread; the other public methods to any."""

    def __init__(
        self, sink: Sink, tree: WatchedTree, quiet_s: float, is_paused: Callable[[], bool]
    ) -> None:
        self.tree = tree
        self.problems: dict[str, str | None] = {}
        """By the root of each watched folder: a sentence, or None if all is well."""
        self._is_paused = is_paused
        self._wakeup = threading.Event()
        self._stop = threading.Event()
        events, root = EventBuffer(self._wakeup), Root(tree.root)
        self._root = root
        self.supervisor = ObserverSupervisor(tree, events)
        self.delivery = Delivery(tree, root, sink, quiet_s, self._is_halted)
        self.scanner = Scanner(tree, root, events, self.delivery, self._is_halted)
        self._check_at = 0.0
        self._was_idle = False

    # Any thread may call these.

    @property
    def is_polling(self) -> bool:
        return self.supervisor.is_polling

    @property
    def is_watching(self) -> bool:
        """Every change is noticed from now on, or `problems` says why not."""
        if any(self.problems.values()):
            return True
        if self.supervisor.observer is not None:
            return not self.scanner.is_rescan_due
        return self._root.is_present and self.is_polling

    def adopt(self, tree: WatchedTree, quiet_s: float) -> None:
        """Takes new settings for the same root. Pending files are checked against them."""
        self.tree = tree
        self.supervisor.tree = self.scanner.tree = self.delivery.tree = tree
        self.delivery.set_quiet(quiet_s)
        self.rescan()

    def rescan(self) -> None:
        self.scanner.rescan()
        self._wakeup.set()

    def pending(self) -> list[str]:
        return self.delivery.pending()

    def stop(self) -> None:
        self._stop.set()
        self._wakeup.set()

    def run(self) -> None:
        """Runs until stop()."""
        try:
            while not self._stop.is_set():
                self._wakeup.clear()
                self._wakeup.wait(self._step_safely())
                self._stop.wait(STORM_PAUSE_S)
        finally:
            self.close()

    def close(self) -> None:
        self._discard()
        self.supervisor.close()

    def _is_halted(self) -> bool:
        return self._stop.is_set() or self._is_paused()

    def _step_safely(self) -> float:
        try:
            return self.step(time.monotonic())
        except Exception as error:  # noqa: BLE001 - the thread must not end; the next step may work
            log_failure(error)
            self.scanner.restart_walk()
            self._stop.wait(ERROR_PAUSE_S)
            return 0

    # Only the tree watcher's thread.

    def step(self, now: float) -> float:
        """Does a little of everything. Returns for how many seconds there is nothing to do."""
        if self.supervisor.check_overflow(now):
            self.scanner.rescan()
        if now >= self._check_at:
            self._check_at = now + CHECK_S
            self._check(now)
        if self._is_paused() or not self._root.is_present:
            self._discard()
            self._was_idle = True
            return CHECK_S
        if self._was_idle:
            self._was_idle = False
            self.scanner.rescan()
        self._find_and_deliver(now)
        return self._idle_s(now)

    def _check(self, now: float) -> None:
        if self._root.refresh():
            self.supervisor.close()
            self._discard()  # these files were in another folder
            if self._root.is_present:
                self.supervisor.root_changed()
                self.scanner.rescan()
        limit = None
        if self._root.is_present:
            # The last walk could not tell an empty folder from a drive that is not mounted.
            if self._root.has_filled():
                self.scanner.rescan()
            if self.supervisor.step(now, self.scanner.walk_s):
                self.scanner.rescan()
            limit = self.supervisor.problem()
        self.problems = {one.root: objection_to(one.root) or limit for one in self.tree.folders}

    def _find_and_deliver(self, now: float) -> None:
        if self.scanner.take_events(now):
            self.supervisor.doubt(now)
        self.delivery.step(now)
        self.scanner.step(now, is_polling=self.is_polling)

    def _idle_s(self, now: float) -> float:
        next_at = min(
            now + CHECK_S,
            self._check_at,
            self.delivery.next_at(),
            self.scanner.next_at(is_polling=self.is_polling),
        )
        return max(0.0, next_at - now)

    def _discard(self) -> None:
        self.scanner.discard()
        self.delivery.discard()
