"""Decides which events become notifications, and when: at most one in ten seconds.

The first picture is notified at once. Those that come soon after it are counted and notified
together, so a folder of 50 pictures makes two. The time is an argument of each method.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from antifake.core.evidence.file_evidence import SAYS_AI
from antifake.core.i18n import _, ngettext

Level = Literal["none", "errors", "ai", "all"]
Kind = Literal["ai", "real", "unsure", "failed"]

Press = Literal["real", "fake", "show", "undo"]
WORDS: dict[Press, str] = {
    "real": _("It's real"),
    "fake": _("It's AI-made"),
    "show": _("Show"),
    "undo": _("Undo"),
}
"""The words on the buttons."""

APART_S = 10.0
LATER_S = 60.0
"""After so long without a notification, pictures are no longer called "more pictures"."""
LONGEST_NAME = 40
LONGEST_TITLE = 100
LONGEST_TEXT = 500

_KINDS: dict[str | None, Kind] = {"fake": "ai", "real": "real", "unsure": "unsure"}
_WANTED: dict[Level, frozenset[Kind]] = {
    "none": frozenset(),
    "errors": frozenset({"failed"}),
    "ai": frozenset({"failed", "ai"}),
    "all": frozenset({"failed", "ai", "real", "unsure"}),
}
_ORDER: tuple[Kind, ...] = ("ai", "real", "unsure", "failed")


@dataclass(frozen=True)
class Note:
    """One notification. Title and text are one line each, and not long."""

    title: str
    text: str
    picture: str = ""
    """The id of the check that it is about. A later one about the same replaces it."""
    presses: tuple[Press, ...] = ()
    """What can be done about it, as buttons where the desktop has them."""
    counts: tuple[tuple[Kind, int], ...] = ()
    """How many pictures of each kind it is about, if it is about several."""
    is_more: bool = False
    """Whether these come on top of one that was notified just before."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", one_line(self.title, LONGEST_TITLE))
        object.__setattr__(self, "text", one_line(self.text, LONGEST_TEXT))


@dataclass(frozen=True)
class PictureEvent:
    """A picture that was checked while no user was waiting for the answer."""

    kind: Kind
    note: Note
    """The notification if it is the only one."""


def picture_event(event: dict[str, Any]) -> PictureEvent | None:
    """Reads the event of a check. Returns None if the user asked and sees the answer elsewhere."""
    if event.get("source") != "watch":
        return None
    kind = _KINDS.get(shown_label(event), "failed")
    name = shortened(str(event.get("name") or _("A picture")))
    if kind == "failed":
        title, why = _("Could not be checked"), str(event.get("error") or _("It is not known why."))
        note = Note(title, f"{name}: {why}", str(event.get("id", "")), ("show",))
        return PictureEvent(kind, note)
    return PictureEvent(kind, about_a_picture(event, name))


def shown_label(check: dict[str, Any]) -> str | None:
    """Returns the label of the headline: AI-made, too, if the file itself says so."""
    return "fake" if check.get("basis") in SAYS_AI else check.get("label")


def about_a_picture(check: dict[str, Any], text: str) -> Note:
    """Returns the notification of a verdict, with buttons to say what the picture is."""
    title = check.get("summary") or sentence_case(str(check.get("word") or _("Checked")))
    return Note(str(title), text, str(check.get("id", "")), ("real", "fake", "show"))


class NotificationBundle:
    """Events that were not notified yet. Notifies them together."""

    def __init__(self, level: Level = "ai") -> None:
        self._level: Level = level
        # Counts, not events: a folder may get many pictures while no one wants to be told.
        self._untold: Counter[Kind] = Counter()
        self._latest: dict[Kind, Note] = {}
        self._free_from = -math.inf
        self._last = -math.inf
        """When the last notification was taken."""

    def set_level(self, level: Level) -> None:
        """Set which events are notified from now on."""
        self._level = level
        wanted = _WANTED[level]
        self._untold = Counter({kind: n for kind, n in self._untold.items() if kind in wanted})

    def snooze(self, until: float) -> None:
        """Hold notifications back until then."""
        self._free_from = max(self._free_from, until)

    def wake(self, now: float) -> None:
        """End the snooze."""
        self._free_from = min(self._free_from, now + APART_S)

    def add(self, one: PictureEvent) -> None:
        if one.kind in _WANTED[self._level]:
            self._untold[one.kind] += 1
            self._latest[one.kind] = one.note

    @property
    def due(self) -> float:
        """When the next notification is due; infinity if there is none."""
        return self._free_from if self._untold else math.inf

    def take(self, now: float) -> Note | None:
        """Returns the notification that is due now, if any."""
        if now < self.due:
            return None
        told, self._untold = self._untold, Counter()
        is_more = now - self._last < LATER_S
        self._free_from, self._last = now + APART_S, now
        if told.total() == 1:
            return self._latest[next(iter(told))]
        return note_of_many(told, is_more=is_more)


def note_of_many(counted: Counter[Kind], *, is_more: bool) -> Note:
    """Returns one notification of several pictures: how many there are of each kind."""
    parts = [_counted(kind, counted[kind]) for kind in _ORDER if counted[kind]]
    total = counted.total()
    title = (
        ngettext("{n:,} more picture", "{n:,} more pictures", total)
        if is_more
        else ngettext("{n:,} picture", "{n:,} pictures", total)
    )
    counts, text = tuple(counted.items()), f"{', '.join(parts)}."
    return Note(title, text, presses=("show",), counts=counts, is_more=is_more)


def _counted(kind: Kind, n: int) -> str:
    if kind == "ai":
        return ngettext("{n:,} looks AI-made", "{n:,} look AI-made", n)
    if kind == "real":
        return ngettext("{n:,} looks real", "{n:,} look real", n)
    if kind == "unsure":
        return ngettext("cannot tell about {n:,}", "cannot tell about {n:,}", n)
    return ngettext("{n:,} could not be checked", "{n:,} could not be checked", n)


def sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Returns a file's name for one line of a menu or a notification.

    A long name keeps both ends. Characters that change the direction of the line, and markup,
    which many desktops would interpret, are replaced.
    """
    return one_line(name.translate(_HARMLESS), longest)


def one_line(text: str, longest: int) -> str:
    """Returns a text without line ends and other characters that are not shown as themselves."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    shown = " ".join(shown.split())
    if len(shown) <= longest:
        return shown
    return f"{shown[: longest // 2]}…{shown[-(longest - longest // 2 - 1) :]}"


_HARMLESS = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "&": "\N{FULLWIDTH AMPERSAND}",
    }
)
