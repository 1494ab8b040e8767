"""Finds out whether this desktop can show icons, and which of pystray's backends suits it.

pystray opens the display when it is imported, and takes the first backend that can be imported.
That backend need not work here, so this module looks at the desktop first.
"""

import importlib
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from antifake.core.errors import AntifakeError

_ELSE = "everything else of antifake works without it"
_GNOME = "on GNOME it needs the AppIndicator extension"
_WATCHER = "org.kde.StatusNotifierWatcher"


class TrayError(AntifakeError):
    """No icon can be shown. The message says that everything else works."""


class NoHostError(TrayError):
    """There is a screen, but nothing on it shows icons, at least not yet."""

    def __init__(self) -> None:
        super().__init__(f"No panel here shows the icon ({_GNOME}); {_ELSE}.")


@dataclass(frozen=True)
class Surroundings:
    """What a desktop other than Windows and macOS offers."""

    has_screen: bool
    has_x11_panel: bool
    """A panel that embeds windows, as those of XFCE, Cinnamon and many small ones do."""
    has_bus: bool
    has_notifier_panel: bool
    """A panel that is reached over D-Bus, as those of KDE, and of GNOME with its extension."""

    def backends(self) -> list[str]:
        """Returns the usable backends, the best first. Raises TrayError if there is none."""
        if not self.has_screen:
            raise TrayError(f"There is no screen here to show the icon on; {_ELSE}.")
        over_dbus = ["appindicator"] if self.has_notifier_panel else []
        # In such a panel `gtk` gets left clicks. Without a session bus it does not start.
        with_menu = ["gtk"] if self.has_x11_panel and self.has_bus else []
        found = [*over_dbus, *with_menu, *(["xorg"] if self.has_x11_panel else [])]
        if not found:
            raise NoHostError
        return found


def surroundings() -> Surroundings:
    has_x11, has_panel = _x11()
    has_bus, has_notifier = _bus()
    has_screen = has_x11 or bool(os.environ.get("WAYLAND_DISPLAY"))
    return Surroundings(has_screen, has_panel, has_bus, has_notifier)


def has_x11_panel() -> bool:
    return _x11()[1]


def _x11() -> tuple[bool, bool]:
    """Returns whether there is a display, and whether a panel owns its tray selection."""
    try:
        errors = importlib.import_module("Xlib.error")
        display = importlib.import_module("Xlib.display").Display()
    except ImportError:
        return False, False
    except (errors.DisplayError, errors.XauthError, errors.XNoAuthError, OSError):
        return False, False
    try:
        name = f"_NET_SYSTEM_TRAY_S{display.get_default_screen()}"
        return True, bool(display.get_selection_owner(display.intern_atom(name)))
    finally:
        display.close()


def _bus() -> tuple[bool, bool]:
    """Returns whether there is a session bus, and whether a panel is on it.

    Looks only if gi is installed, because no backend can use the bus without it.
    """
    try:
        gio = importlib.import_module("gi.repository.Gio")
        glib = importlib.import_module("gi.repository.GLib")
        bus = gio.bus_get_sync(gio.BusType.SESSION, None)
        name = "org.freedesktop.DBus"
        answer = bus.call_sync(
            name,
            "/org/freedesktop/DBus",
            name,
            "NameHasOwner",
            glib.Variant("(s)", (_WATCHER,)),
            None,
            gio.DBusCallFlags.NONE,
            2000,
            None,
        )
        return True, bool(answer.unpack()[0])
    except (ImportError, RuntimeError):  # GLib's errors are RuntimeErrors
        return False, False


def backend(within_s: float) -> Any:
    """Returns pystray with a backend that works here. Waits `within_s` for a panel to start.

    Raises TrayError.
    """
    if sys.platform in ("win32", "darwin"):
        return _imported([""])
    end = time.monotonic() + within_s
    while True:
        try:
            found = surroundings().backends()
            break
        except NoHostError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.2)
    chosen = os.environ.get("PYSTRAY_BACKEND")
    return _imported([chosen] if chosen else found)


def _imported(names: list[str]) -> Any:
    """Returns pystray with the first backend that can be imported.

    pystray itself tries the next backend only after an ImportError, but a desktop that lacks
    a part of GTK raises a ValueError.
    """
    why = ""
    for name in names:
        if name:
            os.environ["PYSTRAY_BACKEND"] = name
        try:
            return importlib.import_module("pystray")
        except Exception as error:  # noqa: BLE001  # each backend fails with errors of its own
            why = str(error).strip().rstrip(".").replace("\n", " ")
    os.environ.pop("PYSTRAY_BACKEND", None)
    raise TrayError(f"The icon cannot be shown: {why} ({_GNOME}); {_ELSE}.")
