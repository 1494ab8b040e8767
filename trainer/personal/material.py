"""What candidates are fitted to: the answers and the base set, as the model reads them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.special import expit

from antifake.core.instructblip import InstructBlip
from antifake.core.prompt import SoftPrompt
from antifake.trainer.base_set.rows import BaseRows
from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.features import PLAIN
from antifake.trainer.samples import Sample
from antifake.trainer.splits import folds

from .gate import HeldOut
from .pictures import KeptFeatures

BATCH = 16
_CALLED = {"fake": 1.0, "unsure": 0.5, "real": 0.0}
"""What a verdict counts for on an AI-made picture; on a real one, the rest of 1."""


@dataclass(frozen=True)
class Material:
    """What candidates are fitted to. The model reads keys and values while they are."""

    model: InstructBlip
    start: SoftPrompt
    samples: list[Sample]
    groups: np.ndarray
    """int [n]"""
    kept: KeptFeatures
    replay: BaseRows | None
    """Pictures of the base set that are shown while a word is learned."""
    held: BaseRows | None
    """Those of the gate."""
    seed: int

    @cached_property
    def at_start(self) -> Numbers:
        """Returns the margins of all answers with the start, [n]."""
        return self.margins(self.start)

    @cached_property
    def replay_at_start(self) -> Numbers:
        """Returns the margins of all pictures that are replayed with the start, [m]."""
        return self.replay.margins(self.model, self.start) if self.replay else np.zeros(0)

    def held_margins(self, prompt: SoftPrompt) -> Numbers:
        """Returns the margins of the gate's pictures with a prompt, [k]."""
        same_word = prompt.qformer is self.start.qformer and prompt.llm is self.start.llm
        if self.held is None or same_word:
            return self._held_at_start
        return self.held.margins(self.model, prompt)

    @cached_property
    def _held_at_start(self) -> Numbers:
        return self.held.margins(self.model, self.start) if self.held else np.zeros(0)

    @property
    def is_fake(self) -> Truth:
        """Returns bool [n]."""
        return np.array([one.is_fake for one in self.samples], bool)

    @property
    def counts(self) -> Numbers:
        """Returns how much each answer counts, [n]: a group counts as one picture."""
        _, place, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        counts: Numbers = 1.0 / sizes[place]
        return counts

    def margins(self, prompt: SoftPrompt, chosen: Truth | None = None) -> Numbers:
        """Returns the margins of all answers with a prompt, or of chosen ones, bool [n]: [k]."""
        samples = self.samples if chosen is None else self.chosen(chosen)
        return margins_of(self.model, prompt, samples, self.kept)

    def chosen(self, some: Truth) -> list[Sample]:
        """Returns the answers of a mask, bool [n]."""
        return [one for one, is_chosen in zip(self.samples, some, strict=True) if is_chosen]


def parts_of(material: Material, n: int, repeat: int) -> Iterator[Truth]:
    """Yields which answers are left out of each of n fits, bool [n]."""
    fold = folds(material.is_fake, material.groups, n, material.seed + repeat)
    for number in range(n):
        yield fold == number


def with_threshold(prompt: SoftPrompt, threshold: float) -> SoftPrompt:
    """Returns the prompt with another threshold, and with the same word."""
    return replace(prompt, about=replace(prompt.about, threshold=threshold))


@torch.inference_mode()
def margins_of(
    model: InstructBlip, prompt: SoftPrompt, samples: list[Sample], kept: KeptFeatures
) -> Numbers:
    """Returns l_no - l_yes of each sample, float64 [n]."""
    question = model.question(prompt)
    found = []
    for at in range(0, len(samples), BATCH):
        batch = samples[at : at + BATCH]
        found.append(model.margin(kept.features(batch, [PLAIN] * len(batch)), question).cpu())
    return torch.cat(found).double().numpy()


def logits_of(prompt: SoftPrompt, margins: Numbers) -> Numbers:
    """Returns calibrated logits [n] of margins [n]; above 0 a picture is called AI-made."""
    return (margins - prompt.about.threshold) / prompt.about.temperature


def judgements_of(prompt: SoftPrompt, margins: Numbers, is_fake: Truth) -> HeldOut:
    """Returns how a prompt judges pictures [n] with these margins that it was not fitted to."""
    logits = logits_of(prompt, margins)
    return HeldOut(((logits > 0) == is_fake).astype(float), expit(logits))


def verdicts_of(prompt: SoftPrompt, margins: Numbers, is_fake: Truth) -> Numbers:
    """Returns what a prompt's verdicts on pictures [n] with these margins count for, [n]: a right
    one 1, "cannot tell" a half, a wrong one nothing."""
    p_fake, bands = expit(logits_of(prompt, margins)), prompt.about.bands
    called = np.array([_CALLED[bands.label(p)] for p in p_fake])
    return np.where(is_fake, called, 1 - called)
