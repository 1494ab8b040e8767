"""What is answered about one picture, in words: the person's word first, then the model's.

This is the one place that writes a verdict for people: page, API, tray and command line show what
stands here. A program reads `label`, `is_sure`, `said` and `percent`, never the words.
"""

from dataclasses import dataclass
from typing import Any, Literal

from antifake.core import Label
from antifake.core.verdict import is_sure, percent, word
from antifake.daemon.store.corrections import Said
from antifake.daemon.store.history import Entry

TicketState = Literal["queued", "running", "done"]

SAID = {"fake": "You said: AI-made", "real": "You said: real", "unsure": "You said: cannot tell"}
NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Answer:
    """A check, and what the person has said of the picture or of a near-copy."""

    entry: Entry
    is_stored: bool = True
    """Whether it is in the log; private checks are not, nor what a full disk did not take."""

    @property
    def id(self) -> str:
        return self.entry.check.id

    @property
    def said(self) -> Said | None:
        return self.entry.said or self.entry.alike

    @property
    def label(self) -> Label | None:
        """What counts; None where it could not be checked and nobody has said anything."""
        return self.said.label if self.said else self.entry.check.label

    @property
    def word(self) -> str:
        """The few words that people read first."""
        check = self.entry.check
        if self.said:
            return SAID[self.said.label]
        if check.label is None or check.p_fake is None:
            return NOT_CHECKED
        return word(check.label, check.p_fake)

    @property
    def headline(self) -> str:
        """The same words to begin a line with."""
        return self.word[0].upper() + self.word[1:]

    @property
    def summary(self) -> str:
        """One line: "Likely AI-made (83 %)"."""
        sure = "" if self.percent is None else f" ({self.percent} %)"
        return f"{self.headline}{sure}"

    @property
    def is_sure(self) -> bool:
        """Whether it is said without "likely": by the person, or by a model that is sure."""
        check = self.entry.check
        if self.said or check.label is None or check.p_fake is None:
            return self.said is not None
        return is_sure(check.label, check.p_fake)

    @property
    def percent(self) -> int | None:
        """How sure the model is, 1 .. 99; None where the words are not the model's or vague."""
        check = self.entry.check
        if self.said or check.p_fake is None or check.label in (None, "unsure"):
            return None
        return percent(check.label, check.p_fake)

    @property
    def explanation(self) -> list[str]:
        """The verdict in sentences: whose it is, what it means, and what it does not."""
        return [*self._of_person(), *self._of_model()]

    def _of_person(self) -> list[str]:
        if self.entry.said:
            return [f"You said so on {self.entry.said.at:%Y-%m-%d}. Your word counts."]
        if self.entry.alike:
            return [f"You said so of a near-copy of it on {self.entry.alike.at:%Y-%m-%d}."]
        return []

    def _of_model(self) -> list[str]:
        check = self.entry.check
        if check.label is None or check.p_fake is None:
            return [check.error or "It could not be checked."]
        whose = f"{check.model} with the prompt {check.prompt}"
        if check.label == "unsure":
            return [
                f"The model ({whose}) is too close to an even chance to say anything: "
                f"{round(100 * check.p_fake)} % for AI-made.",
                "Take it as no answer; ask for the source of the picture.",
            ]
        sure = percent(check.label, check.p_fake)
        if check.label == "fake":
            return [
                f"The model ({whose}) finds it {sure} % likely that a generator made it.",
                "It can be wrong: paintings, memes and heavy editing look alike to it.",
            ]
        return [
            f"The model ({whose}) finds no sign of a generator; it is {sure} % sure.",
            "That proves nothing: newer generators leave fewer signs.",
        ]


def verdict_of(answer: Answer) -> dict[str, Any]:
    """What an event tells of an answer, as JSON has it."""
    return {
        "id": answer.id,
        "label": answer.label,
        "word": answer.word,
        "summary": answer.summary,
        "is_sure": answer.is_sure,
    }


@dataclass(frozen=True)
class Ticket:
    """A check on its way."""

    id: str
    """Also the check's own, once it is done; another one where the log knew the answer."""
    state: TicketState
    answer: Answer | None = None
    """Once it is done."""
