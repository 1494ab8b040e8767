"""Where watchdog's threads leave the paths of their events until the tree watcher takes them.

Those threads must stay fast and alive: a slow answer would lose events, and an exception would
end the watching. So nothing is read or asked here, and nothing is raised.
"""

import os
import threading
from dataclasses import dataclass, field

from watchdog.events import FileSystemEvent, FileSystemEventHandler

MAX_PATHS = 10_000
"""Beyond this, a walk finds all files as well, and takes no memory."""
_KINDS = frozenset(["created", "modified", "closed", "moved", "deleted"])
"""Not "opened" and "closed_no_write": our own reading causes them, and every file would be read
again and again."""


@dataclass
class EventBatch:
    """The events since the last batch."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    """Folders that appeared or disappeared with everything in them."""
    has_moves: bool = False
    """A folder was renamed."""
    is_lossy: bool = False
    """There were more events than these."""


class EventBuffer(FileSystemEventHandler):
    """Filled by watchdog's thread, emptied by the tree watcher's."""

    def __init__(self, wakeup: threading.Event) -> None:
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._batch = EventBatch()

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            self._note(event)
        except Exception:  # noqa: BLE001 - nothing may end watchdog's thread
            self._batch.is_lossy = True

    def take(self) -> EventBatch:
        with self._lock:
            taken, self._batch = self._batch, EventBatch()
        return taken

    def _note(self, event: FileSystemEvent) -> None:
        if event.event_type not in _KINDS:
            return
        with self._lock:
            self._batch.has_moves |= event.is_directory and event.event_type == "moved"
            for path in filter(None, map(os.fsdecode, (event.src_path, event.dest_path))):
                self._add(path, is_folder=event.is_directory)
        self._wakeup.set()

    def _add(self, path: str, *, is_folder: bool) -> None:
        if len(self._batch.files) + len(self._batch.folders) >= MAX_PATHS:
            self._batch.is_lossy = True
        elif is_folder:
            self._batch.folders.add(path)
        else:
            self._batch.files.add(path)
