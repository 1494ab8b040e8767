"""Finds the pictures of a folder."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from .errors import UsageError
from .first_bytes import begins_as_picture, is_named_like_picture
from .i18n import _
from .patterns import Names, Pattern, exclude_patterns, include_patterns, matches


@dataclass(frozen=True)
class FileFilter:
    """Which files to take. See core.patterns for what a pattern means."""

    recursive: bool = False
    include: Sequence[str] = ()
    """If empty, pictures are taken: by their names, or by their first bytes."""
    exclude: Sequence[str] = ()

    def takes(self, names: Names) -> bool | None:
        """Returns None if the first bytes of the file decide. Raises UsageError."""
        if self.leaves_out(names):
            return False
        if self.include:
            return _match(names, self._include)
        return is_named_like_picture(names[-1])

    def leaves_out(self, names: Names) -> bool:
        """Returns whether a file is excluded, or a folder is not entered. Raises UsageError."""
        return _match(names, self._exclude)

    @cached_property
    def _include(self) -> tuple[Pattern, ...]:
        return include_patterns(self.include)

    @cached_property
    def _exclude(self) -> tuple[Pattern, ...]:
        return exclude_patterns(self.exclude)


def _match(names: Names, patterns: tuple[Pattern, ...]) -> bool:
    return any(matches(names, pattern) for pattern in patterns)


def pictures(
    folder: Path, file_filter: FileFilter, on_other: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Yields every file of a folder that passes the filter, in the order of the disk.

    `on_other` is called for every other file that is neither hidden nor excluded.

    No list of files is kept in memory. Links to folders are not followed, so the walk ends. A
    folder that cannot be read is skipped. Raises UsageError if `folder` itself is not a folder.
    """
    if not folder.is_dir():
        raise UsageError(_("{folder} is not a folder.", folder=folder))
    waiting: list[tuple[Path, tuple[str, ...]]] = [(folder, ())]
    while waiting:
        here, below = waiting.pop()
        with suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                names = (*below, entry.name)
                if _is_folder(entry):
                    if file_filter.recursive and not file_filter.leaves_out(names):
                        waiting.append((here / entry.name, names))
                elif _is_taken(entry, names, file_filter):
                    yield here / entry.name
                elif not (entry.name.startswith(".") or file_filter.leaves_out(names)):
                    on_other()


def _is_taken(entry: os.DirEntry[str], names: Names, file_filter: FileFilter) -> bool:
    is_taken = file_filter.takes(names)
    if is_taken is None:
        return begins_as_picture(entry.path, follow_links=True) is True
    return is_taken


def has_pictures_below(folder: Path, file_filter: FileFilter) -> bool:
    """Returns whether folders below it hold pictures. Ends at the first one."""
    below = pictures(folder, replace(file_filter, recursive=True))
    return any(path.parent != folder for path in below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
