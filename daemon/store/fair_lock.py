"""A lock that those who wait get in the order in which they came."""

import threading
from collections import deque


class FairLock:
    """Keeps one thread that writes again and again from leaving the others without a turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    def acquire(self, timeout_s: float) -> bool:
        """Waits for a turn. Returns whether there was one in time; then `release` it."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            if mine.wait(timeout_s):
                return True
        except BaseException:
            if not self._leave(mine):
                self.release()
            raise
        return not self._leave(mine)

    def release(self) -> None:
        """Hands the turn to whoever has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False

    def _leave(self, mine: threading.Event) -> bool:
        """Stops waiting. Returns False if the turn came at this very moment."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True
