"""The icon beside the clock: a process of its own and a client of the daemon like any other.

Nothing depends on it. Only this package imports pystray, and only when an icon is to be shown:
pystray opens the display as soon as it is imported.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from antifake.daemon import client
from antifake.daemon.instance import AlreadyRunningError
from antifake.daemon.places import Places

from .actions import Errands
from .backend import NoHostError, TrayError, backend
from .drawing import Mode, icon_image
from .follower import Follower
from .icon import Face
from .view_model import Board

__all__ = ["Mode", "NoHostError", "TrayError", "icon_image", "run"]

_PANEL_COMES_BACK_S = 60.0
_END_S = 3.0


def run(
    where: Places,
    say: Callable[[str], None],
    start_daemon: Callable[[], None] | None = None,
    *,
    panel_within_s: float = 5.0,
) -> None:
    """Show the icon until the person quits it. In the main thread.

    `say` is told what the person should know, in sentences. `start_daemon` is called where no
    daemon is running; without it the icon waits for one. So long a panel may still be starting.

    Raises TrayError where there can be no icon, AlreadyRunningError where there is one.
    """
    with _only_one(where):
        pystray = backend(panel_within_s)
        board, stop = Board(time.monotonic), threading.Event()
        follower = Follower(lambda: client.find(where), board)
        errands = Errands(lambda: client.need(where), board, start_daemon, follower.hurry)
        threading.Thread(
            target=follower.run, args=(stop,), name="tray-follower", daemon=True
        ).start()
        if start_daemon is not None and client.find(where) is None:
            errands.start_daemon()
        try:
            _show(lambda leave: Face(pystray, board, errands, leave), stop, say)
        finally:
            stop.set()


def _show(
    new_face: Callable[[Callable[[], None]], Face],
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """An icon ends with its panel, and comes back with the next one. Raises TrayError."""

    def leave() -> None:
        stop.set()
        face.stop()

    face = new_face(leave)
    with _leaving_at_sigterm(leave):
        if not face.has_menu:
            say(
                "The icon opens the history and has no menu: for one, install GTK for Python "
                "(on Debian: python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1)."
            )
        face.run()
        while not stop.is_set():
            say("The panel has gone and took the icon with it; waiting for the next one.")
            if _panel_is_back(stop):
                face = new_face(leave)
                face.run()


def _panel_is_back(stop: threading.Event) -> bool:
    """False where somebody quits meanwhile. Raises TrayError after a while."""
    end = time.monotonic() + _PANEL_COMES_BACK_S
    while not stop.wait(0.5):
        try:
            backend(0)
        except NoHostError:
            if time.monotonic() > end:
                raise
        else:
            return True
    return False


@contextmanager
def _only_one(where: Places) -> Iterator[None]:
    where.make()
    lock = FileLock(where.state / "tray.lock", mode=0o600)
    try:
        lock.acquire(timeout=0.5)
    except Timeout:
        raise AlreadyRunningError("antifake's icon is shown already.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _leaving_at_sigterm(leave: Callable[[], None]) -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        # Python calls this amid whatever the desktop's library does, which may hold a lock that
        # leaving waits for. An icon has nothing to lose.
        late = threading.Timer(_END_S, os._exit, (0,))
        late.daemon = True
        late.start()
        leave()

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
