"""What the user wants to be notified of, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from .notifications import Level


@dataclass(frozen=True)
class QuietHours:
    """A part of each day, in local time, also one over midnight."""

    start: time = time()
    end: time = time()
    """Not included. If it is the start, no hour is quiet."""

    @classmethod
    def parse(cls, text: str) -> "QuietHours":
        """Reads "22:00-07:00"; "" means none. Raises ValueError."""
        if not text:
            return cls()
        start, _, end = text.partition("-")
        return cls(time.fromisoformat(start.strip()), time.fromisoformat(end.strip()))

    def covers(self, moment: time) -> bool:
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


@dataclass(frozen=True)
class Wishes:
    level: Level = "ai"
    quiet_hours: QuietHours = field(default_factory=QuietHours)
    shows_pictures: bool = True


def wishes_of(settings: Mapping[str, Any]) -> Wishes:
    """Reads the daemon's settings. Raises ValueError. A daemon of an older version has fewer."""
    return Wishes(
        settings.get("notifications.level", "ai"),
        QuietHours.parse(settings.get("notifications.quiet_hours", "")),
        settings.get("notifications.pictures", True),
    )
