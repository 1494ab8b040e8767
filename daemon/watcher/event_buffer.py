"""What watchdog's threads leave for the patrol: paths. They read nothing, ask nobody
and raise nothing: an exception there would end the watching, a slow answer would lose events.
"""

import os
import threading
from dataclasses import dataclass, field

from watchdog.events import FileSystemEvent, FileSystemEventHandler

MOST = 10_000
"""More than so many are no hints any more; a walk finds them all, and takes no memory."""
_KINDS = frozenset(["created", "modified", "closed", "moved", "deleted"])
"""Not "opened" and "closed_no_write": those are our own reading, and whoever answers them judges
every file for ever."""


@dataclass
class Taken:
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    """Folders that came or went, with all that is in them."""
    has_moves: bool = False
    """A folder has another name now."""
    is_lossy: bool = False
    """There were more."""


class Hints(FileSystemEventHandler):
    """Filled by one thread, emptied by another."""

    def __init__(self, bell: threading.Event) -> None:
        self._bell = bell
        self._lock = threading.Lock()
        self._noted = Taken()

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            self._note(event)
        except Exception:  # noqa: BLE001 - whatever it was: it must not end watchdog's thread
            self._noted.is_lossy = True

    def take(self) -> Taken:
        with self._lock:
            taken, self._noted = self._noted, Taken()
        return taken

    def _note(self, event: FileSystemEvent) -> None:
        if event.event_type not in _KINDS:
            return
        with self._lock:
            self._noted.has_moves |= event.is_directory and event.event_type == "moved"
            for path in filter(None, map(os.fsdecode, (event.src_path, event.dest_path))):
                self._add(path, is_folder=event.is_directory)
        self._bell.set()

    def _add(self, path: str, *, is_folder: bool) -> None:
        if len(self._noted.files) + len(self._noted.folders) >= MOST:
            self._noted.is_lossy = True
        elif is_folder:
            self._noted.folders.add(path)
        else:
            self._noted.files.add(path)
