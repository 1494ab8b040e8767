"""Other programs that want a processor all the time."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def busy(programs: int, core: int) -> Iterator[None]:
    """Keeps one core busy with so many programs inside the block."""
    started = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"])
        for _ in range(programs)
    ]
    try:
        for one in started:
            psutil.Process(one.pid).cpu_affinity([core])
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()
