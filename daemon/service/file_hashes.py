"""Which bytes files have, and which they had a moment ago, so that none is hashed needlessly."""

import hashlib
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from antifake.core.files import CHUNK, open_without_links
from antifake.core.images import MAX_BYTES
from antifake.daemon.store.ledger import Stamp

QUIET_NS = 3_000_000_000
"""A file that changed later than this before it was read may change again with the same time: the
coarsest file systems count in two seconds."""
REMEMBERED_NS = 60_000_000_000
_MOST = 16

_Stamp = tuple[int, int, int, int, int]


class FileHashes:
    """Knows the hashes of files that were read within the last minute. Thread-safe."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Path, _Stamp], tuple[str, int]] = OrderedDict()

    def of(self, path: Path, info: os.stat_result) -> str | None:
        """Returns the SHA-256, in hex, of the bytes of an open file, if it is known."""
        with self._lock:
            sha256, at = self._known.get((path, _stamp(info)), (None, 0))
        return sha256 if 0 <= self._now_ns() - at < REMEMBERED_NS else None

    def note(self, path: Path, info: os.stat_result, sha256: str) -> None:
        """Notes the hash of a file for which `info` was the same before and after it was read."""
        now = self._now_ns()
        if now - max(info.st_mtime_ns, info.st_ctime_ns) < QUIET_NS:
            return
        with self._lock:
            self._known[path, _stamp(info)] = sha256, now
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def hash_of(stamp: Stamp) -> str | None:
    """Returns the SHA-256, in hex, of the file of a stamp.

    None if it cannot be read, is too large for a picture, or is not that file any more.
    """
    digest = hashlib.sha256()
    try:
        with open(stamp.path, "rb", opener=open_without_links) as file:
            if stamp.size > MAX_BYTES or not _is_that(stamp, os.fstat(file.fileno())):
                return None
            for _ in range(0, stamp.size, CHUNK):  # never longer than it was
                digest.update(file.read(CHUNK))
            is_still = _is_that(stamp, os.fstat(file.fileno()))
            return digest.hexdigest() if is_still else None
    except (OSError, ValueError):
        return None


def _is_that(stamp: Stamp, info: os.stat_result) -> bool:
    return stat.S_ISREG(info.st_mode) and Stamp.of(stamp.path, info) == stamp


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file has not changed in between."""
    return _stamp(before) == _stamp(after)


def _stamp(info: os.stat_result) -> _Stamp:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
