"""What has happened, for whoever shows it live: the page, the tray, a program at the API.

Only the last few hundred are kept, in memory; who was away longer asks for the state anew.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["check", "correction", "forgotten", "state", "pairing", "watch", "settings"]
KEPT = 500


@dataclass(frozen=True)
class Event:
    """Something that happened once."""

    number: int
    kind: Kind
    data: dict[str, Any] = field(default_factory=dict)
    """Names and words as JSON has them; never a picture."""


class Events:
    """Usable from many threads."""

    def __init__(self, kept: int = KEPT) -> None:
        # Begins somewhere else in each run, so that a client of the last one sees a jump.
        self._first = self._next = time.time_ns() // 1_000_000
        self._kept: deque[Event] = deque(maxlen=kept)
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def last(self) -> int:
        """The number to begin behind, for who has just read the whole state."""
        with self._changed:
            return self._next - 1

    def tell(self, kind: Kind, **data: Any) -> None:
        with self._changed:
            self._kept.append(Event(self._next, kind, data))
            self._next += 1
            self._changed.notify_all()

    def after(self, number: int, wait_s: float = 0.0) -> list[Event] | None:
        """Those behind `number`, oldest first, after waiting for one.

        None where some of them are gone, or `number` is of another run: ask for the state anew.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._next - 1 > number, wait_s)
            oldest = self._kept[0].number if self._kept else self._next
            if not self._first - 1 <= number < self._next or number < oldest - 1:
                return None
            return [event for event in self._kept if event.number > number]

    @property
    def is_closed(self) -> bool:
        with self._changed:
            return self._is_closed

    def close(self) -> None:
        """Let everybody who waits go."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
