"""What a retraining says at the end: report.json. Imports no torch."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from antifake.core.verdict import Label

from .budget import Outcome
from .gate import BaseRates, OwnAnswers, rounded

SCHEMA = 1


@dataclass(frozen=True)
class AnswerCounts:
    """What there was to learn from."""

    real: int
    fake: int
    groups: int
    """Pictures, if near-duplicates count once."""
    contradictions: list[list[str]]
    """Groups of near-duplicates that have both labels, each the sha256 of its answers."""
    counted_once: int
    """Answers that only repeat another one of their group."""
    unreadable: int = 0


@dataclass(frozen=True)
class Judged:
    """A candidate, as the gate saw it."""

    kind: str
    passes: bool
    reason: str
    own: OwnAnswers
    base: BaseRates | None


@dataclass(frozen=True)
class Judgement:
    label: Label
    p_fake: float


@dataclass(frozen=True)
class Changed:
    """A past verdict that would be another one."""

    id: int | str
    before: Judgement
    after: Judgement


@dataclass(frozen=True)
class Flips:
    """What the candidate changes."""

    mended: list[str] = field(default_factory=list)
    """Answers, by sha256, that it judges as the person does and the prompt in use does not."""
    broken: list[str] = field(default_factory=list)
    """The other way round."""
    verdicts: list[Changed] = field(default_factory=list)
    judged: int = 0
    """Past verdicts that were judged again."""


@dataclass(frozen=True)
class Report:
    outcome: str
    """promote, candidate or nothing."""
    reason: str
    chosen: str | None
    base: str
    """The model's fingerprint."""
    start: str
    current: str
    """Ids of the prompts."""
    answers: AnswerCounts
    candidates: list[Judged]
    flips: Flips
    budget: Outcome | None
    taken_back: int
    """Answers that the prompt in use learned from and that are no longer given so."""
    seconds: dict[str, float]

    def to_json(self) -> bytes:
        raw: dict[str, Any] = {
            "schema": SCHEMA,
            "outcome": self.outcome,
            "reason": self.reason,
            "chosen": self.chosen,
            "base": self.base,
            "start": self.start,
            "current": self.current,
            "words": asdict(self.answers),
            "candidates": [_judged(one) for one in self.candidates],
            "flips": asdict(self.flips),
            "budget": _budget(self.budget) if self.budget else None,
            "taken_back": self.taken_back,
            "seconds": {stage: round(took, 2) for stage, took in self.seconds.items()},
        }
        return json.dumps(raw, indent=1).encode()


def _judged(one: Judged) -> dict[str, Any]:
    base = rounded(one.base) if one.base else None
    return {
        "kind": one.kind,
        "passes": one.passes,
        "reason": one.reason,
        "own": rounded(one.own),
        "base": base,
    }


def _budget(one: Outcome) -> dict[str, Any]:
    return {
        "one_in": one.goal.one_in,
        "confidence": one.goal.confidence,
        "n_real": one.n_real,
        "needed": one.goal.needed,
        "threshold": one.threshold,
        "reached": one.reached,
        "reason": one.reason,
    }
