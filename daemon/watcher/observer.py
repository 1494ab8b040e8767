"""watchdog's observer on one tree. It is never repaired: it is replaced, and the tree is walked.

On Linux the kernel's queue of events can overflow. At every such message watchdog sets up all
its watches again, and with many folders it does nothing else from then on. So the message is
kept from it here, and counted.

watchdog also loses folders without an overflow: when a folder is created in one that is just
being renamed, it tries to watch it at the old path, finds nothing, and gets no events from it.
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

from .event_buffer import EventBuffer

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
"""The kernel is asked for no others, so that our own reading does not fill its queue."""
_LIMITS = (errno.ENOSPC, errno.EMFILE)


class Trouble:
    """What went wrong with an observer since it was opened. Written by its threads."""

    def __init__(self) -> None:
        self.overflows = 0
        """How many times events were lost."""
        self.is_incomplete = False
        """Some folders send no events: the computer's limit of watches is reached."""

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
        """The thread that reads events from the kernel."""

        def __init__(self, trouble: Trouble) -> None:
            super().__init__()
            self._trouble = trouble

        def handle_event(self, event: InotifyEvent) -> None:
            if event.is_queue_overflow:
                self._trouble.overflowed()
                return
            try:
                super().handle_event(event)
            except Exception:  # noqa: BLE001 - its list of folders may be wrong now; a new reader has a right one
                self._trouble.overflowed()

        def add_callback(
            self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
        ) -> WatchDescriptor:
            if not os.access(path, os.R_OK):
                # watchdog would go on with watch number -1, which all such folders would share.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            try:
                return super().add_callback(path, mask, callback, id_)
            except OSError as error:
                # For folders inside the tree watchdog ignores this error.
                self._trouble.is_incomplete |= error.errno == errno.ENOSPC
                raise

        def _add_callback(
            self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
        ) -> WatchDescriptor:
            # Like watchdog's own method, without its warning when a folder has been renamed.
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
        """Returns an observer, and the threads that it does not list itself."""
        reader = _Reader(trouble)
        reader.start()
        return _Observer(reader), [reader]

else:
    from watchdog.observers import Observer

    def _observe(trouble: Trouble) -> tuple[BaseObserver, list[threading.Thread]]:  # noqa: ARG001
        return Observer(), []


class TreeObserver:
    """Open from the moment it is made. Raises OSError if that is not possible."""

    def __init__(self, root: str, events: EventBuffer, *, recursive: bool) -> None:
        self.trouble = Trouble()
        self._observer, self._more_threads = _observe(self.trouble)
        try:
            self._observer.schedule(events, root, recursive=recursive, event_filter=_KINDS)
            self._observer.start()
        except BaseException:
            self.close()
            raise

    def threads(self) -> list[threading.Thread]:
        return [self._observer, *self._observer.emitters, *self._more_threads]

    def is_alive(self) -> bool:
        """Whether all of its threads run."""
        return len(self._observer.emitters) > 0 and all(one.is_alive() for one in self.threads())

    def close(self) -> None:
        self._observer.stop()
        with suppress(RuntimeError):  # it was never started
            self._observer.join(timeout=1)


def is_limit(error: OSError) -> bool:
    """Whether the computer allows no more observers or watches."""
    return error.errno in _LIMITS
