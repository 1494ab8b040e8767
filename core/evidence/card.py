"""The card of a picture: what each track says, and the one headline that follows from them.

Nothing is averaged. Five ordered rules make the headline; tracks and conflicts are always shown.
Nothing but a person's word ever leads to "real", and no mark lowers an alarm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from antifake.core.i18n import _
from antifake.core.verdict import Label, word

from .marks import Camera, Mark
from .provenance import Provenance

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

    marks: tuple[Mark, ...] = ()
    camera: Camera | None = None
    are_marks_complete: bool = True
    """False if the container was too long or damaged to be looked at as a whole."""
    provenance: Provenance = field(default_factory=Provenance)
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
        if self._is_signed_as_ai and self.provenance.signer in ("known", "known_interim"):
            return "signed"
        if self._is_marked or (self._is_signed_as_ai and self.provenance.signer != "revoked"):
            return "marked"
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
    def is_declared_or_marked(self) -> bool:
        """Whether the file itself says that AI made it, whatever else is known."""
        is_signed = self._is_signed_as_ai and self.provenance.signer != "revoked"
        return self._is_marked or is_signed

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Where tracks contradict each other."""
        return tuple(self._conflicts())

    @property
    def _is_signed_as_ai(self) -> bool:
        return self.provenance.content == "intact" and self.provenance.says == "ai"

    @property
    def _is_marked(self) -> bool:
        return any(mark.kind in ("recipe", "declared") for mark in self.marks)

    def _conflicts(self) -> Iterator[Conflict]:
        signed, label = self.provenance, self.model.label if self.model else None
        if label == "real" and self.basis == "signed":
            yield "signed_but_unnoticed"
        if label == "real" and self.basis == "marked":
            yield "marked_but_unnoticed"
        is_known = signed.signer in ("known", "known_interim")
        if label == "fake" and signed.content == "intact" and signed.says == "camera" and is_known:
            yield "camera_signed_but_alarm"
        if self.camera and any(mark.kind == "recipe" for mark in self.marks):
            yield "camera_and_generator"
        if signed.content == "changed":
            yield "signed_then_changed"
        if self.you and self.you.label == "real" and self.is_declared_or_marked:
            yield "you_against_signed"


def _you_said(label: Label) -> str:
    if label == "fake":
        return _("You said: AI-made")
    return _("You said: real") if label == "real" else _("You said: cannot tell")
