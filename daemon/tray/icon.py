"""The icon: a thin layer over pystray, and the one thread that paints it.

On Linux and Windows any thread may change an icon; on macOS only the main thread may.
"""

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from antifake.core.i18n import _, ngettext

from .actions import Actions
from .backend import Toolkit, has_x11_panel
from .drawing import DARK, Mode, icon_image
from .notifications import Note
from .view_model import Recent, View, ViewModel, judgements

log = logging.getLogger(__name__)

SIDE = 64
"""Side in pixels of the image that a panel gets, which scales it down."""
SIDES = (16, 22, 24, 32, 48, 64)
"""Sides of the images that a panel over D-Bus gets, which takes the one that fits."""
_LOOK_S = 2.0
"""How often to look for changes without an event: a snooze that ends, a panel that is gone."""


class TrayIcon:
    """One icon, from run() to stop(). A panel that comes back needs a new one."""

    def __init__(
        self, toolkit: Toolkit, view_model: ViewModel, actions: Actions, leave: Callable[[], None]
    ) -> None:
        self._toolkit, self._view_model, self._actions, self._leave = (
            toolkit,
            view_model,
            actions,
            leave,
        )
        self._ready, self._end = threading.Event(), threading.Event()
        self._is_shown = True
        """False after a failure, so that it is tried again."""
        image = self._image("offline")
        self._icon = toolkit.icon("antifake", image, "antifake", self._menu())
        if self._is_xorg:
            _mend_xorg(self._icon)
        # pystray logs tracebacks when a panel ends, and the user can do nothing about that.
        logging.getLogger("pystray").setLevel(logging.CRITICAL)

    @property
    def _is_xorg(self) -> bool:
        return self._toolkit.name == "xorg"

    def _image(self, mode: Mode) -> Any:
        """Returns the image that the backend takes, or over D-Bus images."""
        if self._toolkit.name == "dbus":
            return [icon_image(mode, side) for side in SIDES]
        # The X11 backend has no transparency.
        return icon_image(mode, SIDE, DARK if self._is_xorg else None)

    def run(self) -> None:
        """Show the icon until stop(), or until its panel ends. Call this in the main thread."""
        threading.Thread(target=self._paint, name="tray-painter", daemon=True).start()
        try:
            self._icon.run(setup=lambda _icon: self._ready.set())
        except RuntimeError as error:
            # The GTK backend ends like this on a desktop without a notification service.
            log.debug("the icon's loop ended: %s", error)
        finally:
            self._end.set()
            if not self._ready.is_set():
                # Otherwise the threads that wait for this would keep the process alive.
                self._ready.set()
                with suppress(Exception):
                    self._icon._mark_ready()  # noqa: SLF001

    def stop(self) -> None:
        self._end.set()
        with suppress(Exception):  # errors of the backend no longer matter here
            self._icon.stop()

    def notify(self, note: Note) -> None:
        """Show a notification by the backend's means, which know no buttons and no pictures."""
        if self._ready.is_set() and self._icon.HAS_NOTIFICATION:
            self._safely(lambda: self._icon.notify(note.text, note.title))

    # --- Painting -----------------------------------------------------------------------------

    def _paint(self) -> None:
        self._ready.wait()
        shown: tuple[View, bool] | None = None
        while not self._end.is_set():
            view = self._view_model.changed(shown[0] if shown else None, _LOOK_S)
            wanted = (view, self._view_model.is_snoozed)
            if wanted != shown or not self._is_shown or self._has_lost_its_panel():
                shown = wanted
                self._safely(partial(self._show, view))

    def _has_lost_its_panel(self) -> bool:
        """Returns whether the icon's panel has ended and another one runs.

        Only on X11 an icon must notice this itself. Showing it again puts it in the new panel.
        """
        is_lost = self._is_xorg and self._icon._systray_manager is None  # noqa: SLF001
        return is_lost and has_x11_panel()

    def _safely(self, paint: Callable[[], None]) -> None:
        """Run `paint`, and keep the painter running if the desktop raises an error."""

        def painted() -> None:
            try:
                paint()
            except Exception as error:  # noqa: BLE001  # each backend fails with errors of its own
                level = logging.WARNING if self._is_shown else logging.DEBUG
                log.log(level, "The icon could not be changed: %s", error)
                self._is_shown = False

        _in_right_thread(painted)

    def _show(self, view: View) -> None:
        self._is_shown = True
        self._icon.icon = self._image(view.mode)
        self._icon.visible = True
        self._icon.title = _("antifake: {state}", state=view.line)
        self._icon.update_menu()

    # --- The menu -----------------------------------------------------------------------------

    def _menu(self) -> Any:
        return self._toolkit.menu(lambda: tuple(self._entries(self._view_model.view)))

    def _entries(self, view: View) -> Iterator[Any]:
        """Yields the state and at most nine entries. They are built again when they change."""
        item, line, do = self._toolkit.item, self._toolkit.menu.SEPARATOR, self._actions
        is_online = view.is_online
        yield item(_plain(view.line), None, enabled=False)
        yield line
        yield item(_("Open history"), do.open_history, default=True)
        yield item(_("Latest pictures"), self._latest(view), enabled=bool(view.recent))
        yield item(_("Check the picture on the clipboard"), do.check_clipboard, enabled=is_online)
        yield line
        if view.is_paused:
            yield item(_("Watch folders again"), do.go_on, enabled=is_online)
        else:
            yield item(_("Pause for an hour"), do.pause, enabled=is_online)
        yield item(
            _("No notifications for an hour"),
            do.snooze,
            checked=lambda _item: self._view_model.is_snoozed,
        )
        yield item(_("Folders…"), do.open_folders, enabled=is_online)
        yield item(_review(view.to_review), do.open_review, enabled=is_online)
        yield line
        if is_online:
            yield item(_("Stop antifake"), do.stop_daemon)
        else:
            yield item(_("Start antifake"), do.start_daemon, enabled=do.can_start)
        yield item(_("Quit this icon"), self._leave)

    def _latest(self, view: View) -> Any:
        item = self._toolkit.item
        if not view.recent:
            return self._toolkit.menu(item(_("None yet"), None, enabled=False))
        return self._toolkit.menu(
            *(item(_plain(one.words), self._about(one)) for one in view.recent)
        )

    def _about(self, one: Recent) -> Any:
        """Returns the menu of one picture: open it, or say what it is."""
        item, name = self._toolkit.item, one.id
        entries = [item(_("Open it"), lambda: self._actions.open_picture(name))]
        if one.label is not None:
            entries.append(self._toolkit.menu.SEPARATOR)
            entries += [item(words, self._sayer(name, label)) for words, label in judgements(one)]
        return self._toolkit.menu(*entries)

    def _sayer(self, name: str, label: str) -> Callable[[], None]:
        return lambda: self._actions.say(name, label)


