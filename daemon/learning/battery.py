"""Whether this computer runs on its battery."""

import time
from dataclasses import dataclass

import psutil

_EVERY_S = 15.0
"""The system is asked at most so often."""


@dataclass
class _Battery:
    looked: float = -_EVERY_S
    is_used: bool = False


_battery = _Battery()


def is_on_battery() -> bool:
    """Whether this computer runs on its battery. False where that is not known."""
    now = time.monotonic()
    if now - _battery.looked > _EVERY_S:
        _battery.looked = now
        try:
            found = psutil.sensors_battery()
        except (AttributeError, OSError, psutil.Error):
            found = None
        _battery.is_used = found is not None and found.power_plugged is False
    return _battery.is_used
