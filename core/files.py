"""Reads files up to a limit, writes files atomically, hashes files."""

import errno
import hashlib
import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError
from .i18n import _
from .private_files import make_private

CHUNK = 2**20


def read_capped(path: Path, cap: int, what: str) -> bytes:
    """Returns the bytes of a small, untrusted file; people read `what` it is. Raises ModelError."""
    try:
        if not path.is_file():
            raise ModelError(_("There is no {what} file at {path}.", what=what, path=path))
        size = path.stat().st_size
        if size > cap:
            raise ModelError(
                _(
                    "{name} is {size:,} bytes, too large for a {what}.",
                    name=path.name,
                    size=size,
                    what=what,
                )
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            _("{path} cannot be read: {why}.", path=path, why=error.strerror or error)
        ) from error


def refuse_zip_bomb(data: bytes, cap: int, name: str) -> None:
    """Raises ModelError if an archive says that it unpacks to more than `cap` bytes.

    Raises BadZipFile if it is none.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > cap:
        raise ModelError(
            _(
                "{name} would unpack to {unpacked:,} bytes, which is too much: it is not read.",
                name=name,
                unpacked=unpacked,
            )
        )


def open_no_link(path: str, flags: int) -> int:
    """An opener for open(). It fails for a link, and does not block, as a FIFO would."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


@dataclass(frozen=True)
class PlainFile:
    """A file that is read only if no link leads to it, wherever links are put meanwhile."""

    path: Path
    """Absolute, without links."""


def open_without_links(path: str, flags: int) -> int:
    """An opener for open(). It fails if any part of an absolute path is a link.

    It goes from folder to folder, so that none of them can be swapped between look and open.
    Windows has no such way; making links takes an administrator there.
    """
    if sys.platform == "win32":
        if os.path.realpath(path) != path:
            raise NotADirectoryError(errno.ENOTDIR, path)
        return open_no_link(path, flags)
    *folders, name = path.split(os.sep)  # noqa: PTH206 - a Path is slow
    look = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
    here = os.open(os.sep, look)
    try:
        for folder in filter(None, folders):
            above, here = here, os.open(folder, look, dir_fd=here)
            os.close(above)
        return os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces the content of `path`, or leaves it as it was. Raises OSError."""
    make_private(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def need_space(folder: Path, needed_bytes: int) -> None:
    """Raises ModelError if the disk has less free space."""
    make_private(folder)
    if (free := shutil.disk_usage(folder).free) < needed_bytes:
        raise ModelError(
            _(
                "The model needs {size} in {folder}, and {free} are free.",
                size=megabytes(needed_bytes),
                folder=folder,
                free=megabytes(free),
            )
        )


def megabytes(n_bytes: int) -> str:
    return _("{n:,.0f} MB", n=n_bytes / 1e6)


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Returns the hex digest of a file; `progress` gets the number of bytes of each step."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if progress:
                progress(len(chunk))
    return digest.hexdigest()
