"""What is worth a notification, and how many of them: at most one in ten seconds.

The first is told at once, what comes soon after it is counted and told together, so a folder
of 50 pictures makes two. Words only, never the picture. No clock here: `now` comes in.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["none", "errors", "ai", "all"]
Kind = Literal["ai", "real", "unsure", "failed"]

APART_S = 10.0
LONGEST_NAME = 40

_KINDS: dict[str | None, Kind] = {"fake": "ai", "real": "real", "unsure": "unsure"}
_WANTED: dict[Level, frozenset[Kind]] = {
    "none": frozenset(),
    "errors": frozenset({"failed"}),
    "ai": frozenset({"failed", "ai"}),
    "all": frozenset({"failed", "ai", "real", "unsure"}),
}
_COUNTED: dict[Kind, str] = {
    "ai": "looks AI-made|look AI-made",
    "real": "looks real|look real",
    "unsure": "cannot be told|cannot be told",
    "failed": "could not be checked|could not be checked",
}


@dataclass(frozen=True)
class Note:
    """One notification."""

    title: str
    text: str


@dataclass(frozen=True)
class Happening:
    """A picture was checked without anybody waiting for the answer."""

    kind: Kind
    note: Note
    """How it is told where it is alone."""


def happening(event: dict[str, Any]) -> Happening | None:
    """Of a check's event. None where a person asked and sees the answer elsewhere."""
    if event.get("source") != "watch":
        return None
    kind = _KINDS.get(event.get("label"), "failed")
    name = shortened(str(event.get("name") or "A picture"))
    if kind == "failed":
        why = str(event.get("error") or "It is not known why.")
        return Happening(kind, Note("Could not be checked", f"{name}: {why}"))
    return Happening(kind, Note(sentence_case(str(event.get("word") or "Checked")), name))


class Bundle:
    """What was not told yet."""

    def __init__(self, level: Level = "ai") -> None:
        self._level: Level = level
        self._untold: list[Happening] = []
        self._free_from = -math.inf

    def choose(self, level: Level) -> None:
        """What the person wants to be told of from now on."""
        self._level = level
        self._untold = [one for one in self._untold if one.kind in _WANTED[level]]

    def snooze(self, until: float) -> None:
        """Tell nothing before; then, once, what has come together."""
        self._free_from = max(self._free_from, until)

    def wake(self, now: float) -> None:
        """End the snooze."""
        self._free_from = min(self._free_from, now + APART_S)

    def heard(self, one: Happening) -> None:
        if one.kind in _WANTED[self._level]:
            self._untold.append(one)

    @property
    def due(self) -> float:
        """When there will be something to tell; infinity where nothing is known of."""
        return self._free_from if self._untold else math.inf

    def take(self, now: float) -> Note | None:
        """What is to be told now."""
        if now < self.due:
            return None
        told, self._untold = self._untold, []
        self._free_from = now + APART_S
        return told[0].note if len(told) == 1 else _together(told)


def _together(told: list[Happening]) -> Note:
    counted = Counter(one.kind for one in told)
    parts = []
    for kind, words in _COUNTED.items():
        if n := counted[kind]:
            one, many = words.split("|")
            parts.append(f"{n:,} {one if n == 1 else many}")
    return Note(f"{len(told):,} more pictures", f"{', '.join(parts)}.")


def sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """A file's name for one line of a menu or a notification: both ends of it, nothing that
    turns the line around, and no markup, which many desktops would follow."""
    shown = "".join(char if char.isprintable() else " " for char in name)
    shown = " ".join(shown.translate(_HARMLESS).split())
    if len(shown) <= longest:
        return shown
    return f"{shown[: longest // 2]}…{shown[-(longest - longest // 2 - 1) :]}"


_HARMLESS = str.maketrans({"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
                           ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
                           "&": "\N{FULLWIDTH AMPERSAND}"})  # fmt: skip
