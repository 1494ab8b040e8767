"""Shows notifications over D-Bus, after org.freedesktop.Notifications: with picture and buttons.

What the desktop's service cannot do is left out: it says so in its capabilities.
"""

import io
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from queue import SimpleQueue
from typing import Any, Protocol

from PIL import Image, UnidentifiedImageError

from .notifications import WORDS, Note, Press, note_of_many
from .session_bus import NOTIFICATIONS, BusError, Message, SessionBus

log = logging.getLogger(__name__)

SIDE = 192
"""The longer side in pixels of the picture in a notification."""
_LARGEST_SIDE = 1024
"""No picture that the daemon keeps is larger; one that is would take much memory here."""
KEPT = 100
"""So many open notifications are remembered, to be replaced and to answer their buttons."""
_SCREEN_SAVERS = (
    ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver"),
    ("org.gnome.ScreenSaver", "/org/gnome/ScreenSaver", "org.gnome.ScreenSaver"),
)
_CLICK = "default"
"""The action of a click on the notification itself."""


@dataclass(frozen=True)
class _Shown:
    note: Note
    service: str
    """The unique name of the service that shows it. Only that one may say what was pressed."""


class Pictures(Protocol):
    """What the daemon knows of its checks."""

    def thumbnail(self, name: str) -> bytes | None:
        """Returns the small picture to show, as WebP."""

    def verdict(self, name: str) -> str:
        """Returns what counts now, in the words of a title."""


