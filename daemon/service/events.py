"""Events for clients that show changes live: the pages, the tray and programs that use the API.

Only the last few hundred events are kept, in memory. A client that has missed more must ask for the
whole state again.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "check", "correction", "forgotten", "state", "pairing", "watch", "settings", "training"
]
KEPT = 500


@dataclass(frozen=True)
class Event:
    """One change."""

    number: int
    kind: Kind
    data: dict[str, Any] = field(default_factory=dict)
    """JSON values; never a picture."""


class Events:
    """The recent events. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        # Each run starts at another number, so that clients of the last run notice the restart.
        self._first = self._next = time.time_ns() // 1_000_000
        self._kept: deque[Event] = deque(maxlen=kept)
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def last(self) -> int:
        """The number of the last event. After reading the state, a client continues from here."""
        with self._changed:
            return self._next - 1

    def tell(self, kind: Kind, **data: Any) -> None:
        with self._changed:
            self._kept.append(Event(self._next, kind, data))
            self._next += 1
            self._changed.notify_all()

    def after(self, number: int, wait_s: float = 0.0) -> list[Event] | None:
        """Returns the events after `number`, oldest first. Waits up to `wait_s` for the first one.

        Returns None if some of them are no longer kept or `number` is from another run. The client
        must then ask for the whole state.
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
        """Ends all waiting."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
