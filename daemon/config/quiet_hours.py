"""The part of each day in which notifications wait."""

import re
from dataclasses import dataclass
from datetime import time

_FORM = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class QuietHours:
    """In local time, also over midnight. From `start` on, until just before `end`."""

    start: time = time()
    end: time = time()
    """If it is the start, no hour is quiet."""

    @classmethod
    def parse(cls, text: str) -> "QuietHours":
        """Reads "22:00-07:00"; "" means none. Raises ValueError."""
        if not text.strip():
            return cls()
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} are not two times")
        hour, minute, end_hour, end_minute = map(int, found.groups())
        return cls(time(hour, minute), time(end_hour, end_minute))

    def covers(self, moment: time) -> bool:
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


def is_quiet_hours(text: str) -> bool:
    try:
        QuietHours.parse(text)
    except ValueError:
        return False
    return True
