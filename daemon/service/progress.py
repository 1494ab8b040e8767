"""How far things are, in numbers and in words: a folder's files, and all pictures that wait."""

from collections import deque
from dataclasses import dataclass

from antifake.core.durations import span
from antifake.daemon.store.tables import ExistingState

WINDOW_S = 60.0
"""The time left is reckoned from the rate of this last time."""


@dataclass(frozen=True)
class Progress:
    """One folder's."""

    state: ExistingState
    total: int
    """Pictures; while they are being counted, those found so far."""
    done: int
    others: int
    """Files that were passed over: by their names they are not pictures."""
    left_s: float | None
    """How long the checks will take; None as long as that is not known."""

    @property
    def summary(self) -> str:
        """Returns it in a sentence; "" if there is nothing to say."""
        were = _either(self.total, "1 picture was", f"{self.total:,} pictures were")
        are = _either(self.total, "is", "are")
        match self.state:
            case "counting":
                return f"Counting what is there: {self.total:,} so far."
            case "counted":
                return f"{were} there already."
            case "left":
                return f"{were} there already and {are} left out."
            case "checking":
                left = "" if self.left_s is None else f", {span(self.left_s)} left"
                count = f"{self.done:,} of {self.total:,}"
                return f"Checking the pictures that were there already: {count}{left}."
            case "paused":
                count = f"{self.done:,} of the {self.total:,} pictures"
                return f"Paused at {count} that were there already."
            case _:
                return f"{were} there already and {are} checked." if self.total else ""

    @property
    def passed_over(self) -> str:
        """Returns a sentence about other files; "" if there are none."""
        if not self.others:
            return ""
        return _either(
            self.others,
            "1 other file was passed over: its name is not that of a picture.",
            f"{self.others:,} other files were passed over: their names are not those of pictures.",
        )


class Rate:
    """How many files were left at which time, in the last WINDOW_S."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, left: int) -> None:
        if not self._seen or self._seen[-1][1] != left:
            self._seen.append((now, left))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def left_s(self, left: int) -> float | None:
        """Returns the seconds until none is left, None if that cannot be told."""
        if len(self._seen) < 2:
            return None
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return left * (now - began) / (first - last) if first > last and now > began else None


class Pace:
    """How fast pictures are judged, from those of the last WINDOW_S."""

    def __init__(self) -> None:
        self._done: deque[float] = deque()

    def note(self, now: float) -> None:
        """A picture is done."""
        self._done.append(now)
        while now - self._done[0] > WINDOW_S:
            self._done.popleft()

    def restart(self) -> None:
        """What came before a pause says nothing of the pictures after it."""
        self._done.clear()

    def left_s(self, waiting: int, now: float) -> float | None:
        """Returns the seconds until none waits, None if that cannot be told or none waits."""
        if len(self._done) < 2 or not waiting:
            return None
        return waiting * (now - self._done[0]) / (len(self._done) - 1)


def _either(n: int, one: str, more: str) -> str:
    return one if n == 1 else more
