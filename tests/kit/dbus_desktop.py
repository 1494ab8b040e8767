"""The two programs of a desktop that an icon and notifications need, on a private session bus.

`Panel` is a StatusNotifierWatcher with a host, `NotificationServer` a service for notifications.
Both answer from a thread of their own.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, TypeVar

from dbus_fast import Message, MessageType, NameFlag, PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import (
    DBusBool,
    DBusDict,
    DBusInt32,
    DBusSignature,
    DBusStr,
    DBusUInt32,
)
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from kit.pace import within
from kit.waiting import eventually
from PIL import Image

T = TypeVar("T")
Words = Annotated[list[str], DBusSignature("as")]
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
WATCHER = "org.kde.StatusNotifierWatcher"
NOTIFICATIONS = "org.freedesktop.Notifications"
SAVER = "org.freedesktop.ScreenSaver"


class Peer:
    """A program on the bus. A context manager."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.bus = self.run(self._connected())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.bus.disconnect)
        self.run(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(within(5))
        self._loop.close()

    async def _connected(self) -> MessageBus:
        return await MessageBus(bus_address=self._address).connect()

    async def _ended(self) -> None:
        await self.bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within(20))

    def soon(self, do: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(do)

    def take_name(self, name: str) -> None:
        """Takes the name also from a program that has it."""
        flags = NameFlag.DO_NOT_QUEUE | NameFlag.REPLACE_EXISTING | NameFlag.ALLOW_REPLACEMENT
        self.run(self.bus.request_name(name, flags))

    def call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        """Returns the body of the answer. An error is an AssertionError."""
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        answer = self.run(self.bus.call(message))
        assert answer is not None
        assert answer.message_type is MessageType.METHOD_RETURN, (answer.error_name, answer.body)
        return list(answer.body)

    def signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        """Sends a signal to everyone."""
        message = Message.new_signal(path, interface, member, signature, list(body))
        self.soon(lambda: self.bus.send(message))

    def ping(self) -> None:
        """Returns once the bus has everything that was sent before."""
        bus = "org.freedesktop.DBus"
        self.call(bus, "/org/freedesktop/DBus", bus, "GetId")


class _Watcher(ServiceInterface):
    def __init__(self, registered: Callable[[str], None], has_host: bool) -> None:
        super().__init__(WATCHER)
        self._registered, self._has_host = registered, has_host

    @dbus_method("RegisterStatusNotifierItem")
    def register_item(self, service: DBusStr) -> None:
        self._registered(service)

    @dbus_property(PropertyAccess.READ, "IsStatusNotifierHostRegistered")
    def is_host_registered(self) -> DBusBool:
        return self._has_host


@dataclass(frozen=True)
class MenuEntry:
    """One line of a menu, as a panel shows it."""

    number: int
    label: str
    """Empty for a separator."""
    is_enabled: bool
    is_checked: bool | None
    children: tuple["MenuEntry", ...]


class Panel(Peer):
    """A panel. `heard` has the signals of its icons, by their names."""

    def __init__(self, address: str, *, has_host: bool = True) -> None:
        super().__init__(address)
        self._has_host = has_host
        self.items: list[str] = []
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        super().__enter__()
        self.bus.export("/StatusNotifierWatcher", _Watcher(self.items.append, self._has_host))
        rule = "type='signal',path='/StatusNotifierItem'"
        bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
        self.call(*bus, "AddMatch", "s", rule)
        self.call(*bus, "AddMatch", "s", "type='signal',path='/MenuBar'")
        self.bus.add_message_handler(self._hear)
        self.take_name(WATCHER)
        return self

    def drop_name(self) -> None:
        self.run(self.bus.release_name(WATCHER))

    def _hear(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.interface in (ITEM, MENU):
            self.heard.append(str(message.member))

    @property
    def item(self) -> str:
        """The bus name of the icon, once there is one."""
        return eventually(lambda: self.items[-1] if self.items else None)

    def about(self, name: str) -> Any:
        """Returns a property of the icon."""
        properties = "org.freedesktop.DBus.Properties"
        found = self.call(self.item, "/StatusNotifierItem", properties, "Get", "ss", ITEM, name)
        return found[0].value

    def pixmaps(self) -> dict[int, Image.Image]:
        """Returns the pictures of the icon, by their side in pixels."""
        return {
            width: from_argb(width, height, data)
            for width, height, data in self.about("IconPixmap")
        }

    def click(self, member: str = "Activate") -> None:
        self.call(self.item, "/StatusNotifierItem", ITEM, member, "ii", 0, 0)

    def menu(self) -> tuple[MenuEntry, ...]:
        path = self.about("Menu")
        _, root = self.call(self.item, path, MENU, "GetLayout", "iias", 0, -1, [])
        return _entry(root).children

    def labels(self) -> list[str]:
        return [entry.label for entry in self.menu() if entry.label]

    def choose(self, *labels: str) -> None:
        """Clicks the entry with the last of these labels, below those before it."""
        entries, found = self.menu(), None
        for label in labels:
            found = next(one for one in entries if one.label == label)
            entries = found.children
        assert found is not None
        assert found.is_enabled
        self.send(found.number)

    def send(self, number: int, event: str = "clicked") -> None:
        self.call(
            self.item, self.about("Menu"), MENU, "Event", "isvu", number, event, Variant("i", 0), 0
        )


def _entry(layout: list[Any]) -> MenuEntry:
    number, properties, children = layout
    about = {name: value.value for name, value in properties.items()}
    return MenuEntry(
        number,
        about.get("label", "").replace("__", "_"),
        about.get("enabled", True),
        bool(about["toggle-state"]) if "toggle-type" in about else None,
        tuple(_entry(child.value) for child in children),
    )


def from_argb(width: int, height: int, data: bytes) -> Image.Image:
    alpha, red, green, blue = Image.frombytes("RGBA", (width, height), bytes(data)).split()
    return Image.merge("RGBA", (red, green, blue, alpha))


@dataclass
class Notification:
    """What a program wants to be shown."""

    number: int
    replaces: int
    title: str
    text: str
    buttons: dict[str, str]
    """Words by action; "default" is a click on the notification itself."""
    hints: dict[str, Any] = field(repr=False)

    @property
    def picture(self) -> Image.Image | None:
        if "image-data" not in self.hints:
            return None
        width, height, row, has_alpha, bits, channels, data = self.hints["image-data"]
        assert (has_alpha, bits, channels) == (False, 8, 3)
        assert row == 3 * width
        return Image.frombytes("RGB", (width, height), bytes(data))


class _Service(ServiceInterface):
    def __init__(self, capabilities: list[str], shown: Callable[[Notification], None]) -> None:
        super().__init__(NOTIFICATIONS)
        self._capabilities, self._shown = capabilities, shown
        self._last = 0
        self.withdrawn: list[int] = []
        self.is_inhibited = False

    @dbus_method("GetCapabilities")
    def get_capabilities(self) -> Words:
        return self._capabilities

    @dbus_method("GetServerInformation")
    def get_server_information(
        self,
    ) -> Annotated[tuple[str, str, str, str], DBusSignature("ssss")]:
        return "a test", "antifake", "1", "1.2"

    @dbus_method("Notify")
    def notify(
        self,
        _app: DBusStr,
        replaces: DBusUInt32,
        _icon: DBusStr,
        title: DBusStr,
        text: DBusStr,
        actions: Words,
        hints: DBusDict,
        _expires: DBusInt32,
    ) -> DBusUInt32:
        self._last += 1
        number = replaces or self._last
        buttons = dict(zip(actions[::2], actions[1::2], strict=True))
        values = {name: value.value for name, value in hints.items()}
        self._shown(Notification(number, replaces, title, text, buttons, values))
        return number

    @dbus_method("CloseNotification")
    def close_notification(self, number: DBusUInt32) -> None:
        self.withdrawn.append(number)
        self.notification_closed(number, 3)

    @dbus_signal("ActionInvoked")
    def action_invoked(
        self, number: int, action: str
    ) -> Annotated[tuple[int, str], DBusSignature("us")]:
        return number, action

    @dbus_signal("NotificationClosed")
    def notification_closed(
        self, number: int, reason: int
    ) -> Annotated[tuple[int, int], DBusSignature("uu")]:
        return number, reason

    @dbus_property(PropertyAccess.READ, "Inhibited")
    def inhibited(self) -> DBusBool:
        return self.is_inhibited


ABLE = ("actions", "body", "body-markup")


class NotificationServer(Peer):
    """A service that shows notifications. `shown` has all that it was asked for."""

    def __init__(self, address: str, capabilities: tuple[str, ...] = ABLE) -> None:
        super().__init__(address)
        self.shown: list[Notification] = []
        self._service = _Service(list(capabilities), self.shown.append)

    def __enter__(self) -> Self:
        super().__enter__()
        self.bus.export("/org/freedesktop/Notifications", self._service)
        self.take_name(NOTIFICATIONS)
        return self

    @property
    def withdrawn(self) -> list[int]:
        """The numbers of the notifications that their program has closed."""
        return self._service.withdrawn

    def titled(self, title: str) -> Notification:
        """Waits for a notification with that title. Returns the last one."""
        return eventually(
            lambda: next((one for one in reversed(self.shown) if one.title == title), None), 60
        )

    def press(self, notification: Notification, action: str) -> None:
        """Presses a button, upon which the notification is closed, as most services do."""
        assert action in notification.buttons
        self.soon(lambda: self._service.action_invoked(notification.number, action))
        self.close(notification)

    def close(self, notification: Notification) -> None:
        self.soon(lambda: self._service.notification_closed(notification.number, 2))

    def inhibit(self, is_inhibited: bool) -> None:
        """Switches "do not disturb" on or off."""
        self._service.is_inhibited = is_inhibited
        self.soon(lambda: self._service.emit_properties_changed({"Inhibited": is_inhibited}))


class _Saver(ServiceInterface):
    def __init__(self, is_active: bool) -> None:
        super().__init__(SAVER)
        self._is_active = is_active

    @dbus_method("GetActive")
    def get_active(self) -> DBusBool:
        return self._is_active


class ScreenSaver(Peer):
    """What knows whether the screen is locked."""

    def __init__(self, address: str, is_active: bool) -> None:
        super().__init__(address)
        self._is_active = is_active

    def __enter__(self) -> Self:
        super().__enter__()
        self.bus.export("/org/freedesktop/ScreenSaver", _Saver(self._is_active))
        self.take_name(SAVER)
        return self
