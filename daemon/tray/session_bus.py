"""A connection to the desktop's session bus, with an event loop in a thread of its own.

Panels and notification services are reached over this bus. dbus-fast speaks the protocol in Python,
so nothing of the desktop has to be installed beside antifake. Windows and macOS have no such bus
and no dbus-fast, so it is imported when a bus is opened.
"""

import asyncio
import importlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

T = TypeVar("T")
Message = Any
"""A message of dbus-fast."""
Listener = Callable[[Message], None]

WATCHER = (
    "org.kde.StatusNotifierWatcher",
    "/StatusNotifierWatcher",
    "org.kde.StatusNotifierWatcher",
)
"""Where a panel is told of icons: bus name, path and interface."""
NOTIFICATIONS = (
    "org.freedesktop.Notifications",
    "/org/freedesktop/Notifications",
    "org.freedesktop.Notifications",
)
"""Where notifications are shown, in the same form."""
_PATIENCE_S = 5.0
"""How long the bus, a panel or a notification service may take to answer."""
_DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


class BusError(AntifakeError):
    """There is no session bus, or a program on it does not answer."""


class SessionBus:
    """Can be used from any thread but its own.

    Listeners and exported interfaces run in its own thread: they must not wait, and not call().
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="tray-bus", daemon=True)
        self._listeners: list[Listener] = []
        self._at_end: list[Callable[[], None]] = []

    def open(self) -> None:
        """Raises BusError, and ImportError without dbus-fast."""
        importlib.import_module("dbus_fast")
        self._thread.start()
        try:
            self._bus = self._result(self._connected())
        except BaseException:
            self.close()
            raise
        self._bus.add_message_handler(self._hear)
        asyncio.run_coroutine_threadsafe(self._watch_the_end(), self._loop)

    def close(self) -> None:
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_PATIENCE_S)

    # --- Calling others -------------------------------------------------------------------------

    def call(
        self, to: tuple[str, str, str], member: str, signature: str = "", *body: Any
    ) -> Message:
        """Call a method of `to`: bus name, path and interface. Returns the answer.

        Raises BusError.
        """
        from dbus_fast import Message, MessageType  # noqa: PLC0415

        name, path, interface = to
        message = Message(
            destination=name,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        answer = self._result(self._bus.call(message))
        if answer is None or answer.message_type is MessageType.ERROR:
            raise BusError(
                _(
                    "{program} answers {request} with an error: {error}.",
                    program=name,
                    request=member,
                    error=_words_of(answer),
                )
            )
        return answer

    def has_owner(self, name: str) -> bool:
        """Returns whether a program has that name. Raises BusError."""
        return bool(self.call(_DBUS, "NameHasOwner", "s", name).body[0])

    def property_of(self, to: tuple[str, str, str], name: str) -> Any:
        """Returns the value of a property. Raises BusError."""
        at = (to[0], to[1], "org.freedesktop.DBus.Properties")
        return self.call(at, "Get", "ss", to[2], name).body[0].value

    @contextmanager
    def listening(self, rule: str, listener: Listener) -> Iterator[None]:
        """Give `listener` every signal. `rule` says which ones the bus sends. Raises BusError."""
        rule = f"type='signal',{rule}"
        self.call(_DBUS, "AddMatch", "s", rule)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
            with suppress(BusError):
                self.call(_DBUS, "RemoveMatch", "s", rule)

    @contextmanager
    def watching_owner(self, name: str, changed: Callable[[str], None]) -> Iterator[None]:
        """Call `changed` with each new owner of a name; with "" when it has none or the bus ends.

        Raises BusError.
        """

        def hear(signal: Message) -> None:
            if signal.member == "NameOwnerChanged" and signal.sender == _DBUS[0]:
                changed_name, _former, owner = signal.body
                if changed_name == name:
                    changed(owner)

        def end() -> None:
            changed("")

        self._at_end.append(end)
        try:
            rule = f"sender='{_DBUS[0]}',member='NameOwnerChanged',arg0='{name}'"
            with self.listening(rule, hear):
                yield
        finally:
            self._at_end.remove(end)

    # --- Serving others -------------------------------------------------------------------------

    def take_name(self, name: str) -> None:
        """Raises BusError."""
        self.call(_DBUS, "RequestName", "su", name, 4)

    def drop_name(self, name: str) -> None:
        """Raises BusError."""
        self.call(_DBUS, "ReleaseName", "s", name)

    def export(self, path: str, interface: Any) -> None:
        self.soon(lambda: self._bus.export(path, interface))

    def unexport(self, path: str) -> None:
        self.soon(lambda: self._bus.unexport(path))

    def soon(self, do: Callable[[], object]) -> None:
        """Run `do` in the thread of the bus. Does nothing after the end."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(do)

    # --- The thread -----------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            if (bus := getattr(self, "_bus", None)) is not None:
                bus.disconnect()
            self._loop.run_until_complete(self._cancel_all())
            self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self) -> Any:
        from dbus_fast.aio import MessageBus  # noqa: PLC0415

        return await MessageBus(bus_address=self._address).connect()

    async def _watch_the_end(self) -> None:
        with suppress(Exception):  # how the bus has ended does not matter
            await self._bus.wait_for_disconnect()
        for ended in tuple(self._at_end):
            ended()

    def _hear(self, message: Message) -> None:
        if message.message_type.name == "SIGNAL":
            for listener in tuple(self._listeners):
                listener(message)

    def _result(self, work: Coroutine[Any, Any, T]) -> T:
        from dbus_fast.errors import DBusFastError  # noqa: PLC0415

        try:
            limited = asyncio.wait_for(work, _PATIENCE_S)
            return asyncio.run_coroutine_threadsafe(limited, self._loop).result(2 * _PATIENCE_S)
        except (TimeoutError, CancelledError):
            raise BusError(_("The session bus, or a program on it, does not answer.")) from None
        except (OSError, EOFError, DBusFastError, RuntimeError) as error:
            raise BusError(_("The session bus cannot be used: {why}.", why=error)) from error


def _words_of(answer: Message | None) -> str:
    return "none" if answer is None else f"{answer.error_name} {answer.body[:1]}"


def has_panel(bus: SessionBus) -> bool:
    """Returns whether there is a panel on the bus that shows icons. Raises BusError."""
    if not bus.has_owner(WATCHER[0]):
        return False
    try:
        return bool(bus.property_of(WATCHER, "IsStatusNotifierHostRegistered"))
    except BusError:  # some watchers do not say
        return True


def address() -> str | None:
    """Returns the address of this session's bus, None if there is none."""
    if named := os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return named
    if (folder := os.environ.get("XDG_RUNTIME_DIR")) and (path := Path(folder, "bus")).exists():
        return f"unix:path={path}"
    return None


@contextmanager
def session_bus() -> Iterator[SessionBus | None]:
    """Yields the connection to this session's bus. Yields None if there is no bus."""
    found = address()
    if found is None:
        yield None
        return
    bus = SessionBus(found)
    try:
        bus.open()
    except (BusError, ImportError):
        yield None
        return
    try:
        yield bus
    finally:
        bus.close()
