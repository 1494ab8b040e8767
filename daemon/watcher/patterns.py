"""Which files of a watched folder are wanted: the one matcher for events, for the way down into
folders and for walks, so that what is left out is left out by all of them. Knows no disk.

A pattern without / is for a name at any depth: "*.png". One with / is for the whole path below
the folder; * stays within a name, ** goes over any number of them: "private/**". A folder that
is excluded takes all below it with it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Self

from antifake.core.walk import SUFFIXES
from antifake.daemon.config import Folder

_HALF = (".crdownload", ".part", ".partial", ".tmp", ".download", ".opdownload")
"""What browsers call a file that they are not done with."""
_ANY = "**"

Names = Sequence[str]
"""A path below its folder, name by name; empty is the folder itself."""
Pattern = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What one folder's settings ask for."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    recursive: bool = True

    @classmethod
    def by(cls, folder: Folder) -> Self:
        return cls(
            tuple(map(_included, folder.include)),
            tuple(map(_excluded, folder.exclude)),
            folder.recursive,
        )

    def takes(self, names: Names) -> bool:
        """Whether a file is wanted; whether it is one, and whole, only the disk knows."""
        if not names or not self.enters(names[:-1]):
            return False
        name = names[-1]
        if name.startswith(".") or name.lower().endswith(_HALF):
            return False
        if self._leaves_out(names):
            return False
        if self.include:
            return any(_fits(names, pattern) for pattern in self.include)
        return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million times

    def enters(self, names: Names) -> bool:
        """Whether there can be wanted files right in this folder."""
        if not names:
            return True
        return self.recursive and not any(map(_is_passed_over, names)) and not self._hides(names)

    def _hides(self, names: Names) -> bool:
        return any(self._leaves_out(names[: n + 1]) for n in range(len(names)))

    def _leaves_out(self, names: Names) -> bool:
        return any(_fits(names, pattern) for pattern in self.exclude)


def _is_passed_over(folder: str) -> bool:
    # Safari keeps a file that it is not done with in a folder of this name.
    return folder.startswith(".") or folder.lower().endswith(".download")


def _included(text: str) -> Pattern:
    pattern = _parts(text)
    # "holiday/**" is what is in holiday, not a file of that name.
    return (*pattern, "*") if pattern[-1] == _ANY else pattern


def _excluded(text: str) -> Pattern:
    pattern = _parts(text)
    # All of a folder is the folder: it is not entered at all.
    return pattern[:-1] if len(pattern) > 1 and pattern[-1] == _ANY else pattern


def _parts(text: str) -> Pattern:
    names = [name for name in text.split("/") if name not in ("", ".")] or [_ANY]
    if text.endswith("/"):
        names.append(_ANY)
    if "/" not in text:
        names.insert(0, _ANY)
    # Two ** in a row say no more than one.
    doubled = (name == _ANY and n > 0 and names[n - 1] == _ANY for n, name in enumerate(names))
    return tuple(name for name, again in zip(names, doubled, strict=True) if not again)


def _fits(names: Names, pattern: Pattern) -> bool:
    """Name by name, with all places of the pattern where one can be by then."""
    at = _onward({0}, pattern)
    for name in names:
        here = {p for p in at if p < len(pattern) and _is_like(name, pattern[p])}
        at = _onward({p if pattern[p] == _ANY else p + 1 for p in here}, pattern)
    return len(pattern) in at


def _is_like(name: str, part: str) -> bool:
    return part == _ANY or fnmatch(name, part)


def _onward(at: set[int], pattern: Pattern) -> set[int]:
    """** may stand for no name at all."""
    return at | {p + 1 for p in at if p < len(pattern) and pattern[p] == _ANY}
