"""What the icon shows, and its notifications. The only object that the threads share."""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

from antifake.core.i18n import _, ngettext
from antifake.daemon.config.quiet_hours import QuietHours
from antifake.daemon.instance import OFFLINE

from .drawing import Mode
from .notifications import Note, NotificationBundle, PictureEvent, shortened, shown_label
from .wishes import Wishes

RECENT = 5
LONGEST_LINE = 80
KEPT_NOTES = 50
"""Notifications that wait to be shown. Older ones are left out."""
_MODES = frozenset(get_args(Mode))
_SAID = {"real": _("It's real"), "fake": _("It's AI-made"), "unsure": _("Cannot tell")}


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
    """Returns the view for the answers to GET /state and GET /checks.

    Raises one of OTHER_FORM of the client if they have another form than expected.
    """
    mode: Mode = state["mode"]
    if mode not in _MODES:
        raise ValueError(mode)
    recent = tuple(_recent(one) for one in checks[:RECENT])
    return View(mode, _line(mode, state), recent, state.get("paused_until") is not None)


def _line(mode: Mode, state: dict[str, Any]) -> str:
    if mode == "attention":
        notices = state.get("notices") or [_("antifake needs you: open the history.")]
        return str(notices[0])
    if mode == "working":
        if (state.get("model") or {}).get("phase") == "loading":
            return _("Loading the model")
        if waiting := sum((state.get("waiting") or {}).values()):
            return ngettext("Checking, {n:,} more waiting", "Checking, {n:,} more waiting", waiting)
        return _("Checking a picture")
    if mode == "paused":
        time = _clock_time(state.get("paused_until"))
        return _("Folders are paused until {time}", time=time) if time else _("Folders are paused")
    return _("Ready")


def _clock_time(moment: str | None) -> str:
    """Returns "" if it is not known."""
    try:
        until = datetime.fromisoformat(moment or "").astimezone()
    except (ValueError, OverflowError):
        return ""
    is_today = until.date() == datetime.now(until.tzinfo).date()
    return until.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _recent(check: dict[str, Any]) -> Recent:
    label = shown_label(check)
    is_said = bool(check.get("said")) and not check.get("alike")
    is_open = label in ("real", "fake") and not is_said
    return Recent(str(check["id"]), _in_one_line(check), label, is_open)


def _in_one_line(check: dict[str, Any]) -> str:
    name = str(check.get("name") or check.get("page") or _("a picture"))
    return shortened(f"{check['summary']}: {shortened(name)}", LONGEST_LINE)


def judgements(one: Recent) -> list[tuple[str, str]]:
    """Returns what the user can say of a picture: the words, and the label that they mean.

    To confirm a verdict and to give the same one is the same.
    """
    if not one.can_be_confirmed or one.label is None:
        return [(words, label) for label, words in _SAID.items()]
    others = [(words, label) for label, words in _SAID.items() if label != one.label]
    return [(_("Yes, that's right"), one.label), *others]


def _local_time() -> datetime:
    return datetime.now(UTC).astimezone()


class ViewModel:
    """Can be used from any thread. One of them, the painter, waits for changes in `news`."""

    def __init__(
        self, clock: Callable[[], float], now: Callable[[], datetime] = _local_time
    ) -> None:
        """`clock` is monotonic, in seconds; `now` is the local time, for quiet hours."""
        self._clock, self._now = clock, now
        self._changed = threading.Condition()
        self._view = View()
        self._to_review = 0
        self._training = ""
        self._bundle = NotificationBundle()
        self._notes: deque[Note] = deque(maxlen=KEPT_NOTES)
        self._snoozed_until = -math.inf
        self._quiet = QuietHours()
        self._is_inhibited = False
        self._shows_pictures = True

    @property
    def view(self) -> View:
        return self._view

    @property
    def is_snoozed(self) -> bool:
        return self._clock() < self._snoozed_until

    def show(self, view: View) -> None:
        with self._changed:
            is_idle = view.mode == "ready" and bool(self._training)
            line = shortened(self._training if is_idle else view.line, LONGEST_LINE)
            n = self._to_review if view.is_online else 0
            self._view = replace(view, line=line, to_review=n)
            self._changed.notify_all()

    def set_to_review(self, n: int) -> None:
        """Set how many pictures the next view counts."""
        self._to_review = n

    def set_training(self, line: str) -> None:
        """Set what the next view says of a running training; "" if none runs."""
        self._training = line

    def set_wishes(self, wishes: Wishes) -> None:
        """Set what is notified, and when, from now on."""
        with self._changed:
            self._bundle.set_level(wishes.level)
            self._quiet, self._shows_pictures = wishes.quiet_hours, wishes.shows_pictures
            self._changed.notify_all()

    @property
    def shows_pictures(self) -> bool:
        """Whether notifications show the picture."""
        return self._shows_pictures

    def set_inhibited(self, is_inhibited: bool) -> None:
        """Set whether the desktop wants no notifications now."""
        with self._changed:
            self._is_inhibited = is_inhibited
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

    def changed(self, shown: object, within_s: float) -> View:
        """Wait until the view differs from `shown`, or for `within_s`. Returns the view."""
        with self._changed:
            self._changed.wait_for(lambda: self._view != shown, within_s)
            return self._view

    def notes(self, within_s: float) -> list[Note]:
        """Wait for notifications for `within_s`. Returns those to show now."""
        with self._changed:
            end = self._clock() + within_s
            while not self._notes and self._clock() < self._next(end):
                self._changed.wait(max(0.001, self._next(end) - self._clock()))
            notes = list(self._notes)
            self._notes.clear()
            if not self._is_quiet() and (bundled := self._bundle.take(self._clock())):
                notes.append(bundled)
            return notes

    def _next(self, end: float) -> float:
        return end if self._is_quiet() else min(end, self._bundle.due)

    def _is_quiet(self) -> bool:
        return self._is_inhibited or self._quiet.covers(self._now().time())
