"""A watcher whose time the test controls, and a sink that records the files it gets."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from kit.waiting import eventually

from antifake.daemon.config.settings import Folder, Watch
from antifake.daemon.store import Store, ledger
from antifake.daemon.store.ledger import Stamp
from antifake.daemon.watcher import Watcher
from antifake.daemon.watcher.observer import TreeObserver
from antifake.daemon.watcher.tree_watcher import TreeWatcher

T = TypeVar("T")

QUIET_S = 0.6
STEP_S = QUIET_S / 2
PICTURE = b"\x89PNG and some more"


class NotingSink:
    """Records every file that is handed over, in a real history."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.handed: list[Stamp] = []
        self.gone_paths: list[str] = []
        self.asked = 0
        self.failed = 0
        self.is_full = False
        self.is_slow = False
        """If true, it takes files but does not record them yet."""
        self.error: Exception | None = None

    def unknown(self, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
        if self.error and stamps:
            self.failed += 1
            raise self.error
        with self.store.reading() as session:
            yield from ledger.unknown(session, stamps)

    def found(self, stamp: Stamp) -> bool:
        self.asked += 1
        if self.is_full:
            return False
        if not self.is_slow:
            with self.store.writing() as session:
                ledger.note(session, stamp)
        self.handed.append(stamp)
        return True

    def noted(self, folder: str) -> Iterator[str]:
        with self.store.reading() as session:
            yield from ledger.paths_in(session, folder)

    def gone(self, paths: Collection[str]) -> None:
        with self.store.writing() as session:
            ledger.drop(session, paths)
        self.gone_paths += paths

    def paths(self) -> list[str]:
        return [stamp.path for stamp in self.handed]

    def ledger(self) -> set[str]:
        return set(self.noted("/"))


class SteppedWatcher:
    """A watcher without threads of its own. The files and watchdog's events are real.

    Time passes only in the methods here. So a file is not handed over between two writes of the
    test, however slow the machine is.
    """

    def __init__(self, sink: NotingSink, watcher: Watcher) -> None:
        self.sink, self.watcher = sink, watcher
        self.now = 1000.0

    @property
    def problem(self) -> str:
        return self.watcher.state()[0].problem or ""

    @property
    def tree(self) -> TreeWatcher:
        (tree,) = self.watcher.trees
        return tree

    @property
    def observer(self) -> TreeObserver | None:
        return self.tree.supervisor.observer

    def step(self) -> None:
        self.now += STEP_S
        self.watcher.step(self.now)

    def until(self, look: Callable[[], T | None]) -> T:
        """Lets time pass until `look` returns something truthy."""

        def step_and_look() -> T | None:
            self.step()
            return look()

        return eventually(step_and_look, every_s=0.005)

    def let_pass(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.step()

    def until_renewed(self, old: TreeObserver | None) -> TreeObserver:
        """Returns the observer that replaced `old`."""
        return self.until(lambda: None if self.observer is old else self.observer)

    def handed(self, *paths: Path) -> None:
        """Asserts that exactly these files are handed over, each once, in any order."""
        wanted = sorted(map(str, paths))
        self.until(lambda: len(self.sink.handed) >= len(wanted))
        assert sorted(self.sink.paths()) == wanted

    def nothing_more(self, root: Path) -> None:
        """Asserts that a new picture, which comes last, is handed over and nothing else is."""
        before = len(self.sink.handed)
        marker = root / f"marker{before}.png"
        marker.write_bytes(PICTURE)
        self.until(lambda: str(marker) in self.sink.paths())
        self.let_pass(6 * QUIET_S)
        assert self.sink.paths()[before:] == [str(marker)]


def settings(*folders: Folder | Path, **about: Any) -> Watch:
    made = [one if isinstance(one, Folder) else Folder(one) for one in folders]
    return Watch(folders=tuple(made), quiet_s=QUIET_S, **about)


@contextmanager
def stepped(
    sink: NotingSink,
    *folders: Folder | Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **about: Any,
) -> Iterator[SteppedWatcher]:
    """Waits until every folder is watched or its problem is known, unless watching is paused."""
    watched = SteppedWatcher(sink, Watcher(sink, settings(*folders, **about), clock))
    try:
        if "paused_until" not in about:
            watched.until(lambda: is_watching(watched.watcher))
        yield watched
    finally:
        watched.watcher.close()


def is_watching(watcher: Watcher) -> bool:
    return all(tree.is_watching for tree in watcher.trees)
