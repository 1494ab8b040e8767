"""Looks at processes from outside. Any of them may end between two looks."""

from collections.abc import Iterator
from contextlib import suppress

import psutil


def children(pid: int) -> list[psutil.Process]:
    """Returns the processes that any thread of this one started."""
    return psutil.Process(pid).children()


def has_ended(process: psutil.Process) -> bool:
    """Whether it has ended, even if nobody has asked for its exit status."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def kill_children(pid: int) -> int:
    """Kills them, as a system without memory does. Returns how many there were."""
    victims = children(pid)
    for victim in victims:
        with suppress(psutil.NoSuchProcess):  # it ended by itself
            victim.kill()
    return len(victims)


def trainers(pid: int) -> list[psutil.Process]:
    """Returns the processes in which a daemon, or the process of a test, trains."""
    found = []
    for one in children(pid):
        with suppress(psutil.Error):  # it ended by itself
            if "antifake.trainer.personal" in " ".join(one.cmdline()):
                found.append(one)
    return found


def of_extensions(pid: int) -> Iterator[psutil.Process]:
    """Yields the processes in which a Chromium runs extensions: their workers and open pages."""
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it ended by itself
            if "--extension-process" in one.cmdline():
                yield one


def resident(pid: int) -> int:
    """Returns the memory in bytes."""
    return psutil.Process(pid).memory_info().rss
