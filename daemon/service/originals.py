"""Finds the file of a picture again, where the history says that it is.

Clients name a check, never a path. A file counts as the picture only if its bytes still have the
hash that was judged, so no other file can be read this way, whatever lies at its path now.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from antifake.core import AntifakeError
from antifake.core.files import open_no_link
from antifake.core.first_bytes import SUFFIXES
from antifake.core.images import MAX_BYTES
from antifake.daemon.store.history import Entry

from .file_hashes import FileHashes, is_same

Trouble = Literal["unnamed", "gone", "no_access", "too_large", "changed"]
"""Why there is no original: the history has no path, or what is wrong with the file at it. The
later ones tell more, if there are several paths."""
_TELLING: Sequence[Trouble] = ("unnamed", "gone", "no_access", "too_large", "changed")


class NoOriginalError(AntifakeError):
    status = 404
    code = "no_original"


@dataclass(frozen=True)
class Original:
    """What was found. Either `path` is set, and `data` if it was asked for, or `trouble`."""

    path: Path | None = None
    data: bytes | None = None
    trouble: Trouble | None = None


def find(
    entry: Entry, folders: Iterable[Path], hashes: FileHashes, *, with_data: bool = True
) -> Original:
    """Returns the file of a picture, from the latest of its places where it still is.

    `folders` are the watched ones. Links inside of them are not followed.
    """
    trouble: Trouble = "unnamed"
    roots = list(folders)
    for path in paths(entry):
        found = _read(path, roots, hashes, with_data=with_data)
        if isinstance(found, _File) and found.sha256 == entry.check.sha256:
            return Original(path, found.data)
        problem = "changed" if isinstance(found, _File) else found
        trouble = max(trouble, problem, key=_TELLING.index)
    return Original(trouble=trouble)


def paths(entry: Entry) -> list[Path]:
    """Returns the places of a picture that are files, the latest first."""
    found = dict.fromkeys(seen.path for seen in entry.occurrences if seen.path)
    return [Path(path) for path in found if os.path.isabs(path) and "\0" not in path]  # noqa: PTH117


def present(entry: Entry, folders: Iterable[Path]) -> Path | None:
    """Returns where a file still is, whatever its bytes are now. None if nowhere."""
    roots = list(folders)
    return next((path for path in paths(entry) if _is_there(path, roots)), None)


def is_named_like_a_picture(path: Path) -> bool:
    """Whether the system opens a file of this name with a viewer, and runs no program."""
    return path.suffix.lower() in SUFFIXES


def _is_there(path: Path, roots: list[Path]) -> bool:
    try:
        return _is_in_place(path, roots) and stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class _File:
    sha256: str
    data: bytes | None


def _read(path: Path, roots: list[Path], hashes: FileHashes, *, with_data: bool) -> _File | Trouble:
    try:
        if not _is_in_place(path, roots):
            return "gone"
        with open(path, "rb", opener=open_no_link) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return "gone"
            if info.st_size > MAX_BYTES:
                return "too_large"
            return _contents(file, path, hashes, with_data=with_data)
    except FileNotFoundError:
        return "gone"
    except (OSError, ValueError):
        return "no_access"


def _contents(file: IO[bytes], path: Path, hashes: FileHashes, *, with_data: bool) -> _File:
    info = os.fstat(file.fileno())
    sha256 = hashes.of(path, info)
    if sha256 is not None and not with_data:
        return _File(sha256, None)
    data = file.read(info.st_size)
    if not is_same(info, os.fstat(file.fileno())):
        return _File(hashlib.sha256(data).hexdigest(), data)
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    hashes.note(path, info, sha256)
    return _File(sha256, data)


def _is_in_place(path: Path, roots: list[Path]) -> bool:
    """Whether no link between a watched folder and the file leads elsewhere.

    The folder itself may be behind a link, as the user has set it up. A file elsewhere must be no
    link itself. On Windows a share is asked for only in a watched folder: asking tells its server
    who the user is.
    """
    root = next((one for one in roots if path.is_relative_to(one)), None)
    if root is None and str(path).startswith("\\\\"):
        return False
    base = root or path.parent
    return path.resolve() == base.resolve() / path.relative_to(base)