def _review(n: int) -> str:
    return ngettext("Review a picture…", "Review {n:,} pictures…", n) if n else _("Review…")


def _plain(label: str) -> str:
    """Returns a label that Windows shows as it is: there a single & underlines the next letter."""
    return label.replace("&", "&&") if sys.platform == "win32" else label


def _mend_xorg(icon: Any) -> None:
    """Work around two faults of pystray on X11. Call this in the thread that will run the icon.

    Its window does not subscribe to clicks, so a left click never arrives. And with every change
    it asks the panel to dock it again, upon which some panels drop it.
    """
    x = importlib.import_module("Xlib.X")
    icon._window.change_attributes(  # noqa: SLF001
        event_mask=x.ExposureMask | x.StructureNotifyMask | x.ButtonPressMask
    )
    # pystray reports ready before it has stored its thread.
    icon._thread = threading.current_thread()  # noqa: SLF001
    dock = icon._dock_window  # noqa: SLF001

    def dock_once() -> None:
        if icon._systray_manager is None:  # noqa: SLF001
            dock()

    icon._dock_window = dock_once  # noqa: SLF001


def _in_right_thread(paint: Callable[[], None]) -> None:
    if sys.platform == "darwin":
        with suppress(ImportError):
            importlib.import_module("PyObjCTools.AppHelper").callAfter(paint)
            return
    paint()
