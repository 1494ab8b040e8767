"""The watcher: a tree watcher, in a thread of its own, for each tree of the settings."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from antifake.daemon.config import Folder
from antifake.daemon.config.settings import Watch

from .sink import Sink
from .tree import ResolvedFolder, WatchedTree, names_below, trees_of
from .tree_watcher import CHECK_S, TreeWatcher

_END_S = 1.8
"""How long the threads may take to end. A thread whose drive does not answer is left behind; it
ends with the process."""


@dataclass(frozen=True)
class FolderState:
    folder: Folder
    polling: bool
    """The folder is walked again and again, because no events come from all or part of it."""
    problem: str | None
    """A sentence, or None if the folder is watched as it should be."""
    pending: int
    """How many files were seen and are not handed over yet."""


class Watcher:
    """Watches while its `with` block runs. Overlapping folders hand each file over once.

    It stores nothing. What was pending when the process was killed is found again by the walk
    at the next start.
    """

    def __init__(
        self,
        sink: Sink,
        watch: Watch,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sink = sink
        self._watch = watch
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._trees: dict[str, TreeWatcher] = {}
        """Replaced at each change, so that other threads may read it without the lock."""
        self._threads: dict[str, threading.Thread] = {}
        self._is_running = False
        self._caretaker = threading.Thread(target=self._take_care, name="watcher", daemon=True)
        self._adopt(watch)

    def __enter__(self) -> Self:
        with self._lock:
            self._is_running = True
            self._start_all()
        self._caretaker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._lock:
            self._is_running = False
            self._end(list(self._trees))
        self._caretaker.join(timeout=0.2)

    @property
    def trees(self) -> list[TreeWatcher]:
        return list(self._trees.values())

    def apply(self, watch: Watch) -> None:
        """Takes new settings. At most one file, which is just being handed over, still follows
        the old ones."""
        with self._lock:
            self._adopt(watch)
            self._start_all()

    def rescan(self) -> None:
        for tree in self.trees:
            tree.rescan()

    def state(self) -> list[FolderState]:
        """Returns one state for each folder, in the order of the settings."""
        trees = self.trees
        return [_state_of(folder, trees) for folder in self._watch.folders]

    def step(self, now: float) -> None:
        """Does one step of everything, for a test that starts no threads."""
        self._follow_links()
        for tree in self.trees:
            tree.step(now)

    def close(self) -> None:
        """Ends what step() began; `with` needs no such call."""
        for tree in self.trees:
            tree.close()

    def _is_paused(self) -> bool:
        until = self._watch.paused_until
        return until is not None and self._clock() < until

    # These need the lock.

    def _adopt(self, watch: Watch) -> None:
        self._watch = watch
        trees = {_key(tree): tree for tree in trees_of(watch.folders)}
        # The old ones end first: a file must not be handed over by two.
        self._end([key for key in self._trees if key not in trees])
        for key, tree in trees.items():
            if key in self._trees:
                self._trees[key].adopt(tree, watch.quiet_s)
            else:
                new = TreeWatcher(self._sink, tree, watch.quiet_s, self._is_paused)
                self._trees = {**self._trees, key: new}

    def _start_all(self) -> None:
        """Starts the threads that do not run, or have ended."""
        for key, tree in self._trees.items() if self._is_running else ():
            thread = self._threads.get(key)
            if thread is None or not thread.is_alive():
                thread = threading.Thread(target=tree.run, name="watcher-folder", daemon=True)
                self._threads[key] = thread
                thread.start()

    def _end(self, keys: list[str]) -> None:
        trees = [self._trees[key] for key in keys]
        self._trees = {key: one for key, one in self._trees.items() if key not in keys}
        threads = [self._threads.pop(key) for key in keys if key in self._threads]
        for tree in trees:
            tree.stop()
            if not threads:
                tree.close()
        end = time.monotonic() + _END_S
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    # The watcher's own thread.

    def _take_care(self) -> None:
        while not self._stop.wait(CHECK_S):
            self._follow_links()
            with self._lock:
                self._start_all()

    def _follow_links(self) -> None:
        """Watches another folder if a link to a watched folder has a new target."""
        watch = self._watch
        folders = [one for tree in self.trees for one in tree.tree.folders]
        if any(os.path.realpath(one.folder.path) != one.root for one in folders):
            with self._lock:
                if watch is self._watch and not self._stop.is_set():
                    self._adopt(watch)
                    self._start_all()


def _key(tree: WatchedTree) -> str:
    """A tree watcher lasts as long as this is the same: its events and walks depend on it."""
    return f"{tree.root}\0{tree.is_recursive}"


def _state_of(folder: Folder, trees: list[TreeWatcher]) -> FolderState:
    for tree in trees:
        for one in tree.tree.folders:
            if one.folder == folder:
                return _state_in(tree, one)
    return FolderState(folder, folder.polling, None, 0)


def _state_in(tree: TreeWatcher, one: ResolvedFolder) -> FolderState:
    inside = [path for path in tree.pending() if names_below(one.root, path) is not None]
    return FolderState(one.folder, tree.is_polling, tree.problems.get(one.root), len(inside))
