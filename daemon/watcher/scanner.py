"""Finds out which files to look at: events name them, and walks come upon them."""

import math
import threading
import time
from collections.abc import Callable, Iterator

from .delivery import Delivery
from .event_buffer import EventBuffer
from .roots import Root
from .tree import WatchedTree
from .walk import is_other, reconcile

POLL_S = 2.0
POLL_SHARE = 20
"""Where no events come, the pause after a walk is this many times as long as the walk."""
BACKLOG = 1000
"""If so many files are pending, a walk pauses: memory stays flat however many files there are."""
MAX_FOLDERS = 64
"""If more folders must be walked, the whole tree is."""
TURN_S = 0.1
"""A step walks no longer than this."""


class Scanner:
    """Belongs to one thread, except rescan()."""

    def __init__(
        self,
        tree: WatchedTree,
        root: Root,
        events: EventBuffer,
        delivery: Delivery,
        is_halted: Callable[[], bool],
    ) -> None:
        self.tree = tree
        self.walk_s = 0.0
        """How long the last walk took, or the current one so far."""
        self._root = root
        self._events = events
        self._delivery = delivery
        self._is_halted = is_halted
        self._must_rescan = threading.Event()
        self._must_rescan.set()
        self._folders: set[str] = set()
        self._walk: Iterator[list[str]] | None = None
        self._poll_at = 0.0

    @property
    def is_rescan_due(self) -> bool:
        return self._must_rescan.is_set()

    def rescan(self) -> None:
        """Walks the whole tree soon. Any thread may call this."""
        self._must_rescan.set()

    def take_events(self, now: float) -> bool:
        """Returns whether folders were renamed."""
        if self._delivery.backlog() > 2 * BACKLOG:
            return False  # they stay in the buffer; if it gets full, a walk follows
        batch = self._events.take()
        for path in filter(self.tree.accepts, batch.files):
            if not is_other(self.tree, path):
                self._delivery.changed(path, now)
        self._folders |= {folder for folder in batch.folders if self.tree.enters(folder)}
        if batch.is_lossy or len(self._folders) > MAX_FOLDERS:
            self.rescan()
        return batch.has_moves

    def step(self, now: float, *, is_polling: bool) -> None:
        """Walks on, for a short time, while there is room for what it finds."""
        until = time.perf_counter() + TURN_S
        while not self._is_halted() and self._delivery.backlog() < BACKLOG:
            if self._walk is None and not self._begin_walk(now, is_polling=is_polling):
                return
            self._walk_on(now)
            if time.perf_counter() > until:
                return

    def next_at(self, *, is_polling: bool) -> float:
        """Returns when there is something to do; 0 means at once."""
        has_work = self._walk is not None or self._folders or self.is_rescan_due
        if has_work and self._delivery.backlog() < BACKLOG:
            return 0.0
        return self._poll_at if is_polling else math.inf

    def restart_walk(self) -> None:
        """After an error in the middle of a walk."""
        if self._walk is not None:
            self._walk = None
            self.rescan()

    def discard(self) -> None:
        """Drops events and walks; a later walk finds the same files."""
        self._events.take()
        self._walk = None
        self._folders.clear()

    def _begin_walk(self, now: float, *, is_polling: bool) -> bool:
        """Returns False if nothing is to be walked."""
        if self._must_rescan.is_set():
            self._must_rescan.clear()
            self._delivery.offer_again()
            self._folders = {self.tree.root}
        elif not self._folders and is_polling and now >= self._poll_at:
            self._folders = {self.tree.root}
        if not self._folders:
            return False
        self.walk_s = 0.0
        start, sink = self._folders.pop(), self._delivery.sink
        self._walk = reconcile(self.tree, start, sink, self._root.allows_forgetting)
        return True

    def _walk_on(self, now: float) -> None:
        began = time.perf_counter()
        found = next(self._walk, None) if self._walk is not None else None
        self.walk_s += time.perf_counter() - began
        if found is None:
            self._walk = None
            self._poll_at = now + max(POLL_S, POLL_SHARE * self.walk_s)
            return
        for path in found:
            self._delivery.came_upon(path, now)
