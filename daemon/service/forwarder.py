"""Sends what this computer has found to the history that several computers share."""

import logging
import threading
from collections.abc import Callable
from typing import Self

from antifake.daemon.store import Store, StoreError, outbox
from antifake.daemon.store.server import SharedStore

log = logging.getLogger(__name__)

IDLE_S = 30.0
"""How often it looks although nobody has said that there is something."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Between two attempts while the server is away; each pause is twice the one before."""


class Forwarder:
    """A context manager. Inside it a thread delivers, if the history is a shared one."""

    def __init__(self, store: Store, on_change: Callable[[], None]) -> None:
        """`on_change` is called when the server goes away or is back."""
        self._store, self._on_change = store, on_change
        self._is_closing = threading.Event()
        self._pause_s = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if isinstance(self._store, SharedStore):
            self._thread = threading.Thread(
                target=self._run, args=[self._store], name="forwarder", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What has not been sent waits for the next start."""
        self._is_closing.set()
        self._store.post()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self, store: SharedStore) -> None:
        while not self._is_closing.is_set():
            store.has_more.clear()
            self.step(store)
            if self._pause_s:
                self._is_closing.wait(self._pause_s)
            else:
                store.has_more.wait(IDLE_S)
        if not self._pause_s:
            self.step(store)  # what came last

    def step(self, store: SharedStore) -> None:
        """Delivers once, and decides how long to wait."""
        try:
            if self._pause_s or store.trouble:
                store.connect()
            n = outbox.deliver(store)
        except StoreError as error:
            if not self._pause_s:
                log.warning("checks wait until the history can be reached: %s", error)
                self._on_change()
            self._pause_s = min(2 * self._pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        except Exception:  # a bug must not end the sending for good
            log.exception("checks could not be sent")
            self._pause_s = LONGEST_PAUSE_S
        else:
            if self._pause_s:
                log.info("the history can be reached again; %d checks were sent", n)
                self._on_change()
            self._pause_s = 0.0
