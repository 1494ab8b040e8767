"""When a file is whole: it looked the same on two looks, `quiet_s` apart, and nothing said in
between that it changed. No clock and no disk here: both come in as arguments.

"Closed" is no sign of it: who appends three times closes three times, and what is moved in or
unpacked is often never closed.
"""

from dataclasses import dataclass

from antifake.daemon.store.ledger import Stamp


@dataclass(frozen=True)
class Settled:
    path: str
    stamp: Stamp | None
    """None: it is settled that no file is there."""
    is_fresh: bool
    """It changed just now; else a walk came upon it."""


@dataclass
class _Waiting:
    due: float
    is_fresh: bool
    looked_at: float | None = None
    stamp: Stamp | None = None


class Settling:
    """The files that are waited for, by path. Belongs to one thread."""

    def __init__(self, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def paths(self) -> list[str]:
        return list(self._waiting)

    def changed(self, path: str, now: float) -> None:
        """Something happened to it: the waiting begins anew."""
        self._waiting[path] = _Waiting(now + self.quiet_s, is_fresh=True)

    def came_upon(self, path: str, now: float) -> None:
        """A walk found it. One that is waited for already goes on as it was.

        Else whoever walks often enough would keep everything waiting for ever.
        """
        self._waiting.setdefault(path, _Waiting(now, is_fresh=False))

    def due(self, now: float) -> list[str]:
        """At whom to look now."""
        return [path for path, one in self._waiting.items() if one.due <= now]

    def next_due(self) -> float | None:
        return min((one.due for one in self._waiting.values()), default=None)

    def seen(self, path: str, stamp: Stamp | None, now: float) -> Settled | None:
        """What a look showed; None as the stamp: no file. Gives what is settled by that."""
        one = self._waiting.get(path)
        if one is None:
            return None
        if one.looked_at is None or one.stamp != stamp:
            one.looked_at, one.stamp = now, stamp
        elif now >= one.looked_at + self.quiet_s:
            del self._waiting[path]
            return Settled(path, stamp, one.is_fresh)
        one.due = one.looked_at + self.quiet_s
        return None

    def drop(self, path: str) -> None:
        self._waiting.pop(path, None)

    def clear(self) -> None:
        self._waiting.clear()
