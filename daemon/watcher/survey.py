"""What a folder holds at the moment when it is to be watched: an inventory by names.

Files whose names say nothing are opened for their first bytes.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from antifake.daemon.config import Folder
from antifake.daemon.store.ledger import Stamp

from .tree import WatchedTree, names_below, trees_of
from .walk import BATCH, entries, is_other


@dataclass(frozen=True)
class Part:
    """A part of the inventory."""

    stamps: list[Stamp]
    """At most BATCH pictures, by their names."""
    others: int
    """Files that were passed over: neither hidden, nor by their names pictures that are wanted."""


def survey(folder: Folder, watched: Iterable[Folder], since_ns: int) -> Iterator[Part]:
    """Lists a folder in parts, which may be empty, so that the caller can stop between two.

    Left out are files that a folder in `watched` accepts, and those created or changed after
    `since_ns` (nanoseconds since 1970): the watcher takes these for new.
    """
    (tree,) = trees_of([folder])
    others = [one for one in trees_of(watched) if _overlap(one.root, tree.root)]
    waiting = [tree.root]
    while waiting:
        folders, pictures, passed_over = _read(tree, waiting.pop())
        waiting += folders
        yield Part([], passed_over)
        left = [path for path in pictures if not any(one.accepts(path) for one in others)]
        for n in range(0, len(left), BATCH):
            yield Part(list(_stamps(left[n : n + BATCH], since_ns)), 0)


def _overlap(one: str, other: str) -> bool:
    return names_below(one, other) is not None or names_below(other, one) is not None


def _read(tree: WatchedTree, folder: str) -> tuple[list[str], list[str], int]:
    others: list[str] = []

    def pass_over(entry: os.DirEntry[str]) -> None:
        if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
            others.append(entry.name)

    folders, accepted = entries(tree, folder, pass_over)
    pictures = [path for path in accepted if not is_other(tree, path)]
    return folders, pictures, len(others) + len(accepted) - len(pictures)


def _stamps(paths: list[str], since_ns: int) -> Iterator[Stamp]:
    for path in paths:
        with suppress(OSError):
            info = os.lstat(path)
            # Copying and moving keep the time of the last change. On Unix they renew ctime, which
            # is the time of creation on Windows.
            if stat.S_ISREG(info.st_mode) and info.st_size and info.st_ctime_ns < since_ns:
                yield Stamp.of(path, info)
