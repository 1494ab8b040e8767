"""A picture that browsers cannot show, as a JPEG that they can: made when somebody looks at it.

The file is decoded in a child process (core.preview). What this process turns into JPEG are plain
pixels.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from antifake.core.preview import jpeg, preview

LONGEST = 2_560
"""Pixels of the longer side."""
_QUALITY = 90
_KEPT = 4
_POLL_S = 0.2


class Renditions:
    """Makes one at a time, and keeps the latest in memory. Thread-safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def make(self, sha256: str, data: bytes, is_unwanted: Callable[[], bool]) -> bytes | None:
        """Returns the first frame of a file as JPEG, upright and without metadata.

        Returns None if the file does not decode, or as soon as `is_unwanted` while others are made:
        who leafs through many pictures shall not wait for those that were passed over.
        """
        while not self._turn.acquire(timeout=_POLL_S):
            if is_unwanted():
                return None
        try:
            made = self._kept.get(sha256) or _made(data)
            if made is not None:
                self._kept[sha256] = made
                self._kept.move_to_end(sha256)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return made
        finally:
            self._turn.release()

    def forget(self) -> None:
        """Drops all that is kept."""
        with self._turn:
            self._kept.clear()


def _made(data: bytes) -> bytes | None:
    found = preview(data, LONGEST)
    return None if found is None else jpeg(found, _QUALITY)
