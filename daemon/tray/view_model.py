"""What the icon shows and what is to be told. Threads meet here and nowhere else."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .drawing import Mode
from .notifications import Bundle, Happening, Level, Note, shortened

RECENT = 5
OFFLINE = "antifake is not running"


@dataclass(frozen=True)
class Recent:
    """One of the last pictures that were checked."""

    id: str
    words: str


@dataclass(frozen=True)
class View:
    """All that icon and menu show of the daemon."""

    mode: Mode = "offline"
    line: str = OFFLINE
    """How things are, in words."""
    recent: tuple[Recent, ...] = ()
    is_paused: bool = False

    @property
    def is_online(self) -> bool:
        return self.mode != "offline"


def view_of(state: dict[str, Any], checks: list[dict[str, Any]]) -> View:
    """Of the answers to GET /state and GET /checks."""
    mode: Mode = state["mode"]
    recent = tuple(Recent(str(one["id"]), _in_one_line(one)) for one in checks[:RECENT])
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


def _in_one_line(check: dict[str, Any]) -> str:
    # A daemon on Windows has paths with the other stroke.
    name = str(check.get("path") or "").replace("\\", "/").rpartition("/")[2]
    return f"{check['summary']}: {shortened(name or str(check.get('page') or '') or 'a picture')}"


class Board:
    """Usable from many threads; one of them, the painter, waits for changes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._view = View()
        self._bundle = Bundle()
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
            self._view = view
            self._changed.notify_all()

    def choose(self, level: Level) -> None:
        with self._changed:
            self._bundle.choose(level)
            self._changed.notify_all()

    def hear(self, one: Happening) -> None:
        """Tell it if the person wants that, at a good moment."""
        with self._changed:
            self._bundle.heard(one)
            self._changed.notify_all()

    def tell(self, note: Note) -> None:
        """At once: it is the answer to what the person has just asked."""
        with self._changed:
            self._notes.append(note)
            self._changed.notify_all()

    def snooze(self, seconds: float) -> None:
        """Zero: be told again."""
        with self._changed:
            now = self._clock()
            self._snoozed_until = now + seconds
            if seconds:
                self._bundle.snooze(self._snoozed_until)
            else:
                self._bundle.wake(now)
            self._changed.notify_all()

    def news(self, shown: object, within_s: float) -> tuple[View, list[Note]]:
        """As soon as the view is not `shown` or something is to be told, or after a while."""
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
