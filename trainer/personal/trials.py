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
from .material import Material, logits_of
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
    """What the prompt in use was trained on: the label of each picture, by sha256, and the share
    of fits without it that judged it correctly. Judged by itself it would seem to know them all."""

    labels: dict[str, str]
    right: dict[str, float]

    @classmethod
    def of(cls, prompt: SoftPrompt) -> "Known":
        """Reads what a candidate of an earlier retraining says of itself."""
        rows: list[Any] = prompt.about.made.get("answers", [])
        return cls({row[0]: row[1] for row in rows}, {row[0]: float(row[2]) for row in rows})

    def taken_back(self, labels: dict[str, str]) -> int:
        """Returns how many of its answers are not among these any more, by sha256 and label."""
        return sum(labels.get(sha256) != label for sha256, label in self.labels.items())


def label_of(*, is_fake: bool) -> str:
    """Returns the label as requests and prompts spell it."""
    return "fake" if is_fake else "real"


def right_before(material: Material, prompt: SoftPrompt, known: Known) -> Numbers:
    """Returns how often a prompt judges each answer correctly, shares [n].

    Answers that it learned from, if it did, count as they did when they were held out.
    """
    called = logits_of(prompt, material.margins(prompt)) > 0
    right: Numbers = (called == material.is_fake).astype(float)
    if prompt is not material.start:
        for place, one in enumerate(material.samples):
            right[place] = known.right.get(one.sha256, right[place])
    return right


def trials(
    material: Material, before: Numbers, goal: Goal | None, tell: Progress
) -> Iterator[Trial]:
    """Yields the candidates from the cheapest on, until one passes.

    `before` [n] is as from `right_before`.
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


def _judged(found: Candidate, material: Material, before: Numbers, goal: Goal | None) -> Trial:
    outcome = within(goal, real_margins(material, found)) if goal else None
    kept = _raised(found, material, outcome)
    own = gate.own_answers(before, kept.right, material.is_fake, material.groups, material.seed)
    base = _base_rates(material, kept.prompt)
    decision = gate.decide(own, base, keeps_budget=kept is not found)
    judged = Judged(found.kind, decision.passes, decision.reason, own, base)
    return Trial(kept, judged, outcome)


def real_margins(material: Material, found: Candidate) -> Numbers:
    """Returns the held-out margins of the real pictures; of a group its highest."""
    groups = material.groups[~material.is_fake]
    margins = found.held_out[~material.is_fake]
    return np.array([margins[groups == number].max() for number in np.unique(groups)])


def _raised(found: Candidate, material: Material, outcome: Outcome | None) -> Candidate:
    """Returns the candidate with its threshold raised, if the budget needs that."""
    about = found.prompt.about
    if outcome is None or outcome.threshold is None or outcome.threshold <= about.threshold:
        return found
    new = replace(about, threshold=outcome.threshold)
    called = found.held_out > outcome.threshold
    return replace(
        found,
        prompt=replace(found.prompt, about=new),
        right=(called == material.is_fake).astype(float),
    )


def _base_rates(material: Material, prompt: SoftPrompt) -> gate.BaseRates | None:
    if material.held is None:
        return None
    is_fake = material.held.is_fake
    before, after = (
        (logits_of(one, material.held_margins(one)) > 0) == is_fake
        for one in (material.start, prompt)
    )
    return gate.base_rates(before, after, is_fake)
