"""Measures how slow this machine is, so that no time limit fails only because the machine is slow.

It is measured once in each test process: some arithmetic and process starts, compared with the time
that they take on two quiet cores of 2025.
"""

import os
import statistics
import subprocess
import sys
import time
from functools import cache

REFERENCE_S = 0.25
ROUNDS = 3
SLOWEST = 20.0
"""Above this factor the machine is not slow but stuck."""
TEST_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def within(seconds: float) -> float:
    """Returns a bound for this machine, from one that suits the reference machine.

    Where several processes run tests, each test may have as little as its share of the machine.
    """
    return seconds * slowness() * TEST_PROCESSES


@cache
def slowness() -> float:
    """Returns how many times slower than the reference this machine is, at least 1."""
    taken_s = statistics.median(_round_s() for _ in range(ROUNDS))
    return min(max(taken_s / REFERENCE_S, 1.0), SLOWEST)


def _round_s() -> float:
    began = time.perf_counter()
    number = 0
    for step in range(600_000):
        number = (number * 31 + step) & 0xFFFFFFFF
    code = "import asyncio, email.message, http.server, json, sqlite3, ssl"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    return time.perf_counter() - began
