"""The answer about one picture, in words. The user's correction overrides the model's verdict.

Only this module words verdicts for people: the pages, the API, the tray and the command line all
show its sentences. Programs read `label`, `is_sure`, `percent` and `correction` instead.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

from antifake.core import Label
from antifake.core.evidence.card import Basis, Card
from antifake.core.evidence.file_evidence import SAYS_AI
from antifake.core.evidence.sentences import summary
from antifake.core.i18n import _, ngettext
from antifake.core.parts import WIDE, standing_out, where
from antifake.core.verdict import is_sure, percent, word
from antifake.daemon.store.corrections import Correction
from antifake.daemon.store.grouped import Group
from antifake.daemon.store.history import Entry

TicketState = Literal["queued", "running", "done"]

CORRECTED = {
    "fake": _("You said: AI-made"),
    "real": _("You said: real"),
    "unsure": _("You said: cannot tell"),
}
NOT_CHECKED = _("not checked")


@dataclass(frozen=True)
class Answer:
    """A check with the user's correction of the picture or of a near-copy."""

    entry: Entry
    is_stored: bool = True
    """Whether it is in the history. Private checks are not, nor those made on a full disk."""

    @property
    def id(self) -> str:
        return self.entry.check.id

    @property
    def correction(self) -> Correction | None:
        return self.entry.correction or self.entry.near_copy_correction

    @property
    def label(self) -> Label | None:
        """The label that counts. None if the check failed and the user has not corrected it."""
        return self.correction.label if self.correction else self.entry.check.label

    @property
    def word(self) -> str:
        """The verdict in a few words: the model's, or what the user said."""
        check = self.entry.check
        if self.correction:
            return CORRECTED[self.correction.label]
        if check.label is None or check.p_fake is None:
            return NOT_CHECKED
        return word(check.label, check.p_fake)

    @property
    def card(self) -> Card:
        """All that is known of the picture, each beside the other."""
        return self.entry.card

    @property
    def basis(self) -> Basis:
        """What the headline rests on."""
        return self.card.basis

    @property
    def is_declared(self) -> bool:
        """Whether the headline is that the file itself says that AI made it."""
        return self.basis in SAYS_AI

    @property
    def shown_as(self) -> Label | None:
        """Which of the labels gives the headline its color and its sign. None: not checked."""
        return "fake" if self.is_declared else self.label

    @property
    def headline(self) -> str:
        """What people read first, with a capital letter: of the file, or else `word`."""
        return self.shown_word[0].upper() + self.shown_word[1:]

    @property
    def shown_word(self) -> str:
        """The headline for the middle of a sentence."""
        return self.card.headline if self.is_declared else self.word

    @property
    def summary(self) -> str:
        """One line: "Likely AI-made (83 %)" or "Likely AI-made (83 %), on the right"."""
        words, percent_ = self.headline, self.percent
        if percent_ is None or self.is_declared:  # the percentage is the model's
            return words
        if not self.place:
            return _("{verdict} ({percent} %)", verdict=words, percent=percent_)
        return _(
            "{verdict} ({percent} %), {place}", verdict=words, percent=percent_, place=self.place
        )

    @property
    def place(self) -> str:
        """Where it looks AI-made, if most of it does not: "on the right". Otherwise empty."""
        check = self.entry.check
        part = standing_out(check.parts or (), check.label)
        return where(part) if part else ""

    @property
    def is_sure(self) -> bool:
        """Whether the words leave out "likely": the user has corrected it, or the model is sure."""
        check = self.entry.check
        if self.correction or check.label is None or check.p_fake is None:
            return self.correction is not None
        return is_sure(check.label, check.p_fake)

    @property
    def percent(self) -> int | None:
        """How sure the model is, 1 .. 99. None if it is unsure, has failed or was corrected."""
        check = self.entry.check
        if self.correction or check.p_fake is None or check.label in (None, "unsure"):
            return None
        return percent(check.label, check.p_fake)

    @property
    def can_be_confirmed(self) -> bool:
        """Whether "Yes, that's right" says something that the user has not said of this picture."""
        return self.entry.correction is None and self.shown_as in ("real", "fake")

    @property
    def explanation(self) -> list[str]:
        """The verdict in sentences: who gave it, what it means and what it does not mean."""
        about_file = [*filter(None, [summary(self.card)])]
        first, then = about_file, self.about_model()
        if not self.is_declared:
            first, then = then, first
        return [*self._about_correction(), *first, *then, *self.about_picture()]

    def _about_correction(self) -> list[str]:
        own, near = self.entry.correction, self.entry.near_copy_correction
        if own:
            return [_("You said so on {date:%Y-%m-%d}, and that counts.", date=own.at)]
        if near:
            return [_("You said so about a near-copy of it on {date:%Y-%m-%d}.", date=near.at)]
        return []

    def about_picture(self) -> list[str]:
        """What of the picture was judged, and what is to be known of it."""
        return [*self._about_parts(), *filter(None, [self.entry.check.note])]

    def about_model(self) -> list[str]:
        """The verdict of the model, or why there is none."""
        check = self.entry.check
        if check.label is None or check.p_fake is None:
            return [check.error or _("It could not be checked.")]
        whose = _("{model} with the prompt {prompt}", model=check.model, prompt=check.prompt)
        if check.label == "unsure":
            return [
                _(
                    "The model ({model}) cannot tell: it finds it {percent} % likely that a"
                    " generator made it, close to an even chance.",
                    model=whose,
                    percent=round(100 * check.p_fake),
                ),
                _("Take it as no answer, and look for the source of the picture."),
            ]
        sure = percent(check.label, check.p_fake)
        if check.label == "fake":
            return [
                _(
                    "The model ({model}) finds it {percent} % likely that a generator made it.",
                    model=whose,
                    percent=sure,
                ),
                _("It can be wrong: paintings, memes and heavy editing can look the same to it."),
            ]
        return [
            _(
                "The model ({model}) finds no sign of a generator; it is {percent} % sure.",
                model=whose,
                percent=sure,
            ),
            _("That proves nothing: newer generators leave fewer signs."),
        ]

    def _about_parts(self) -> list[str]:
        check = self.entry.check
        if check.label is None:
            return []
        if check.parts is None:
            sides = sorted((check.width or 1, check.height or 1))
            is_wide = sides[1] > WIDE * sides[0]
            return [_("Only its middle was judged, by an earlier version.")] if is_wide else []
        if self.place:
            return [_("It looks AI-made {place}; most of it does not.", place=self.place)]
        n = len(check.parts)
        if n < 2:
            return []
        return [ngettext("{n} part of it was judged.", "{n} parts of it were judged.", n)]


@dataclass(frozen=True)
class AnswerGroup:
    """A picture and its near-copies, as the history shows them together."""

    first: Answer
    copies: tuple[Answer, ...]
    """The first of them. `n_copies` says how many there are."""
    n_copies: int

    @classmethod
    def of(cls, group: Group) -> Self:
        return cls(Answer(group.first), tuple(map(Answer, group.copies)), group.n_copies)


def verdict_of(answer: Answer) -> dict[str, Any]:
    """Returns the part of an answer that events contain, as JSON."""
    return {
        "id": answer.id,
        "label": answer.label,
        "word": answer.word,
        "headline": answer.headline,
        "basis": answer.basis,
        "summary": answer.summary,
        "is_sure": answer.is_sure,
    }


@dataclass(frozen=True)
class Ticket:
    """A requested check: it is queued, running or done."""

    id: str
    """The id of the check, too, unless the answer was already in the history under another id."""
    state: TicketState
    answer: Answer | None = None
    """None until it is done."""
    is_stored: bool = True
    """False if it is only in memory: it is gone if antifake ends before the answer."""
