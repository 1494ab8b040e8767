"""The icon beside the clock. It runs in its own process and is an ordinary client of the daemon.

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

from .actions import Actions
from .backend import NoHostError, TrayError, backend
from .drawing import Mode, icon_image
from .follower import Follower
from .icon import TrayIcon
from .view_model import ViewModel

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
    """Show the icon until the user quits it. Call this in the main thread.

    `say` gets sentences for the user. `start_daemon` is called if no daemon is running; without
    it the icon waits for one. A panel that is still starting is waited for `panel_within_s`.

    Raises TrayError if no icon can be shown, AlreadyRunningError if one is shown already.
    """
    with _single_instance(where):
        pystray = backend(panel_within_s)
        view_model, stop = ViewModel(time.monotonic), threading.Event()
        follower = Follower(lambda: client.find(where), view_model)
        actions = Actions(lambda: client.need(where), view_model, start_daemon, follower.hurry)
        threading.Thread(
            target=follower.run, args=(stop,), name="tray-follower", daemon=True
        ).start()
        if start_daemon is not None and client.find(where) is None:
            actions.start_daemon()
        try:
            _show(lambda leave: TrayIcon(pystray, view_model, actions, leave), stop, say)
        finally:
            stop.set()


def _show(
    new_icon: Callable[[Callable[[], None]], TrayIcon],
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Show an icon until `stop`. When its panel ends it is shown in the next panel.

    Raises TrayError.
    """

    def leave() -> None:
        stop.set()
        icon.stop()

    icon = new_icon(leave)
    with _leaving_at_sigterm(leave):
        if not icon.has_menu:
            say(
                "The icon opens the history and has no menu: for one, install GTK for Python "
                "(on Debian: python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1)."
            )
        icon.run()
        while not stop.is_set():
            say("The panel has ended, and the icon with it; waiting for the next panel.")
            if _panel_is_back(stop):
                icon = new_icon(leave)
                icon.run()


def _panel_is_back(stop: threading.Event) -> bool:
    """Wait for a panel. Returns False at `stop`. Raises TrayError after a while."""
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
def _single_instance(where: Places) -> Iterator[None]:
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
        # Python may call this while the desktop's library holds a lock that a normal exit waits
        # for. An icon has nothing to save.
        late = threading.Timer(_END_S, os._exit, (0,))
        late.daemon = True
        late.start()
        leave()

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
