"""The watched folders, grouped into trees, so that no folder is watched twice.

A folder inside another one, or the same folder under two names, belongs to the same tree: one
observer, one walk, each file once. A file is accepted if any folder of the tree accepts it. What
one folder excludes, another one that contains it may still accept.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from antifake.daemon.config import Folder

from .patterns import PatternFilter


@dataclass(frozen=True)
class ResolvedFolder:
    """A watched folder, with its links resolved."""

    folder: Folder
    root: str
    filter: PatternFilter

    def accepts(self, path: str) -> bool:
        names = names_below(self.root, path)
        return names is not None and self.filter.accepts(names)

    def is_sure(self, path: str) -> bool:
        names = names_below(self.root, path) or []
        return self.filter.accepts(names) and self.filter.is_sure(names)

    def enters(self, path: str) -> bool:
        names = names_below(self.root, path)
        if names is not None:
            return self.filter.enters(names)
        return names_below(path, self.root) is not None  # a folder above it


@dataclass(frozen=True)
class WatchedTree:
    """One tree on the disk, and all the watched folders in it."""

    root: str
    folders: tuple[ResolvedFolder, ...]

    @property
    def is_recursive(self) -> bool:
        return self.folders[0].filter.recursive

    @property
    def is_polled(self) -> bool:
        return any(one.folder.polling for one in self.folders)

    def accepts(self, path: str) -> bool:
        return any(one.accepts(path) for one in self.folders)

    def is_sure(self, path: str) -> bool:
        """Whether a file that is accepted is so whatever its first bytes are."""
        return any(one.is_sure(path) for one in self.folders)

    def enters(self, folder: str) -> bool:
        return any(one.enters(folder) for one in self.folders)


def trees_of(folders: Iterable[Folder]) -> tuple[WatchedTree, ...]:
    """Groups folders. Reads the disk for links: a link to a folder is watched at its target."""
    groups: list[list[ResolvedFolder]] = []
    # Outer folders first. Of two at the same place the recursive one: it decides for both.
    for one in sorted(map(_resolve, folders), key=lambda f: (len(f.root), not f.filter.recursive)):
        group = next((group for group in groups if _contains(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return tuple(WatchedTree(group[0].root, tuple(group)) for group in groups)


def _contains(outer: ResolvedFolder, inner: ResolvedFolder) -> bool:
    names = names_below(outer.root, inner.root)
    return names == [] or (names is not None and outer.filter.recursive)


def _resolve(folder: Folder) -> ResolvedFolder:
    return ResolvedFolder(folder, os.path.realpath(folder.path), PatternFilter.of(folder))


def names_below(root: str, path: str) -> list[str] | None:
    """Returns the names on the way from root to path, or None if path is not below root."""
    if path == root:
        return []
    start = root.rstrip(os.sep) + os.sep
    return path.removeprefix(start).split(os.sep) if path.startswith(start) else None  # noqa: PTH206
