"""A clock for what lasts minutes or hours. Nobody can set it, and it runs during sleep, too.

The time of day may be set back or forward. `time.monotonic` cannot, but on Linux and macOS it
stands still during sleep: on a laptop that is closed every night, 12 hours would take days.
"""

import sys
import time


def elapsed_s() -> float:
    """Returns the seconds since some moment that stays the same until the computer is restarted."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # unlike time.monotonic()
    return time.monotonic()
