"""A watcher for tests: what it hands over is noted in a real log, and its time is the test's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from kit.waiting import eventually

from antifake.daemon.config.settings import Folder, Watch
from antifake.daemon.store import ledger
from antifake.daemon.watcher import Watcher

T = TypeVar("T")

QUIET_S = 0.6
STEP_S = QUIET_S / 2
PICTURE = b"\x89PNG and some more"


class NotingSink:
    """Notes every file that is handed over, in a real log."""

    def __init__(self, store):
        self.store = store
        self.handed = []
        self.gone_paths = []
        self.asked = 0
        self.failed = 0
        self.is_full = False
        self.is_slow = False
        """It takes files, but what comes of them is not noted yet."""
        self.error = None

    def unknown(self, stamps):
        if self.error:
            self.failed += 1
            raise self.error
        with self.store.reading() as session:
            yield from ledger.unknown(session, stamps)

    def found(self, stamp):
        self.asked += 1
        if self.is_full:
            return False
        if not self.is_slow:
            with self.store.writing() as session:
                ledger.note(session, stamp)
        self.handed.append(stamp)
        return True

    def noted(self, folder):
        with self.store.reading() as session:
            yield from ledger.paths_in(session, folder)

    def gone(self, paths):
        with self.store.writing() as session:
            ledger.drop(session, paths)
        self.gone_paths += paths

    def paths(self):
        return [stamp.path for stamp in self.handed]

    def ledger(self):
        return set(self.noted("/"))


class SteppedWatcher:
    """A watcher without threads of its own. Files and watchdog's events are real.

    Time goes on only in the methods here. However long the machine keeps a test waiting
    between two writes, the file is not handed over between them.
    """

    def __init__(self, sink: NotingSink, watcher: Watcher) -> None:
        self.sink, self.watcher = sink, watcher
        self.now = 1000.0

    @property
    def problem(self) -> str:
        return self.watcher.state()[0].problem or ""

    @property
    def tree(self):
        (tree,) = self.watcher.trees
        return tree

    @property
    def observer(self):
        return self.tree.supervisor.observer

    def step(self) -> None:
        self.now += STEP_S
        self.watcher.step(self.now)

    def until(self, look: Callable[[], T]) -> T:
        """Time goes on until `look` gives something truthy."""

        def step_and_look() -> T:
            self.step()
            return look()

        return eventually(step_and_look, every_s=0.005)

    def let_pass(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.step()

    def until_renewed(self, old):
        """Returns the observer that replaced `old`."""
        return self.until(lambda: self.observer not in (None, old) and self.observer)

    def handed(self, *paths: Path) -> None:
        """Exactly these files were handed over, each once, in any order."""
        wanted = sorted(map(str, paths))
        self.until(lambda: len(self.sink.handed) >= len(wanted))
        assert sorted(self.sink.paths()) == wanted

    def nothing_more(self, root: Path) -> None:
        """A picture that comes after everything else is handed over, and nothing else is."""
        before = len(self.sink.handed)
        marker = root / f"marker{before}.png"
        marker.write_bytes(PICTURE)
        self.until(lambda: str(marker) in self.sink.paths())
        self.let_pass(6 * QUIET_S)
        assert self.sink.paths()[before:] == [str(marker)]


def settings(*folders: Folder | Path, **about) -> Watch:
    made = [one if isinstance(one, Folder) else Folder(one) for one in folders]
    return Watch(folders=tuple(made), quiet_s=QUIET_S, **about)


@contextmanager
def stepped(
    sink: NotingSink,
    *folders: Folder | Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    **about,
) -> Iterator[SteppedWatcher]:
    """Every folder is listened to, or has said why not; unless watching is paused."""
    watched = SteppedWatcher(sink, Watcher(sink, settings(*folders, **about), clock))
    try:
        if "paused_until" not in about:
            watched.until(lambda: is_watching(watched.watcher))
        yield watched
    finally:
        watched.watcher.close()


def is_watching(watcher: Watcher) -> bool:
    return all(tree.is_watching for tree in watcher.trees)
