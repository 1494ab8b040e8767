"""How far things are, in numbers and in words: a folder's files, and all pictures that wait."""

from collections import deque
from dataclasses import dataclass

from antifake.core.durations import span
from antifake.core.i18n import _, ngettext
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
        match self.state:
            case "counting":
                return _("Counting what is there: {n:,} so far.", n=self.total)
            case "counted":
                return ngettext(
                    "{n:,} picture was there already.",
                    "{n:,} pictures were there already.",
                    self.total,
                )
            case "left":
                return ngettext(
                    "{n:,} picture was there already and is left out.",
                    "{n:,} pictures were there already and are left out.",
                    self.total,
                )
            case "checking":
                return self._checking
            case "paused":
                return ngettext(
                    "Paused at {done:,} of the {n:,} picture that was there already.",
                    "Paused at {done:,} of the {n:,} pictures that were there already.",
                    self.total,
                    done=self.done,
                )
            case "done":
                return self._done

    @property
    def _done(self) -> str:
        if not self.total:
            return ""
        return ngettext(
            "{n:,} picture was there already and is checked.",
            "{n:,} pictures were there already and are checked.",
            self.total,
        )

    @property
    def _checking(self) -> str:
        if self.left_s is None:
            return _(
                "Checking the pictures that were there already: {done:,} of {total:,}.",
                done=self.done,
                total=self.total,
            )
        return _(
            "Checking the pictures that were there already: {done:,} of {total:,}, {time} left.",
            done=self.done,
            total=self.total,
            time=span(self.left_s),
        )

    @property
    def passed_over(self) -> str:
        """Returns a sentence about other files; "" if there are none."""
        if not self.others:
            return ""
        return ngettext(
            "{n:,} other file was passed over: its name is not that of a picture.",
            "{n:,} other files were passed over: their names are not those of pictures.",
            self.others,
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
