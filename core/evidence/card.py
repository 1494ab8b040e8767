"""The card of a picture: what each track says, and the one headline that follows from them.

Nothing is averaged. Five ordered rules make the headline; tracks and conflicts are always shown.
Nothing but a person's word ever leads to "real", and no mark lowers an alarm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from antifake.core.i18n import _
from antifake.core.verdict import Label, word

from .file_evidence import FileEvidence

Basis = Literal["you", "seen", "signed", "marked", "model", "none"]
Conflict = Literal[
    "signed_but_unnoticed",
    "marked_but_unnoticed",
    "camera_signed_but_alarm",
    "camera_and_generator",
    "signed_then_changed",
    "you_against_signed",
]


@dataclass(frozen=True)
class Word:
    """What a person said of a picture or of a near copy of it."""

    label: Label
    at: str
    """ISO 8601."""
    is_near_copy: bool = False


@dataclass(frozen=True)
class ModelTrack:
    """The model's part, which no other track ever changes."""

    label: Label
    p_fake: float
    model: str
    prompt: str


@dataclass(frozen=True)
class Card:
    """All that is known of a picture beside each other."""

    file: FileEvidence | None = None
    """None if the file was not looked at."""
    model: ModelTrack | None = None
    you: Word | None = None
    seen: Word | None = None

    @property
    def basis(self) -> Basis:
        """The first rule that holds."""
        if self.you:
            return "you"
        if self.seen:
            return "seen"
        if self.file and self.file.basis != "none":
            return self.file.basis
        return "model" if self.model else "none"

    @property
    def headline(self) -> str:
        """The few words that a person reads first."""
        if said := self.you or self.seen:
            return _you_said(said.label)
        if self.basis == "signed":
            return _("declared AI-made")
        if self.basis == "marked":
            return _("marked as AI-made")
        return word(self.model.label, self.model.p_fake) if self.model else _("not judged")

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Where tracks contradict each other."""
        return tuple(self._conflicts())

    def _conflicts(self) -> Iterator[Conflict]:
        if self.file is None:
            return
        signed, marks = self.file.provenance, self.file.marks
        label = self.model.label if self.model else None
        if label == "real" and self.basis == "signed":
            yield "signed_but_unnoticed"
        if label == "real" and self.basis == "marked":
            yield "marked_but_unnoticed"
        is_camera = signed.content == "intact" and signed.says == "camera" and signed.is_known
        if label == "fake" and is_camera:
            yield "camera_signed_but_alarm"
        if marks.camera and any(mark.kind == "recipe" for mark in marks.found):
            yield "camera_and_generator"
        if signed.content == "changed":
            yield "signed_then_changed"
        if self.you and self.you.label == "real" and self.file.basis != "none":
            yield "you_against_signed"


def _you_said(label: Label) -> str:
    if label == "fake":
        return _("You said: AI-made")
    return _("You said: real") if label == "real" else _("You said: cannot tell")
