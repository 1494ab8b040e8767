"""What is there: one file at a look, or a whole tree, folder by folder. Nothing is opened.

reconcile() compares a tree with the ledger. Both are the truth about it, where events are only
hints.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from antifake.daemon.store.ledger import Stamp

from .sink import Desk
from .tree import Ground

AT_ONCE = 256


def look(path: str) -> Stamp | None:
    """The regular file of that name, if there is one; links, pipes and devices are none.

    Raises OSError where that cannot be said.
    """
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp.of(path, info) if stat.S_ISREG(info.st_mode) else None


def reconcile(
    ground: Ground, start: str, desk: Desk, may_forget: Callable[[], bool]
) -> Iterator[list[str]]:
    """The paths that want a look, some at a time, often none: at every step the caller may rest.

    `may_forget`, asked when all is read: of files that are in the ledger and not on the disk, too.
    """
    some: list[Stamp] = []
    for stamps in walk(ground, start):
        some += stamps
        if len(some) >= AT_ONCE:
            yield [stamp.path for stamp in desk.unknown(some)]
            some = []
        else:
            yield []
    yield [stamp.path for stamp in desk.unknown(some)]
    if may_forget():
        yield from _missing(start, desk)


def walk(ground: Ground, start: str) -> Iterator[list[Stamp]]:
    """All wanted files that hold something. Folders that cannot be read are passed over."""
    # watchdog calls a link to a folder a folder, where one comes in with another folder.
    waiting = [start] if ground.enters(start) and is_no_link(start) else []
    while waiting:
        folders, files = _entries(ground, waiting.pop())
        waiting += folders
        names = iter(files)
        while some := list(islice(names, AT_ONCE)):
            yield list(_stamps(some))
        yield []


def is_no_link(folder: str) -> bool:
    """Nor is any folder on the way to it: below a root, which is none, all can be said so."""
    return os.path.realpath(folder) == folder


def _entries(ground: Ground, folder: str) -> tuple[list[str], list[str]]:
    """Read at once: a folder that is held open while one waits keeps its drive from unmounting."""
    folders, files = [], []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if ground.enters(entry.path):
                    folders.append(entry.path)
            elif ground.takes(entry.path):
                files.append(entry.path)
    return folders, files


def _stamps(paths: list[str]) -> Iterator[Stamp]:
    for path in paths:
        with suppress(OSError):
            stamp = look(path)
            if stamp is not None and stamp.size:
                yield stamp


def _missing(start: str, desk: Desk) -> Iterator[list[str]]:
    missing = []
    noted = desk.noted(start)
    for n, path in enumerate(noted):
        with suppress(OSError):  # who may not look does not know
            if look(path) is None:
                missing.append(path)
        if n % AT_ONCE == 0:
            yield []
    # Only now, when the database was read to its end: whoever takes them may take hours.
    yield from (missing[n : n + AT_ONCE] for n in range(0, len(missing), AT_ONCE))
