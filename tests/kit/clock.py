"""Clocks that stand still until the test moves them."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time of day, and beside it the time that has elapsed."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)
        self.elapsed_s = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def elapsed(self) -> float:
        return self.elapsed_s

    def go(self, **how_long: float) -> None:
        """Let time pass."""
        passed = timedelta(**how_long)
        self.set(passed)
        self.elapsed_s += passed.total_seconds()

    def set(self, by: timedelta) -> None:
        """Set the time of day, as a person or a time server does."""
        self.now += by
