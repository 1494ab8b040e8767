"""What is on the disk: one file at a look, or a whole tree, folder by folder.

reconcile() compares a tree with the ledger. The only files that are opened are those whose names
say nothing, for their first bytes.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from antifake.core.first_bytes import begins_as_picture
from antifake.daemon.store.ledger import Stamp

from .sink import Sink
from .tree import WatchedTree

BATCH = 256


def look(path: str) -> Stamp | None:
    """Returns the stamp of the regular file at a path; None for anything else, such as a link.

    Raises OSError if that cannot be found out.
    """
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp.of(path, info) if stat.S_ISREG(info.st_mode) else None


def is_other(tree: WatchedTree, path: str) -> bool:
    """Whether a file that the tree accepts by its path turns out to be no picture."""
    return not tree.is_sure(path) and begins_as_picture(path) is False


def reconcile(
    tree: WatchedTree, start: str, sink: Sink, may_forget: Callable[[], bool]
) -> Iterator[list[str]]:
    """Returns the paths to look at, in batches that are often empty: the caller may pause at each.

    When the disk has been read, `may_forget` is asked. If it returns True, the paths of files
    that are in the ledger and no longer on the disk follow.
    """
    some: list[Stamp] = []
    for stamps in walk(tree, start):
        some += stamps
        if len(some) >= BATCH:
            yield _unknown(tree, sink, some)
            some = []
        else:
            yield []
    yield _unknown(tree, sink, some)
    if may_forget():
        yield from _missing(start, sink)


def _unknown(tree: WatchedTree, sink: Sink, some: list[Stamp]) -> list[str]:
    paths = (stamp.path for stamp in sink.unknown(some))
    return [path for path in paths if not is_other(tree, path)]


def walk(tree: WatchedTree, start: str) -> Iterator[list[Stamp]]:
    """Returns all accepted files that are not empty. Skips folders that cannot be read."""
    # watchdog calls a link to a folder a folder if it arrives inside another folder.
    waiting = [start] if tree.enters(start) and is_reached_without_links(start) else []
    while waiting:
        folders, files = entries(tree, waiting.pop())
        waiting += folders
        names = iter(files)
        while some := list(islice(names, BATCH)):
            yield list(_stamps(some))
        yield []


def is_reached_without_links(folder: str) -> bool:
    """Whether neither the folder nor any folder above it is a link."""
    return os.path.realpath(folder) == folder


def entries(
    tree: WatchedTree, folder: str, on_other: Callable[[os.DirEntry[str]], None] = lambda _: None
) -> tuple[list[str], list[str]]:
    """Returns the folders to enter and the files that the tree accepts. Others go to `on_other`.

    Reads the folder at once: while it is open, its drive cannot be unmounted.
    """
    folders, files = [], []
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if tree.enters(entry.path):
                    folders.append(entry.path)
            elif tree.accepts(entry.path):
                files.append(entry.path)
            else:
                on_other(entry)
    return folders, files


def _stamps(paths: list[str]) -> Iterator[Stamp]:
    for path in paths:
        with suppress(OSError):
            stamp = look(path)
            if stamp is not None and stamp.size:
                yield stamp


def _missing(start: str, sink: Sink) -> Iterator[list[str]]:
    missing = []
    for n, path in enumerate(sink.noted(start)):
        with suppress(OSError):  # it cannot be read, so it may exist
            if look(path) is None:
                missing.append(path)
        if n % BATCH == 0:
            yield []
    # Only after the last row was read: the caller may take hours between two batches, and the
    # database should not be kept open so long.
    yield from (missing[n : n + BATCH] for n in range(0, len(missing), BATCH))
