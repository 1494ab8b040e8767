"""Time on a device that is still at work when a call returns."""

import sys
import time
from collections.abc import Callable

import torch

from bench.measure import by_turns, seconds

BEGAN_S = time.monotonic()


def timed(
    place: torch.device, *works: Callable[[], object], for_s: float = 3.0, most: int = 30
) -> list[float]:
    """Median seconds of each work, all by turns, in some `for_s` seconds after the warm-ups.

    Two of them: what is met twice may be recorded as a CUDA graph.
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
    """For whoever waits; the table itself is on the standard output."""
    print(f"[{time.monotonic() - BEGAN_S:5.0f} s] {text}", file=sys.stderr, flush=True)
