"""Which files of a folder are pictures, and which of them were done before."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
    """What to take from the folders. Globs match the name, or the path below the folder."""

    recursive: bool = False
    include: Sequence[str] = ()
    """Empty: files that are named like pictures, in upper or lower case."""
    exclude: Sequence[str] = ()

    def takes(self, name: str, below: str) -> bool:
        if self.leaves_out(name, below):
            return False
        if self.include:
            return _matches(self.include, name, below)
        return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million times

    def leaves_out(self, name: str, below: str) -> bool:
        """Of a folder: it is not entered at all."""
        return _matches(self.exclude, name, below)


def _matches(globs: Sequence[str], name: str, below: str) -> bool:
    return any(fnmatch(name, glob) or fnmatch(below, glob) for glob in globs)


def pictures(folder: Path, wanted: FileFilter) -> Iterator[Path]:
    """Every wanted file, as the disk lists them: no list of files is sorted or kept in memory.

    Links to folders are not followed, so there are no circles. A folder that
    cannot be read is passed over. Raises UsageError where `folder` itself is none.
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
                    if wanted.recursive and not wanted.leaves_out(entry.name, path):
                        waiting.append((here / entry.name, f"{path}/"))
                elif wanted.takes(entry.name, path):
                    yield here / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def done_before(output: Path) -> set[bytes]:
    """Digests of the paths that a JSONL output has already; its torn last line is cut off.

    Eight bytes a path: a million files are some 60 MB.
    """
    done = set()
    kept = 0
    with output.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                done.add(path_digest(json.loads(line)["path"]))
            except (ValueError, KeyError, TypeError):
                raise UsageError(
                    f"{output} is not the JSONL output of an earlier scan; it was left as it is."
                ) from None
            kept += len(line)
        file.truncate(kept)
    return done


def path_digest(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).digest()
