"""watchdog, on one tree. It can be started, asked whether it still hears, and closed; it is never
repaired: whoever finds it unwell opens a new one and walks the tree.

On Linux the queue of events in the kernel has an end. watchdog's own answer to a full one is to
set up all watches again at every such message, and with many folders it does nothing else from
then on; so the message is taken from it here, and counted.

It loses folders without a full queue, too: of one that was made in a folder that was just being
moved it has the old path, finds nothing there, and stays deaf to it.
"""

import errno
import os
import sys
import threading
from contextlib import suppress

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import BaseObserver

from .event_buffer import Hints

_KINDS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""The kernel is asked for no others: our own reading must not fill its queue."""
_LIMITS = (errno.ENOSPC, errno.EMFILE)


class Trouble:
    """What an observer of ours met since it was started. Written by its threads."""

    def __init__(self) -> None:
        self.overflows = 0
        """How many times events were lost."""
        self.is_short = False
        """Some folders are not watched: the computer's limit is reached."""

    def overflowed(self) -> None:
        self.overflows += 1


if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchCallback,
        WatchDescriptor,
    )

    class _Reader(InotifyFD):
        """The thread that reads from the kernel."""

        def __init__(self, trouble: Trouble) -> None:
            super().__init__()
            self._trouble = trouble

        def handle_event(self, event: InotifyEvent) -> None:
            if event.is_queue_overflow:
                self._trouble.overflowed()
                return
            try:
                super().handle_event(event)
            except Exception:  # noqa: BLE001 - it knows its folders no longer; a new one will
                self._trouble.overflowed()

        def add_callback(
            self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
        ) -> WatchDescriptor:
            if not os.access(path, os.R_OK):
                # watchdog would go on with a watch of number -1, shared by all such folders.
                raise PermissionError(errno.EACCES, "Permission denied")
            try:
                return super().add_callback(path, mask, callback, id_)
            except OSError as error:
                # Of a folder inside watchdog tells nobody.
                self._trouble.is_short |= error.errno == errno.ENOSPC
                raise

        def _add_callback(
            self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
        ) -> WatchDescriptor:
            # As watchdog's own, which warns where a folder came back under another name.
            watch = self._get_or_create_watch(path, mask)
            watch.callbacks[id_] = callback
            return watch.wd

    class _Observer(BaseObserver):
        def __init__(self, reader: InotifyFD) -> None:
            super().__init__(InotifyEmitter, inotify_fd=reader)
            self._reader = reader

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._reader.stop()
            self._reader.join()

    def _observe(trouble: Trouble) -> tuple[BaseObserver, list[threading.Thread]]:
        """An observer, and the threads that it does not know of itself."""
        reader = _Reader(trouble)
        reader.start()
        return _Observer(reader), [reader]

else:
    from watchdog.observers import Observer

    def _observe(trouble: Trouble) -> tuple[BaseObserver, list[threading.Thread]]:  # noqa: ARG001
        return Observer(), []


class Ear:
    """Hears from the moment it is made. Raises OSError where it cannot be."""

    def __init__(self, root: str, hints: Hints, *, recursive: bool) -> None:
        self.trouble = Trouble()
        self._observer, self._others = _observe(self.trouble)
        try:
            self._observer.schedule(hints, root, recursive=recursive, event_filter=_KINDS)
            self._observer.start()
        except BaseException:
            self.close()
            raise

    def threads(self) -> list[threading.Thread]:
        return [self._observer, *self._observer.emitters, *self._others]

    def is_well(self) -> bool:
        return len(self._observer.emitters) > 0 and all(one.is_alive() for one in self.threads())

    def close(self) -> None:
        self._observer.stop()
        with suppress(RuntimeError):  # it was never started
            self._observer.join(timeout=1)


def is_limit(error: OSError) -> bool:
    return error.errno in _LIMITS
