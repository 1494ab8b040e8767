"""When a file is complete: two looks, `quiet_s` apart, showed the same, and no event came between.

There is no clock and no disk here: times and stamps are arguments.

A "closed" event does not mean that a file is complete. A program that appends three times closes
it three times, and a file that was moved or unpacked is often never closed.
"""

from dataclasses import dataclass

from antifake.daemon.store.ledger import Stamp


@dataclass(frozen=True)
class StableFile:
    path: str
    stamp: Stamp | None
    """None: there is no file any more."""
    is_fresh: bool
    """It changed just now; otherwise a walk came upon it."""


@dataclass
class _Pending:
    due: float
    is_fresh: bool
    looked_at: float | None = None
    stamp: Stamp | None = None


class StabilityTracker:
    """The files that may still change, by path. Belongs to one thread."""

    def __init__(self, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def paths(self) -> list[str]:
        return list(self._pending)

    def changed(self, path: str, now: float) -> None:
        """An event came: the wait begins again."""
        self._pending[path] = _Pending(now + self.quiet_s, is_fresh=True)

    def came_upon(self, path: str, now: float) -> None:
        """A walk found it. If it is already pending, nothing changes.

        Otherwise walks that follow each other quickly would delay every file for ever.
        """
        self._pending.setdefault(path, _Pending(now, is_fresh=False))

    def due(self, now: float) -> list[str]:
        """Returns the paths to look at now."""
        return [path for path, one in self._pending.items() if one.due <= now]

    def next_due(self) -> float | None:
        return min((one.due for one in self._pending.values()), default=None)

    def seen(self, path: str, stamp: Stamp | None, now: float) -> StableFile | None:
        """Takes what a look showed (None: no file). Returns the file if it is stable now."""
        one = self._pending.get(path)
        if one is None:
            return None
        if one.looked_at is None or one.stamp != stamp:
            one.looked_at, one.stamp = now, stamp
        elif now >= one.looked_at + self.quiet_s:
            del self._pending[path]
            return StableFile(path, stamp, one.is_fresh)
        one.due = one.looked_at + self.quiet_s
        return None

    def drop(self, path: str) -> None:
        self._pending.pop(path, None)

    def clear(self) -> None:
        self._pending.clear()
