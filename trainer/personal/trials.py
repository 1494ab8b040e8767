"""Candidates before the gate: how they judge the person's own pictures and the base set's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from antifake.core.errors import UsageError
from antifake.core.prompt import SoftPrompt
from antifake.trainer.calibration import Numbers

from . import gate
from .budget import Goal, Outcome, within
from .candidates import KINDS, Candidate, fitted
from .gate import HeldOut
from .material import Material, judgements_of, verdicts_of, with_threshold
from .pictures import Progress
from .report import Judged


@dataclass(frozen=True)
class Trial:
    """A candidate that the gate has judged."""

    candidate: Candidate
    judged: Judged
    budget: Outcome | None


@dataclass(frozen=True)
class Known:
    """What the prompt in use was trained on, by sha256. Judged by itself it would seem to know
    all of it, so it says how fits without an answer judged it."""

    labels: dict[str, str]
    right: dict[str, float]
    p_fake: dict[str, float]

    @classmethod
    def of(cls, prompt: SoftPrompt) -> "Known":
        """Reads what a candidate of an earlier retraining says of itself."""
        rows: list[Any] = prompt.about.made.get("answers", [])
        return cls(
            {row[0]: row[1] for row in rows},
            {row[0]: float(row[2]) for row in rows},
            {row[0]: float(row[3]) for row in rows if len(row) > 3},
        )

    def taken_back(self, labels: dict[str, str]) -> int:
        """Returns how many of its answers are not among these any more, by sha256 and label."""
        return sum(labels.get(sha256) != label for sha256, label in self.labels.items())


def label_of(*, is_fake: bool) -> str:
    """Returns the label as requests and prompts spell it."""
    return "fake" if is_fake else "real"


def judged_before(material: Material, prompt: SoftPrompt, known: Known) -> HeldOut:
    """Returns how a prompt judges the answers.

    Those that it learned from, if it did, count as they did when they were held out.
    """
    found = judgements_of(prompt, material.margins(prompt), material.is_fake)
    if prompt is not material.start:
        for place, one in enumerate(material.samples):
            found.right[place] = known.right.get(one.sha256, found.right[place])
            found.p_fake[place] = known.p_fake.get(one.sha256, found.p_fake[place])
    return found


def trials(
    material: Material, before: HeldOut, goal: Goal | None, tell: Progress
) -> Iterator[Trial]:
    """Yields the candidates from the cheapest on, until one passes.

    `before` is as from `judged_before`.
    """
    for kind in KINDS:
        try:
            found = fitted(kind, material, partial(tell, kind))
        except UsageError:
            continue  # answers against the model's order have no calibration
        trial = _judged(found, material, before, goal)
        yield trial
        if trial.judged.passes:
            return


def _judged(found: Candidate, material: Material, before: HeldOut, goal: Goal | None) -> Trial:
    outcome = within(goal, real_margins(material, found)) if goal else None
    kept = _raised(found, material, outcome)
    own = gate.own_answers(before, kept.held_out, material.is_fake, material.groups, material.seed)
    base = _base_rates(material, kept.prompt)
    decision = gate.decide(own, base, keeps_budget=kept is not found)
    judged = Judged(found.kind, decision.passes, decision.reason, own, base)
    return Trial(kept, judged, outcome)


def real_margins(material: Material, found: Candidate) -> Numbers:
    """Returns the held-out margins of the real pictures; of a group its highest."""
    groups = material.groups[~material.is_fake]
    margins = found.margins[~material.is_fake]
    return np.array([margins[groups == number].max() for number in np.unique(groups)])


def _raised(found: Candidate, material: Material, outcome: Outcome | None) -> Candidate:
    """Returns the candidate with its threshold raised, if the budget needs that."""
    if outcome is None or outcome.threshold is None:
        return found
    if outcome.threshold <= found.prompt.about.threshold:
        return found
    prompt = with_threshold(found.prompt, outcome.threshold)
    return replace(
        found, prompt=prompt, held_out=judgements_of(prompt, found.margins, material.is_fake)
    )


def _base_rates(material: Material, prompt: SoftPrompt) -> gate.BaseRates | None:
    if material.held is None:
        return None
    is_fake = material.held.is_fake
    before, after = (
        verdicts_of(one, material.held_margins(one), is_fake) for one in (material.start, prompt)
    )
    return gate.base_rates(before, after, is_fake)
