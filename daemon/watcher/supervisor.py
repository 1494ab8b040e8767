"""Keeps an observer on a tree: opens it, replaces it after trouble, falls back to polling.

Times are arguments; there is no thread and no clock here but the observer's own.
"""

import time
from collections.abc import Callable

from antifake.core.i18n import _

from .event_buffer import EventBuffer
from .mounts import lacks_events
from .observer import TreeObserver, is_limit
from .tree import WatchedTree

RETRY_S = 1.0
RETRY_LIMIT_S = 60.0
"""Where the computer allows no more observers, or not for all folders."""
CALM_S = 1.5
"""Without trouble for so long, an observer is replaced. Setting up watches takes as long as a
walk, so not in the middle of many events."""
LONGEST_DOUBT_S = 5.0
"""After so long it is replaced in any case."""
RENEW_SHARE = 4
"""An observer stays at least this many times as long as opening it took."""


class ObserverSupervisor:
    """Belongs to one thread."""

    def __init__(
        self,
        tree: WatchedTree,
        events: EventBuffer,
        open_observer: Callable[..., TreeObserver] = TreeObserver,
    ) -> None:
        self.tree = tree
        self.observer: TreeObserver | None = None
        self.is_polling = tree.is_polled
        """Not all events come, so the tree must be walked again and again."""
        self._events = events
        self._open_observer = open_observer
        self._lacks_events = False
        self._open_at = 0.0
        self._reset(0.0, 0.0)

    def _reset(self, now: float, opening_s: float) -> None:
        """For a new observer."""
        self._overflows = 0
        self._doubted_at = self._doubted_since = 0.0
        self._complete_at = now + RETRY_LIMIT_S
        self._renew_at = now + RENEW_SHARE * opening_s

    def root_changed(self) -> None:
        """Another folder is there now."""
        self._lacks_events = lacks_events(self.tree.root)
        self._open_at = 0.0

    def check_overflow(self, now: float) -> bool:
        """Returns True at the first overflow of an observer: the tree must be walked."""
        overflows = 0 if self.observer is None else self.observer.trouble.overflows
        if overflows <= self._overflows:
            return False
        is_first = self._overflows == 0
        self._overflows = overflows
        self.doubt(now)
        return is_first

    def doubt(self, now: float) -> None:
        """The observer may have lost a folder."""
        self._doubted_at = now
        self._doubted_since = self._doubted_since or now

    def step(self, now: float, walk_s: float) -> bool:
        """Opens, replaces or closes the observer. Returns True if the tree must be walked."""
        is_unwanted = self._lacks_events or self.tree.is_polled
        if self.observer is not None and (is_unwanted or self._must_replace(self.observer, now)):
            self.close()
        was_opened = False
        if self.observer is None and not is_unwanted and now >= self._open_at:
            was_opened = self._try_to_open(now, walk_s)
        self.is_polling = self.observer is None or self.observer.trouble.is_incomplete
        return was_opened

    def problem(self) -> str | None:
        """Returns a sentence if the computer's limit is the reason for polling."""
        if not self.is_polling or self._lacks_events or self.tree.is_polled:
            return None
        return _(
            "This computer can watch no more folders, so {folder} is looked through every few"
            " seconds instead. On Linux a higher fs.inotify.max_user_watches helps.",
            folder=self.tree.root,
        )

    def close(self) -> None:
        if self.observer is not None:
            self.observer.close()
            self.observer = None

    def _must_replace(self, observer: TreeObserver, now: float) -> bool:
        if not observer.is_alive():
            return True
        if observer.trouble.is_incomplete and now >= self._complete_at:
            return True
        if not self._doubted_since:
            return False
        is_calm = now - self._doubted_at > CALM_S
        is_time = is_calm or now - self._doubted_since > LONGEST_DOUBT_S
        return is_time and (now >= self._renew_at or self._overflows > 0)

    def _try_to_open(self, now: float, walk_s: float) -> bool:
        began = time.perf_counter()
        try:
            self.observer = self._open_observer(
                self.tree.root, self._events, recursive=self.tree.is_recursive
            )
        except OSError as error:
            self._open_at = now + (RETRY_LIMIT_S if is_limit(error) else RETRY_S)
            return False
        # Files may have come before it was open, so a walk follows, and takes its time, too.
        self._reset(now, max(time.perf_counter() - began, walk_s))
        return True
