"""What a child process sets itself: limits of memory and time, and its end with its parent.

Imports nothing of the core.
"""

import math
import os
import signal
import sys
import time
from contextlib import suppress


def limit_memory(n_bytes: int) -> None:
    """Limits the address space of this process, and disables core files, which hold pictures."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has none; there the deadline is all

        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_AS, n_bytes)


def limit_time(cpu_s: float | None) -> None:
    """Limits what this process computes for one picture, in case the parent is dead.

    It is twice what the parent allows (see child_process.Deadline), which is to be the first: it
    can say why. Both count the processor time of all threads; AVIF and HEIC use several. None: no
    limit.
    """
    if sys.platform != "win32" and cpu_s is not None:
        import resource  # noqa: PLC0415

        _lower(resource.RLIMIT_CPU, math.ceil(time.process_time() + 2 * cpu_s))


def end_with(parent: int) -> None:
    """Lets Linux kill this process when the thread that started it ends, also while it is stopped.

    Elsewhere a child sees that its parent is gone once it runs and reads from the pipe.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - only where it is used

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


def _lower(limit: int, value: int) -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415

        _, hard = resource.getrlimit(limit)
        # macOS refuses some memory limits.
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, hard))
