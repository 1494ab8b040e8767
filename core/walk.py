"""Finds the pictures of a folder."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from .errors import UsageError

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".tif",
        ".tiff",
        ".bmp",
        ".avif",
        ".heic",
        ".heif",
    ]
)


@dataclass(frozen=True)
class FileFilter:
    """Which files to take. Globs match the name, or the path below the folder."""

    recursive: bool = False
    include: Sequence[str] = ()
    """If empty, files with a picture's suffix are taken, in upper or lower case."""
    exclude: Sequence[str] = ()

    def takes(self, name: str, below: str) -> bool:
        if self.leaves_out(name, below):
            return False
        if self.include:
            return _matches(self.include, name, below)
        return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million times

    def leaves_out(self, name: str, below: str) -> bool:
        """Returns whether a file is excluded, or a folder is not entered."""
        return _matches(self.exclude, name, below)


def _matches(globs: Sequence[str], name: str, below: str) -> bool:
    return any(fnmatch(name, glob) or fnmatch(below, glob) for glob in globs)


def pictures(
    folder: Path, file_filter: FileFilter, on_other: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Yields every file of a folder that passes the filter, in the order of the disk.

    `on_other` is called for every other file that is neither hidden nor excluded.

    No list of files is kept in memory. Links to folders are not followed, so the walk ends. A
    folder that cannot be read is skipped. Raises UsageError if `folder` itself is not a folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.")
    waiting = [(folder, "")]
    while waiting:
        here, below = waiting.pop()
        with suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                path = f"{below}{entry.name}"
                if _is_folder(entry):
                    if file_filter.recursive and not file_filter.leaves_out(entry.name, path):
                        waiting.append((here / entry.name, f"{path}/"))
                elif file_filter.takes(entry.name, path):
                    yield here / entry.name
                elif not (entry.name.startswith(".") or file_filter.leaves_out(entry.name, path)):
                    on_other()


def has_pictures_below(folder: Path, file_filter: FileFilter) -> bool:
    """Returns whether folders below it hold pictures. Ends at the first one."""
    below = pictures(folder, replace(file_filter, recursive=True))
    return any(path.parent != folder for path in below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
