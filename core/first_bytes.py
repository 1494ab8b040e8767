"""Whether a file is a picture: by its name, or by its first bytes where the name says nothing."""

import os
import re
import stat

from .file_formats import begins_like_picture

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".pjpeg",
        ".pjp",
        ".png",
        ".apng",
        ".webp",
        ".gif",
        ".tif",
        ".tiff",
        ".bmp",
        ".dib",
        ".avif",
        ".avifs",
        ".heic",
        ".heif",
        ".hif",
        ".ico",
        ".cur",
    ]
)
"""In lower case."""
_VAGUE = frozenset(
    [".bin", ".dat", ".file", ".image", ".img", ".large", ".orig", ".original", ".photo", ".pic"]
)
"""Suffixes that servers give to pictures, and programs to anything."""
_KNOWN = re.compile(r"\.(?=.*[a-z])[a-z0-9]+")
"""A suffix as programs have it. Others, as in a.jpg_large, a.jpg!d or a.jpg.1, tell nothing."""

_N_BYTES = 64
_ELSEWHERE = 0x1000 | 0x40000 | 0x400000
"""Windows: offline, recalled when opened, recalled when read."""
_DATALESS = 0x40000000
"""macOS: the same."""


def is_named_like_picture(name: str) -> bool | None:
    """Returns None if the name says nothing.

    >>> [is_named_like_picture(name) for name in ("a.JPG", "a.jpg_large", "a", "a.txt")]
    [True, None, None, False]
    """
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a million times
    if suffix in SUFFIXES:
        return True
    return None if not _KNOWN.fullmatch(suffix) or suffix in _VAGUE else False


def begins_as_picture(path: str, *, follow_links: bool = False) -> bool | None:
    """Returns whether a file is a picture by its first bytes. None if it is empty or gone.

    False, too, if they cannot be read, or only by a download: what is kept in a cloud is left
    there.
    """
    try:
        info = os.stat(path, follow_symlinks=follow_links)  # noqa: PTH116 - a Path is slow
    except FileNotFoundError:
        return None
    except OSError:
        return False
    if not stat.S_ISREG(info.st_mode) or is_kept_elsewhere(info):
        return False
    try:
        start = _start(path, follow_links=follow_links)
    except OSError:
        return False
    return begins_like_picture(start) if start else None


def is_kept_elsewhere(info: object) -> bool:
    """Returns whether reading a file, of this stat result, would download it."""
    attributes = getattr(info, "st_file_attributes", 0)
    flags = getattr(info, "st_flags", 0)
    return bool(attributes & _ELSEWHERE or flags & _DATALESS)


def _start(path: str, *, follow_links: bool) -> bytes:
    """Reads without blocking, should a FIFO be there meanwhile."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_BINARY", "O_CLOEXEC", *(() if follow_links else ("O_NOFOLLOW",))):
        flags |= getattr(os, name, 0)
    file = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return b""
        return os.read(file, _N_BYTES)
    finally:
        os.close(file)
