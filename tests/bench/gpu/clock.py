"""Measures time on a device that may still be at work when a call returns."""

import sys
import time
from collections.abc import Callable

import torch

from bench.measure import by_turns, seconds

BEGAN_S = time.monotonic()


def timed(
    place: torch.device, *works: Callable[[], object], for_s: float = 3.0, most: int = 30
) -> list[float]:
    """Returns the median seconds of each work, all in turn, in about `for_s` seconds after warm-up.

    There are two warm-up runs, because a shape may be recorded as a CUDA graph the second time.
    """
    ended = [until_done(place, work) for work in works]
    for work in 2 * ended:
        work()
    turn_s = sum(seconds(work) for work in ended)
    return by_turns(*ended, runs=max(3, min(most, int(for_s / turn_s))))


def until_done(place: torch.device, work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        work()
        finish(place)

    return run


def finish(place: torch.device) -> None:
    """Wait until the device has nothing left to do."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def say(text: str) -> None:
    """Prints progress on standard error. The table itself goes to standard output."""
    print(f"[{time.monotonic() - BEGAN_S:5.0f} s] {text}", file=sys.stderr, flush=True)
