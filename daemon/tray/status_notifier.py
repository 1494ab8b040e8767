"""An icon in a panel that is reached over D-Bus, after the specification StatusNotifierItem.

It has the part of pystray's interface that the icon needs. The picture itself goes over the bus, in
several sizes, so no file and no icon theme is needed.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

from dbus_fast import PropertyAccess
from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from PIL import Image

from . import dbus_menu
from .session_bus import WATCHER, BusError, SessionBus

log = logging.getLogger(__name__)

PATH = "/StatusNotifierItem"

Pixmap = list[Any]
"""Width, height and pixels [height, width, 4] as bytes, each pixel as alpha, red, green, blue."""
Pixmaps = Annotated[list[Pixmap], DBusSignature("a(iiay)")]
Tooltip = Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]


class Icon:
    """An icon with a menu. Can be used from any thread."""

    HAS_NOTIFICATION = False

    def __init__(
        self, bus: SessionBus, name: str, icon: Sequence[Image.Image], title: str, menu: Any
    ) -> None:
        self._bus, self._name = bus, f"org.kde.StatusNotifierItem-{os.getpid()}-1"
        self._menu = dbus_menu.DBusMenu(self, menu)
        self._item = StatusNotifierItem(name, _pixmaps(icon), title, lambda: menu(self))
        self._ended = threading.Event()
        self.visible = True

    def _set_icon(self, images: Sequence[Image.Image]) -> None:
        pixmaps = _pixmaps(images)
        self._bus.soon(lambda: self._item.show_pixmaps(pixmaps))

    icon = property(fset=_set_icon)

    @property
    def title(self) -> str:
        return self._item.words

    @title.setter
    def title(self, words: str) -> None:
        self._bus.soon(lambda: self._item.show_title(words))

    def update_menu(self) -> None:
        self._bus.soon(self._menu.update)

    def run(self, setup: Callable[["Icon"], None]) -> None:
        """Show the icon until stop(), or until its panel or the bus ends."""
        self._bus.export(PATH, self._item)
        self._bus.export(dbus_menu.PATH, self._menu)
        try:
            with self._bus.watching_owner(WATCHER[0], self._watcher_changed):
                self._bus.take_name(self._name)
                self._register()
                setup(self)
                self._ended.wait()
        except BusError as error:
            log.info("The panel does not take the icon: %s", error)
        finally:
            with suppress(BusError):
                self._bus.drop_name(self._name)
            self._bus.unexport(PATH)
            self._bus.unexport(dbus_menu.PATH)

    def stop(self) -> None:
        self._ended.set()

    def _register(self) -> None:
        self._bus.call(WATCHER, "RegisterStatusNotifierItem", "s", self._name)

    def _watcher_changed(self, owner: str) -> None:
        """A panel that is replaced by another one does not know the icon."""
        if not owner:
            self._ended.set()
        elif not self._ended.is_set():
            threading.Thread(target=self._register_again, name="tray-panel", daemon=True).start()

    def _register_again(self) -> None:
        try:
            self._register()
        except BusError as error:
            log.info("The new panel does not take the icon: %s", error)
            self._ended.set()


class StatusNotifierItem(ServiceInterface):
    """What the panel sees. Use it in the thread of the bus only."""

    def __init__(
        self, name: str, pixmaps: list[Pixmap], words: str, open_it: Callable[[], None]
    ) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._name, self._pixmaps, self.words, self._open = name, pixmaps, words, open_it

    def show_pixmaps(self, pixmaps: list[Pixmap]) -> None:
        if pixmaps != self._pixmaps:
            self._pixmaps = pixmaps
            self.new_icon()

    def show_title(self, words: str) -> None:
        if words != self.words:
            self.words = words
            self.new_title()
            self.new_tool_tip()

    # --- What the panel asks --------------------------------------------------------------------

    @dbus_method("Activate")
    def activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        self._open()

    @dbus_method("SecondaryActivate")
    def secondary_activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        self._open()

    @dbus_method("ContextMenu")
    def context_menu(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """The panel shows the menu by itself."""

    @dbus_method("Scroll")
    def scroll(self, _by: DBusInt32, _orientation: DBusStr) -> None:
        """Scrolling over the icon does nothing."""

    @dbus_property(PropertyAccess.READ, "Category")
    def category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(PropertyAccess.READ, "Id")
    def id(self) -> DBusStr:
        return self._name

    @dbus_property(PropertyAccess.READ, "Title")
    def title(self) -> DBusStr:
        return self.words

    @dbus_property(PropertyAccess.READ, "Status")
    def status(self) -> DBusStr:
        return "Active"

    @dbus_property(PropertyAccess.READ, "WindowId")
    def window_id(self) -> DBusInt32:
        return 0

    @dbus_property(PropertyAccess.READ, "IconName")
    def icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, "IconPixmap")
    def icon_pixmap(self) -> Pixmaps:
        return self._pixmaps

    @dbus_property(PropertyAccess.READ, "OverlayIconName")
    def overlay_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, "AttentionIconName")
    def attention_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, "ToolTip")
    def tool_tip(self) -> Tooltip:
        return ["", [], self.words, ""]

    @dbus_property(PropertyAccess.READ, "ItemIsMenu")
    def item_is_menu(self) -> DBusBool:
        return False

    @dbus_property(PropertyAccess.READ, "Menu")
    def menu(self) -> DBusObjectPath:
        return dbus_menu.PATH

    # --- What the panel is told -----------------------------------------------------------------

    @dbus_signal("NewIcon")
    def new_icon(self) -> None:
        """The picture is another one."""

    @dbus_signal("NewTitle")
    def new_title(self) -> None:
        """The title is another one."""

    @dbus_signal("NewToolTip")
    def new_tool_tip(self) -> None:
        """The words beside the mouse are others."""


def _pixmaps(images: Sequence[Image.Image]) -> list[Pixmap]:
    return [[image.width, image.height, _argb(image)] for image in images]


def _argb(image: Image.Image) -> bytes:
    red, green, blue, alpha = image.convert("RGBA").split()
    return Image.merge("RGBA", (alpha, red, green, blue)).tobytes()
