"""Waits for other threads or processes: with a time limit, and never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

from kit.pace import within

T = TypeVar("T")


def eventually(look: Callable[[], T | None], within_s: float = 20.0, every_s: float = 0.02) -> T:
    """Returns what `look` gives as soon as that is truthy.

    An AssertionError from `look` counts as not yet. The bound is stretched on a slow machine.
    """
    bound_s = within(within_s)
    end = time.monotonic() + bound_s
    while True:
        try:
            if found := look():
                return found
            why = None
        except AssertionError as error:
            why = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {bound_s:g} s") from why
        time.sleep(every_s)
