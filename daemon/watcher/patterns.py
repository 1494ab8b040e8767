"""Which files of a watched folder are accepted: one filter for events, folders and walks.

It does not read the disk.

A pattern without / matches a name at any depth: "*.png". A pattern with / matches the whole path
below the folder: * matches within a name, ** any number of names: "private/**". If a folder is
excluded, everything below it is excluded, too.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Self

from antifake.core.walk import SUFFIXES
from antifake.daemon.config import Folder

_UNFINISHED = (".crdownload", ".part", ".partial", ".tmp", ".download", ".opdownload")
"""What browsers append to the name of an unfinished download."""
_ANY = "**"

Names = Sequence[str]
"""A path below the folder, split into names; empty for the folder itself."""
Pattern = tuple[str, ...]


@dataclass(frozen=True)
class PatternFilter:
    """The patterns of one folder's settings."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    recursive: bool = True

    @classmethod
    def of(cls, folder: Folder) -> Self:
        return cls(
            tuple(map(_include_pattern, folder.include)),
            tuple(map(_exclude_pattern, folder.exclude)),
            folder.recursive,
        )

    def accepts(self, names: Names) -> bool:
        """Whether a file of this path is accepted. Whether it exists is not checked."""
        if not names or not self.enters(names[:-1]):
            return False
        name = names[-1]
        if name.startswith(".") or name.lower().endswith(_UNFINISHED):
            return False
        if self._excludes(names):
            return False
        if self.include:
            return any(_matches(names, pattern) for pattern in self.include)
        return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million times

    def enters(self, names: Names) -> bool:
        """Whether files directly in this folder can be accepted."""
        if not names:
            return True
        if not self.recursive or any(map(_is_skipped, names)):
            return False
        return not any(self._excludes(names[: n + 1]) for n in range(len(names)))

    def _excludes(self, names: Names) -> bool:
        return any(_matches(names, pattern) for pattern in self.exclude)


def _is_skipped(folder: str) -> bool:
    # Safari keeps an unfinished download in a folder of this name.
    return folder.startswith(".") or folder.lower().endswith(".download")


def _include_pattern(text: str) -> Pattern:
    pattern = _split(text)
    # "holiday/**" means what is in holiday, not a file of that name.
    return (*pattern, "*") if pattern[-1] == _ANY else pattern


def _exclude_pattern(text: str) -> Pattern:
    pattern = _split(text)
    # If everything in a folder is excluded, the folder itself is: it is not entered.
    return pattern[:-1] if len(pattern) > 1 and pattern[-1] == _ANY else pattern


def _split(text: str) -> Pattern:
    names = [name for name in text.split("/") if name not in ("", ".")] or [_ANY]
    if text.endswith("/"):
        names.append(_ANY)
    if "/" not in text:
        names.insert(0, _ANY)
    # Two ** in a row mean the same as one.
    doubled = (name == _ANY and n > 0 and names[n - 1] == _ANY for n, name in enumerate(names))
    return tuple(name for name, again in zip(names, doubled, strict=True) if not again)


def _matches(names: Names, pattern: Pattern) -> bool:
    """Matches name by name, keeping every position in the pattern that is possible so far."""
    at = _skip_any({0}, pattern)
    for name in names:
        here = {p for p in at if p < len(pattern) and _matches_part(name, pattern[p])}
        at = _skip_any({p if pattern[p] == _ANY else p + 1 for p in here}, pattern)
    return len(pattern) in at


def _matches_part(name: str, part: str) -> bool:
    return part == _ANY or fnmatch(name, part)


def _skip_any(at: set[int], pattern: Pattern) -> set[int]:
    """Adds the positions after each **, which also matches no name at all."""
    return at | {p + 1 for p in at if p < len(pattern) and pattern[p] == _ANY}