class Notifier:
    """Shows the notifications of one thread, and answers their buttons in a thread of its own."""

    def __init__(
        self,
        bus: SessionBus,
        press: Callable[[Note, Press], None],
        pictures: Pictures,
        inhibit: Callable[[bool], None],
    ) -> None:
        """`inhibit` is told whether the desktop wants no notifications now."""
        self._bus, self._press, self._pictures, self._inhibit = bus, press, pictures, inhibit
        self._shown: OrderedDict[int, _Shown] = OrderedDict()
        self._turn = threading.Lock()
        """Held from asking for a notification until it is in `_shown`: a button may be quicker."""
        self._signals: SimpleQueue[Message | None] = SimpleQueue()
        self._complaint = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answers buttons inside. Raises BusError."""
        threading.Thread(target=self._answer_all, name="tray-buttons", daemon=True).start()
        try:
            with self._bus.listening(f"path='{NOTIFICATIONS[1]}'", self._signals.put):
                self._read_inhibited()
                yield
        finally:
            self._signals.put(None)

    def show(self, note: Note) -> None:
        """Show a notification, in the place of an open one that it makes superfluous."""
        try:
            with self._turn:
                self._show(note)
        except BusError as error:
            level = logging.DEBUG if str(error) == self._complaint else logging.WARNING
            self._complaint = str(error)
            log.log(level, "No notification is shown: %s", error)

    def withdraw(self, picture: str) -> None:
        """Close an open notification that asks about a picture that was corrected elsewhere.

        What counts now is asked for: the answer to a button is a correction, too, and may have
        been undone since.
        """
        with self._turn:
            if self._asking(picture) is None:
                return
        verdict = self._pictures.verdict(picture)
        with self._turn, suppress(BusError):
            number = self._asking(picture)
            if number is not None and self._shown[number].note.title != verdict:
                del self._shown[number]
                self._bus.call(NOTIFICATIONS, "CloseNotification", "u", number)

    def _asking(self, picture: str) -> int | None:
        """Returns the number of the open notification that asks what this picture is."""
        for number, one in tuple(self._shown.items()):
            if one.note.picture == picture and "real" in one.note.presses:
                return number
        return None

    # --- Showing --------------------------------------------------------------------------------

    def _show(self, note: Note) -> None:
        answer = self._bus.call(NOTIFICATIONS, "GetCapabilities")
        able = set(answer.body[0])
        former, note = self._merged(note, answer.sender)
        text = escape(note.text, quote=False) if "body-markup" in able else note.text
        has_body = "body" in able
        answer = self._bus.call(
            NOTIFICATIONS,
            "Notify",
            "susssasa{sv}i",
            "antifake",
            former,
            "",
            note.title if has_body else f"{note.title}: {note.text}",
            text if has_body else "",
            _actions(note) if "actions" in able else [],
            self._hints(note),
            -1,
        )
        self._shown.pop(former, None)
        self._shown[answer.body[0]] = _Shown(note, answer.sender)
        while len(self._shown) > KEPT:
            self._shown.popitem(last=False)

    def _merged(self, note: Note, service: str) -> tuple[int, Note]:
        """Returns the number of the open notification to replace, 0 if none, and the new one.

        While a notification of several pictures is open, further ones are added to its counts.
        What a service showed that has ended is gone with it.
        """
        for number, one in tuple(self._shown.items()):
            if one.service != service:
                del self._shown[number]
                continue
            if note.picture and one.note.picture == note.picture:
                return number, note
            if note.counts and one.note.counts:
                both = Counter(dict(one.note.counts)) + Counter(dict(note.counts))
                return number, note_of_many(both, is_more=one.note.is_more)
        return 0, note

    def _hints(self, note: Note) -> dict[str, Any]:
        from dbus_fast import Variant  # noqa: PLC0415

        hints = {"desktop-entry": Variant("s", "antifake"), "urgency": Variant("y", 1)}
        if note.picture and (image := self._image(note.picture)) is not None:
            width, height = image.size
            data = [width, height, 3 * width, False, 8, 3, image.tobytes()]
            hints["image-data"] = Variant("(iiibiiay)", data)
        return hints

    def _image(self, name: str) -> Image.Image | None:
        """Returns the picture of a check. Returns None where others may see the screen."""
        if self._is_locked():
            return None
        data = self._pictures.thumbnail(name)
        if data is None:
            return None
        try:
            with Image.open(io.BytesIO(data), formats=["WEBP"]) as found:
                if max(found.size) > _LARGEST_SIDE:
                    return None
                image = found.convert("RGB")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
            return None
        image.thumbnail((SIDE, SIDE))
        return image

    def _is_locked(self) -> bool:
        for saver in _SCREEN_SAVERS:
            with suppress(BusError):
                if self._bus.has_owner(saver[0]):
                    return bool(self._bus.call(saver, "GetActive").body[0])
        return False

    def _read_inhibited(self) -> None:
        with suppress(BusError):  # only some services tell of it, all heed it by themselves
            if self._bus.has_owner(NOTIFICATIONS[0]):
                self._inhibit(bool(self._bus.property_of(NOTIFICATIONS, "Inhibited")))

    # --- What the service tells -----------------------------------------------------------------

    def _answer_all(self) -> None:
        while (signal := self._signals.get()) is not None:
            if signal.member == "PropertiesChanged":
                self._read_change(signal)
            elif signal.interface == NOTIFICATIONS[2] and signal.member in _HEARD:
                self._answer(signal)

    def _read_change(self, signal: Message) -> None:
        interface, changed, _gone = signal.body
        if interface == NOTIFICATIONS[2] and "Inhibited" in changed:
            self._inhibit(bool(changed["Inhibited"].value))

    def _answer(self, signal: Message) -> None:
        number, what = signal.body[:2]
        with self._turn:
            shown = self._shown.get(number)
            if shown is None or shown.service != signal.sender:
                return
            # Services close a notification when a button is pressed.
            del self._shown[number]
        if signal.member == "ActionInvoked" and (press := _press_of(shown.note, what)):
            self._press(shown.note, press)


_HEARD = ("ActionInvoked", "NotificationClosed")


def _actions(note: Note) -> list[str]:
    # Without words, because some services would make it a button, beside the one with them.
    click = [_CLICK, ""] if "show" in note.presses else []
    return [*click, *(word for press in note.presses for word in (press, WORDS[press]))]


def _press_of(note: Note, action: str) -> Press | None:
    press = "show" if action == _CLICK else action
    return press if press in note.presses else None
