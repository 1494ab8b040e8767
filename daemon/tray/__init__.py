"""The icon beside the clock. It runs in its own process and is an ordinary client of the daemon.

Nothing depends on it. Only this package imports pystray, and only when an icon is to be shown: some
backends open the display as soon as they are imported.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from filelock import FileLock, Timeout

from antifake.core.i18n import _
from antifake.daemon import client
from antifake.daemon.client import DaemonError, understood
from antifake.daemon.instance import AlreadyRunningError
from antifake.daemon.places import Places

from .actions import Actions
from .backend import NoHostError, Toolkit, TrayError, toolkit
from .drawing import Mode, icon_image
from .follower import Follower
from .icon import TrayIcon
from .notifications import LONGEST_TITLE, Note, Press, one_line
from .notifier import Notifier
from .session_bus import BusError, SessionBus, session_bus
from .view_model import ViewModel

__all__ = ["Mode", "NoHostError", "TrayError", "icon_image", "run"]

NO_PANEL = _(
    "No panel here shows the icon yet (on GNOME it needs the AppIndicator extension). It appears "
    "as soon as there is one; everything else in antifake works without it."
)
PANEL_ENDED = _("The panel has closed, and the icon with it; it comes back with the next panel.")
_LOOK_FOR_PANEL_S = 2.0
_END_S = 3.0


def run(
    where: Places,
    say: Callable[[str], None],
    start_daemon: Callable[[], None] | None = None,
    *,
    panel_within_s: float = 5.0,
) -> None:
    """Show icon and notifications until the user quits. Call this in the main thread.

    `say` gets sentences for the user. `start_daemon` is called if no daemon is running; without
    it the icon waits for one. If there is no panel within `panel_within_s`, the user is told so,
    and the icon comes when a panel does.

    Raises TrayError if there can be no icon, AlreadyRunningError if one is shown already.
    """
    with _single_instance(where), session_bus() as bus, ExitStack() as parts:
        view_model, stop = ViewModel(time.monotonic), threading.Event()
        parts.callback(stop.set)

        def pressed(note: Note, press: Press) -> None:
            actions.press(note, press)

        notifier = _notifier(bus, where, view_model, pressed, parts)
        corrected = None if notifier is None else notifier.withdraw
        follower = Follower(lambda: client.find(where), view_model, corrected=corrected)
        actions = Actions(lambda: client.need(where), view_model, start_daemon, follower.hurry)
        tray = _Tray(bus, stop, say, lambda kit, leave: TrayIcon(kit, view_model, actions, leave))
        first = tray.panel(panel_within_s)
        show = tray.notify if notifier is None else notifier.show
        _thread("tray-follower", follower.run, stop)
        _thread("tray-notifier", _notify, view_model, stop, show)
        if start_daemon is not None and client.find(where) is None:
            actions.start_daemon()
        tray.run(first)


def _thread(name: str, work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name=name, daemon=True).start()


def _notify(view_model: ViewModel, stop: threading.Event, show: Callable[[Note], None]) -> None:
    while not stop.is_set():
        for note in view_model.notes(_LOOK_FOR_PANEL_S):
            show(note)


class _Pictures:
    def __init__(self, where: Places, view_model: ViewModel) -> None:
        self._where, self._view_model = where, view_model

    def thumbnail(self, name: str) -> bytes | None:
        if self._view_model.shows_pictures:
            with suppress(DaemonError), understood():
                return client.need(self._where).thumbnail(name)
        return None

    def verdict(self, name: str) -> str:
        """Returns "" for a check that is gone."""
        with suppress(DaemonError), understood():
            return one_line(client.need(self._where).show(name)["summary"], LONGEST_TITLE)
        return ""


def _notifier(
    bus: SessionBus | None,
    where: Places,
    view_model: ViewModel,
    press: Callable[[Note, Press], None],
    parts: ExitStack,
) -> Notifier | None:
    """Returns what shows notifications over D-Bus until `parts` end. None without a bus."""
    if bus is None:
        return None
    notifier = Notifier(bus, press, _Pictures(where, view_model), view_model.set_inhibited)
    try:
        parts.enter_context(notifier.listening())
    except BusError:
        return None
    return notifier


class _Tray:
    """The icon, in one panel after the other."""

    def __init__(
        self,
        bus: SessionBus | None,
        stop: threading.Event,
        say: Callable[[str], None],
        new_icon: Callable[[Toolkit, Callable[[], None]], TrayIcon],
    ) -> None:
        self._bus, self._stop, self._say, self._new_icon = bus, stop, say, new_icon
        self._icon: TrayIcon | None = None
        self._said: set[str] = set()

    def panel(self, within_s: float) -> Toolkit | None:
        """Returns what suits the panel here. None if there is a screen without a panel.

        Raises TrayError.
        """
        try:
            return toolkit(self._bus, within_s)
        except NoHostError:
            return None

    def run(self, first: Toolkit | None) -> None:
        """Show the icon until `stop`. When its panel ends it is shown in the next panel.

        Raises TrayError.
        """
        with _leaving_at_sigterm(self._leave):
            found = first
            if found is None:
                self._say_once(NO_PANEL)
            while not self._stop.is_set():
                found = found or self._next_panel()
                if found is not None:
                    self._show(found)
                    found = None
                    if not self._stop.is_set():
                        self._say_once(PANEL_ENDED)

    def notify(self, note: Note) -> None:
        """Show a notification without a session bus: as Windows and macOS do."""
        if self._icon is not None:
            self._icon.notify(note)

    def _next_panel(self) -> Toolkit | None:
        """Wait for a panel. Returns None at `stop`. Raises TrayError without a screen."""
        while not self._stop.wait(_LOOK_FOR_PANEL_S):
            if (found := self.panel(0)) is not None:
                return found
        return None

    def _show(self, kit: Toolkit) -> None:
        if kit.why_no_menu:
            self._say_once(
                _(
                    "A click on the icon opens the history. {why_no_menu}",
                    why_no_menu=kit.why_no_menu,
                )
            )
        self._icon = self._new_icon(kit, self._leave)
        if not self._stop.is_set():
            self._icon.run()

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)

    def _leave(self) -> None:
        self._stop.set()
        if self._icon is not None:
            self._icon.stop()


@contextmanager
def _single_instance(where: Places) -> Iterator[None]:
    where.make()
    lock = FileLock(where.state / "tray.lock", mode=0o600)
    try:
        lock.acquire(timeout=0.5)
    except Timeout:
        raise AlreadyRunningError(_("antifake's icon is already there.")) from None
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
