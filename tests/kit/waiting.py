"""Waiting for what another thread or process does: with a bound, and never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], within_s: float = 10.0, every_s: float = 0.02) -> T:
    """What `look` gives as soon as that is truthy; an AssertionError from it counts as not yet."""
    end = time.monotonic() + within_s
    while True:
        try:
            if found := look():
                return found
            why = None
        except AssertionError as error:
            why = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:g} s") from why
        time.sleep(every_s)
