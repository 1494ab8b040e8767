"""Hands files to the sink: waits until they are complete, and offers them until they are taken."""

import logging
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from antifake.daemon.store.ledger import Stamp

from .roots import Root
from .sink import Sink
from .stability import StabilityTracker, StableFile
from .tree import WatchedTree
from .walk import is_other, is_reached_without_links, look

log = logging.getLogger(__name__)

BACK_OFF_S = (0.1, 2.0)
"""The first and the longest pause after the sink took no file."""
MAX_GONE = 1000
"""So many missing files are forgotten in any case, even while others wait."""
MAX_RECENT = 4096
TURN_S = 0.1
"""A step hands over no longer than this."""


class Delivery:
    """Belongs to one thread, except pending()."""

    def __init__(
        self,
        tree: WatchedTree,
        root: Root,
        sink: Sink,
        quiet_s: float,
        is_halted: Callable[[], bool],
    ) -> None:
        self.tree = tree
        self.sink = sink
        self._root = root
        self._is_halted = is_halted
        self._stability = StabilityTracker(quiet_s)
        self._ready = _ReadyFiles()
        self._recent: OrderedDict[str, Stamp] = OrderedDict()
        self._gone: list[str] = []
        self._offer_at = 0.0
        self._back_off_s = BACK_OFF_S[0]

    def set_quiet(self, quiet_s: float) -> None:
        self._stability.quiet_s = quiet_s

    def changed(self, path: str, now: float) -> None:
        """An event named this file."""
        self._stability.changed(path, now)

    def came_upon(self, path: str, now: float) -> None:
        """A walk found this file, or found it missing."""
        if path not in self._ready:
            self._stability.came_upon(path, now)

    def offer_again(self) -> None:
        """Files that were taken, and still are not in the ledger, are offered once more."""
        self._recent.clear()

    def backlog(self) -> int:
        return len(self._stability) + len(self._ready) + len(self._gone)

    def pending(self) -> list[str]:
        """Returns the files that are not handed over yet. Any thread may call this."""
        return [*self._stability.paths(), *self._ready.paths()]

    def step(self, now: float) -> None:
        self._look_at_due(now)
        self._hand_over(now)
        self._forget_gone()

    def next_at(self) -> float:
        """Returns when there is something to do."""
        due = self._stability.next_due()
        offer_at = self._offer_at if self._ready else math.inf
        return min(offer_at, math.inf if due is None else due)

    def discard(self) -> None:
        """Drops everything; a later walk finds the same files."""
        self._stability.clear()
        self._ready.clear()
        self._gone.clear()

    def _look_at_due(self, now: float) -> None:
        complete = []
        for path in self._stability.due(now):
            file = self._look_at(path, now)
            if file is None:
                continue
            if file.stamp is None:
                self._gone.append(path)
            elif self._recent.get(path) != file.stamp:
                complete.append(file)
        self._make_ready(complete, now)

    def _look_at(self, path: str, now: float) -> StableFile | None:
        """Returns the file if it is stable now."""
        try:
            stamp = look(path)
        except OSError:
            self._stability.drop(path)
            return None
        if stamp is not None and (stamp.size == 0 or not self.tree.accepts(path)):
            # Browsers create an empty file first; filling it is another event.
            self._stability.drop(path)
            return None
        file = self._stability.seen(path, stamp, now)
        return None if file and stamp and is_other(self.tree, path) else file

    def _make_ready(self, complete: list[StableFile], now: float) -> None:
        try:
            unknown = set(self.sink.unknown([file.stamp for file in complete if file.stamp]))
        except BaseException:
            for file in complete:
                self._stability.came_upon(file.path, now)
            raise
        for file in complete:
            if file.stamp in unknown:
                self._ready.add(file)

    def _hand_over(self, now: float) -> None:
        until = time.perf_counter() + TURN_S
        while self._ready and now >= self._offer_at and time.perf_counter() < until:
            if self._is_halted():
                return
            file = self._ready.take_first()
            if not self._try_to_offer(file, now):
                # To the end: it must not keep all others waiting.
                self._ready.add(file)
                self._offer_at = now + self._back_off_s
                self._back_off_s = min(2 * self._back_off_s, BACK_OFF_S[1])

    def _try_to_offer(self, file: StableFile, now: float) -> bool:
        try:
            return self._offer(file, now)
        except Exception as error:  # noqa: BLE001 - the other files must not wait for this one
            log_failure(error)
            return False

    def _offer(self, file: StableFile, now: float) -> bool:
        """Returns False if the file must be offered again."""
        path = file.path
        if file.stamp is None or not self.tree.accepts(path):
            return True
        if not is_reached_without_links(os.path.dirname(path)):  # noqa: PTH120 - a Path is slow
            return True
        try:
            stamp = look(path)
        except OSError:
            return True
        if stamp != file.stamp:
            self._stability.changed(path, now)
            return True
        if not self.sink.found(stamp):
            return False
        self._back_off_s = BACK_OFF_S[0]
        self._remember(stamp)
        return True

    def _remember(self, stamp: Stamp) -> None:
        self._recent[stamp.path] = stamp
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def _forget_gone(self) -> None:
        """Not before new files were handed over: a renamed file is known by its old path."""
        if not self._gone or (self._ready and len(self._gone) < MAX_GONE):
            return
        # If a drive was pulled out, its files are not gone.
        if self._root.is_unchanged():
            self.sink.gone(self._gone)
        for path in self._gone:
            self._recent.pop(path, None)
        self._gone = []


class _ReadyFiles:
    """Fresh files first, then those that a walk came upon; within each, in order of arrival."""

    def __init__(self) -> None:
        self._fresh: OrderedDict[str, StableFile] = OrderedDict()
        self._found: OrderedDict[str, StableFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._found)

    def __contains__(self, path: str) -> bool:
        return path in self._fresh or path in self._found

    def paths(self) -> list[str]:
        return [*list(self._fresh), *list(self._found)]

    def add(self, file: StableFile) -> None:
        self._found.pop(file.path, None)
        (self._fresh if file.is_fresh else self._found)[file.path] = file

    def take_first(self) -> StableFile:
        return (self._fresh or self._found).popitem(last=False)[1]

    def clear(self) -> None:
        self._fresh.clear()
        self._found.clear()


def log_failure(error: Exception) -> None:
    # The traceback may contain names of files.
    log.warning("Watching a folder failed (%s); it is tried again.", type(error).__name__)
    log.debug("Watching a folder failed.", exc_info=error)
