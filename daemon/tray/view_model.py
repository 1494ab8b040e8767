"""What the icon shows, and its notifications. The only object that the threads share."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .drawing import Mode
from .notifications import Level, Note, NotificationBundle, PictureEvent, shortened

RECENT = 5
OFFLINE = "antifake is not running"
_SAID = {"real": "It's real", "fake": "It's AI-made", "unsure": "Cannot tell"}


@dataclass(frozen=True)
class Recent:
    """One of the last pictures that were checked."""

    id: str
    words: str
    label: str | None = None
    """The verdict that counts: real, fake or unsure. None if the picture could not be checked."""
    can_be_confirmed: bool = False
    """Whether "Yes, that's right" says something that the user has not said of it."""


@dataclass(frozen=True)
class View:
    """What icon and menu show of the daemon."""

    mode: Mode = "offline"
    line: str = OFFLINE
    """The state in words."""
    recent: tuple[Recent, ...] = ()
    is_paused: bool = False
    to_review: int = 0
    """How many of today's pictures the user has not been through."""

    @property
    def is_online(self) -> bool:
        return self.mode != "offline"


def view_of(state: dict[str, Any], checks: list[dict[str, Any]]) -> View:
    """Returns the view for the answers to GET /state and GET /checks."""
    mode: Mode = state["mode"]
    recent = tuple(_recent(one) for one in checks[:RECENT])
    return View(mode, _line(mode, state), recent, state.get("paused_until") is not None)


def _line(mode: Mode, state: dict[str, Any]) -> str:
    if mode == "attention":
        notices = state.get("notices") or ["antifake needs you: open the history."]
        return shortened(str(notices[0]), 80)
    if mode == "working":
        if (state.get("model") or {}).get("phase") == "loading":
            return "Waking the model"
        waiting = sum((state.get("waiting") or {}).values())
        return f"Checking, {waiting:,} more waiting" if waiting else "Checking a picture"
    if mode == "paused":
        return f"Folders are paused until {_clock_time(state.get('paused_until'))}"
    return "Ready"


def _clock_time(moment: str | None) -> str:
    try:
        until = datetime.fromisoformat(moment or "").astimezone()
    except ValueError:
        return "later"
    is_today = until.date() == datetime.now(until.tzinfo).date()
    return until.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _recent(check: dict[str, Any]) -> Recent:
    label = check.get("label")
    is_said = bool(check.get("said")) and not check.get("alike")
    is_open = label in ("real", "fake") and not is_said
    return Recent(str(check["id"]), _in_one_line(check), label, is_open)


def _in_one_line(check: dict[str, Any]) -> str:
    name = str(check.get("name") or check.get("page") or "a picture")
    return f"{check['summary']}: {shortened(name)}"


def judgements(one: Recent) -> list[tuple[str, str]]:
    """Returns what the user can say of a picture: the words, and the label that they mean.

    To confirm a verdict and to give the same one is the same.
    """
    if not one.can_be_confirmed or one.label is None:
        return [(words, label) for label, words in _SAID.items()]
    others = [(words, label) for label, words in _SAID.items() if label != one.label]
    return [("Yes, that's right", one.label), *others]


class ViewModel:
    """Can be used from any thread. One of them, the painter, waits for changes in `news`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._view = View()
        self._to_review = 0
        self._training = ""
        self._bundle = NotificationBundle()
        self._notes: list[Note] = []
        self._snoozed_until = -math.inf

    @property
    def view(self) -> View:
        return self._view

    @property
    def is_snoozed(self) -> bool:
        return self._clock() < self._snoozed_until

    def show(self, view: View) -> None:
        with self._changed:
            is_idle = view.mode == "ready" and bool(self._training)
            line = self._training if is_idle else view.line
            n = self._to_review if view.is_online else 0
            self._view = replace(view, line=line, to_review=n)
            self._changed.notify_all()

    def set_to_review(self, n: int) -> None:
        """Set how many pictures the next view counts."""
        self._to_review = n

    def set_training(self, line: str) -> None:
        """Set what the next view says of a running training; "" if none runs."""
        self._training = line

    def set_level(self, level: Level) -> None:
        with self._changed:
            self._bundle.set_level(level)
            self._changed.notify_all()

    def add(self, one: PictureEvent) -> None:
        """Notify of this picture together with others, if the user wants to be notified."""
        with self._changed:
            self._bundle.add(one)
            self._changed.notify_all()

    def tell(self, note: Note) -> None:
        """Show a notification at once, because it answers what the user has just asked."""
        with self._changed:
            self._notes.append(note)
            self._changed.notify_all()

    def snooze(self, seconds: float) -> None:
        """Show no bundled notifications for that long; 0 ends a snooze."""
        with self._changed:
            now = self._clock()
            self._snoozed_until = now + seconds
            if seconds:
                self._bundle.snooze(self._snoozed_until)
            else:
                self._bundle.wake(now)
            self._changed.notify_all()

    def news(self, shown: object, within_s: float) -> tuple[View, list[Note]]:
        """Wait until the view differs from `shown` or there is a notification, or for `within_s`.

        Returns the view and the notifications to show now.
        """
        with self._changed:
            end = self._clock() + within_s
            while self._view == shown and not self._notes and self._clock() < self._next(end):
                self._changed.wait(max(0.001, self._next(end) - self._clock()))
            notes, self._notes = self._notes, []
            if bundled := self._bundle.take(self._clock()):
                notes.append(bundled)
            return self._view, notes

    def _next(self, end: float) -> float:
        return min(end, self._bundle.due)
