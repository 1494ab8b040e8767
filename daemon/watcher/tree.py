"""The watched folders, put together so that no place is watched twice.

A folder inside another one, or the same folder under two names, makes one ground with it: one
observer, one walk, each file once. A file is wanted if any of its folders wants it; what one
folder excludes, another that holds it as well may still take.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from antifake.daemon.config import Folder

from .patterns import Wanted


@dataclass(frozen=True)
class Place:
    """A watched folder where it really lies."""

    folder: Folder
    root: str
    wanted: Wanted

    def takes(self, path: str) -> bool:
        names = below(self.root, path)
        return names is not None and self.wanted.takes(names)

    def enters(self, path: str) -> bool:
        names = below(self.root, path)
        if names is not None:
            return self.wanted.enters(names)
        return below(path, self.root) is not None  # on the way to it


@dataclass(frozen=True)
class Ground:
    """One tree on the disk, and all the folders that are in it."""

    root: str
    places: tuple[Place, ...]

    @property
    def is_recursive(self) -> bool:
        return self.places[0].wanted.recursive

    @property
    def is_polled(self) -> bool:
        return any(place.folder.polling for place in self.places)

    def takes(self, path: str) -> bool:
        return any(place.takes(path) for place in self.places)

    def enters(self, folder: str) -> bool:
        return any(place.enters(folder) for place in self.places)


def grounds_of(folders: Iterable[Folder]) -> tuple[Ground, ...]:
    """Reads the disk, for links: a link to a folder is watched where it leads to."""
    together: list[list[Place]] = []
    # The outer ones first; of two at one place the recursive one, which decides for both.
    for place in sorted(map(_place, folders), key=lambda p: (len(p.root), not p.wanted.recursive)):
        home = next((places for places in together if _holds(places[0], place)), None)
        if home is None:
            together.append([place])
        else:
            home.append(place)
    return tuple(Ground(places[0].root, tuple(places)) for places in together)


def _holds(outer: Place, inner: Place) -> bool:
    names = below(outer.root, inner.root)
    return names == [] or (names is not None and outer.wanted.recursive)


def _place(folder: Folder) -> Place:
    return Place(folder, os.path.realpath(folder.path), Wanted.by(folder))


def below(root: str, path: str) -> list[str] | None:
    """The names of the way from the one to the other; None where it does not lead there."""
    if path == root:
        return []
    start = root.rstrip(os.sep) + os.sep
    return path.removeprefix(start).split(os.sep) if path.startswith(start) else None  # noqa: PTH206
