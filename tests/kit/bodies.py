"""Bodies of requests that a daemon in this process has on the disk. Linux only."""

from contextlib import suppress
from pathlib import Path

from kit.daemon import Asked


def bodies_on_disk(daemon: Asked) -> list[int]:
    """Returns the sizes of files of this process that are in no folder any more."""
    found = []
    for name in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            where = str(name.readlink())
            if where.startswith(str(daemon.places.state)) and where.endswith("(deleted)"):
                found.append(name.stat().st_size)
    return found
