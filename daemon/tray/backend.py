"""Finds out whether this desktop can show icons, and how: over D-Bus, or by a backend of pystray.

pystray opens the display when it is imported, and takes the first backend that can be imported.
That backend need not work here, so this module looks at the desktop first and imports it by name.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

from .gtk import load_gi
from .session_bus import BusError, SessionBus, has_panel

_DBUS = "dbus"
"""Our own backend. All others are pystray's."""


class TrayError(AntifakeError):
    """No icon can be shown. The message says that everything else works."""


class NoHostError(TrayError):
    """There is a screen, but nothing on it shows icons, at least not yet."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "No panel here shows the icon (on GNOME it needs the AppIndicator extension); "
                "everything else in antifake works without it."
            )
        )


@dataclass(frozen=True)
class Surroundings:
    """What a desktop other than Windows and macOS offers."""

    has_screen: bool
    has_x11_panel: bool
    """A panel that embeds windows, as those of many small desktops do."""
    has_bus: bool
    has_notifier_panel: bool
    """A panel that is reached over D-Bus, as those of KDE, XFCE, Cinnamon and MATE are, and that of
    GNOME with its extension."""

    def backends(self) -> list[str]:
        """Returns the usable backends, the best first. Raises TrayError if there is none."""
        if self.has_notifier_panel:
            over_dbus = [_DBUS]
        elif self.has_screen:
            over_dbus = []
        else:
            raise TrayError(
                _(
                    "There is no screen here to show the icon on; everything else in antifake "
                    "works without it."
                )
            )
        # `gtk` has a menu. Without a session bus it does not start.
        with_menu = ["gtk"] if self.has_x11_panel and self.has_bus else []
        found = [*over_dbus, *with_menu, *(["xorg"] if self.has_x11_panel else [])]
        if not found:
            raise NoHostError
        return found


@dataclass(frozen=True)
class Toolkit:
    """The classes that an icon and its menu are made of; pystray's, or of the same form."""

    name: str
    icon: Callable[..., Any]
    menu: Any
    item: Any
    why_no_menu: str = ""
    """A sentence; "" if there is a menu."""


def surroundings(bus: SessionBus | None) -> Surroundings:
    has_x11, has_embedding_panel = _x11()
    has_notifier = False
    if bus is not None:
        with suppress(BusError):
            has_notifier = has_panel(bus)
    is_seen = has_x11 or _has_wayland()
    return Surroundings(is_seen, has_embedding_panel, bus is not None, has_notifier)


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


def _has_wayland() -> bool:
    """Returns whether there is a Wayland session. After its end only the variable is left."""
    name = os.environ.get("WAYLAND_DISPLAY")
    return bool(name) and Path(os.environ.get("XDG_RUNTIME_DIR", "/"), str(name)).exists()


def toolkit(bus: SessionBus | None, within_s: float) -> Toolkit:
    """Returns one that works here. Waits `within_s` for a panel to start.

    Raises TrayError.
    """
    if sys.platform in ("win32", "darwin"):
        return _first_of([sys.platform], bus)
    end = time.monotonic() + within_s
    while True:
        try:
            found = surroundings(bus).backends()
            break
        except NoHostError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.2)
    chosen = os.environ.get("PYSTRAY_BACKEND")
    return _first_of([chosen] if chosen else found, bus)


def _first_of(names: list[str], bus: SessionBus | None) -> Toolkit:
    """Returns the first one that can be imported. Raises TrayError."""
    why = ""
    for name in names:
        try:
            return _toolkit(name, bus)
        except Exception as error:  # noqa: BLE001  # each backend fails with errors of its own
            why = str(error).strip().rstrip(".").replace("\n", " ")
    raise TrayError(
        _(
            "The icon cannot be shown: {why} (on GNOME it needs the AppIndicator extension); "
            "everything else in antifake works without it.",
            why=why,
        )
    )


def _toolkit(name: str, bus: SessionBus | None) -> Toolkit:
    """Raises what the import of the backend raises, which may be anything."""
    pystray = _pystray()
    if name == _DBUS and bus is not None:
        from .status_notifier import Icon  # noqa: PLC0415  # needs dbus-fast

        return Toolkit(name, partial(Icon, bus), pystray.Menu, pystray.MenuItem)
    why_not = load_gi() if name in ("gtk", "appindicator") else ""
    if why_not:
        raise ImportError(why_not)
    icon = importlib.import_module(f"pystray._{name}").Icon
    why = "" if icon.HAS_MENU else _why_no_menu(bus)
    return Toolkit(name, icon, pystray.Menu, pystray.MenuItem, why)


def _pystray() -> Any:
    """Returns pystray without a backend of its choice: its modules are imported by name."""
    former = os.environ.get("PYSTRAY_BACKEND")
    os.environ["PYSTRAY_BACKEND"] = "dummy"
    try:
        return importlib.import_module("pystray")
    finally:
        del os.environ["PYSTRAY_BACKEND"]
        if former is not None:
            os.environ["PYSTRAY_BACKEND"] = former


def _why_no_menu(bus: SessionBus | None) -> str:
    if bus is None:
        return _("It has no menu, because there is no session bus here, which a menu needs.")
    return load_gi() or _("It has no menu, because GTK does not start here.")
