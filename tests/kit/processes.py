"""Processes seen from outside. Any of them may end between one look and the next."""

from contextlib import suppress

import psutil


def children(pid: int) -> list[psutil.Process]:
    """Those that it started itself, whichever of its threads did."""
    return psutil.Process(pid).children()


def kill_children(pid: int) -> int:
    """As the system does that runs out of memory; gives how many there were."""
    victims = children(pid)
    for victim in victims:
        with suppress(psutil.NoSuchProcess):  # it ended by itself
            victim.kill()
    return len(victims)


def resident(pid: int) -> int:
    """Bytes of memory."""
    return psutil.Process(pid).memory_info().rss
