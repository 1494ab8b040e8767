"""Measures medians of several works in turn, and prints a line for each."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_turns(*works: Callable[[], object], runs: int) -> list[float]:
    """Returns the median seconds of each work."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, mine in zip(works, times, strict=True):
            mine.append(seconds(work))
    return [statistics.median(mine) for mine in times]


def row(what: str, subject_s: float, floor: str, floor_s: float, aim: str = "") -> None:
    ratio = subject_s / floor_s
    print(f"{what:<44}{1000 * subject_s:>9.1f} ms   {ratio:>5.2f} x {floor:<34}{aim}", flush=True)


def process(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
