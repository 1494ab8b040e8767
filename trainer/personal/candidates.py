"""The candidates, from the cheapest on, each fitted to a part of the answers or to all of them.

bias         another threshold
calibration  another threshold and temperature
word         another word [*], with the base set replayed so that it stays as it is elsewhere
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from antifake.core.instructblip import InstructBlip
from antifake.core.prompt import SoftPrompt
from antifake.trainer.base_set.rows import ReplaySettings
from antifake.trainer.calibration import Numbers, Truth, fit, fit_threshold
from antifake.trainer.distributed import ProcessGroup
from antifake.trainer.features import PLAIN
from antifake.trainer.objective import PairLoss
from antifake.trainer.presets import PERSONAL, Settings
from antifake.trainer.replay import Replay
from antifake.trainer.samples import Sample
from antifake.trainer.splits import folds
from antifake.trainer.trainable import lengthened, trainable_prompt, trained_prompt
from antifake.trainer.tune import Task
from antifake.trainer.tune import fit as fit_word

from .pictures import KeptFeatures

FOLDS = {"bias": 5, "calibration": 5, "word": 3}
REPEATS = {"bias": 10, "calibration": 10, "word": 1}
"""How often the answers are parted into folds. A word takes up to half a minute for each fold."""
TOKENS = 8
"""Length of the word. One token moves all margins alike; docs/learning.md has the figures."""
REPLAY = ReplaySettings(weight=6.0, reserve=0.15, batch=16)
KINDS = tuple(REPEATS)
BATCH = 16

Steps = Callable[[int, int], None]
"""(done, total) of one candidate"""


@dataclass(frozen=True)
class Material:
    """What candidates are fitted to. The model reads keys and values while they are."""

    model: InstructBlip
    start: SoftPrompt
    samples: list[Sample]
    groups: np.ndarray
    """int [n]"""
    kept: KeptFeatures
    replay: Replay | None
    seed: int

    @cached_property
    def at_start(self) -> Numbers:
        """Returns the margins of all answers with the start, [n]."""
        return self.margins(self.start)

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

    def margins(self, prompt: SoftPrompt) -> Numbers:
        """Returns the margins of all answers with a prompt, [n]."""
        return margins_of(self.model, prompt, self.samples, self.kept)


@dataclass(frozen=True)
class Candidate:
    """A prompt fitted to all answers, and how such a fit judges answers that it has not seen."""

    kind: str
    prompt: SoftPrompt
    held_out: Numbers
    """Margins [n]; the mean over the repeats."""
    right: Numbers
    """Shares [n] of the repeats in which the answer was judged correctly."""


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


def fitted(kind: str, material: Material, steps: Steps) -> Candidate:
    """Fits a candidate to all answers, and to parts of them for the margins of the others."""
    fit_to = {"bias": _bias, "calibration": _calibration, "word": _word}[kind]
    n, repeats = len(material.samples), REPEATS[kind]
    total, done = FOLDS[kind] * repeats + 1, 0
    margins, right = np.zeros((repeats, n)), np.zeros((repeats, n))
    for repeat in range(repeats):
        fold = folds(material.is_fake, material.groups, FOLDS[kind], material.seed + repeat)
        for number in range(FOLDS[kind]):
            left_out = fold == number
            prompt, judged = fit_to(material, ~left_out)
            margins[repeat, left_out] = judged[left_out]
            called = logits_of(prompt, judged[left_out]) > 0
            right[repeat, left_out] = called == material.is_fake[left_out]
            steps(done := done + 1, total)
    prompt, _ = fit_to(material, np.ones(n, bool))
    steps(total, total)
    return Candidate(kind, prompt, margins.mean(axis=0), right.mean(axis=0))


def _bias(material: Material, learn: Truth) -> tuple[SoftPrompt, Numbers]:
    """Returns the start with another threshold, and the margins of all answers [n]."""
    about, margins = material.start.about, material.at_start
    threshold = fit_threshold(
        margins[learn], material.is_fake[learn], about.temperature, material.counts[learn]
    )
    return replace(material.start, about=replace(about, threshold=threshold)), margins


def _calibration(material: Material, learn: Truth) -> tuple[SoftPrompt, Numbers]:
    """Returns the start with another threshold and temperature, and all margins [n].

    Raises UsageError where the answers contradict the model's order.
    """
    about, margins = material.start.about, material.at_start
    threshold, temperature = fit(margins[learn], material.is_fake[learn], material.counts[learn])
    new = replace(about, threshold=threshold, temperature=temperature)
    return replace(material.start, about=new), margins


def _word(material: Material, learn: Truth) -> tuple[SoftPrompt, Numbers]:
    """Returns the start with another word, and the margins of all answers [n]."""
    prompt = tuned(material, learn, PERSONAL)
    return prompt, material.margins(prompt)


def tuned(material: Material, learn: Truth, settings: Settings) -> SoftPrompt:
    """Returns the start after training its word on the chosen answers, bool [n]."""
    model = material.model
    start = lengthened(material.start, TOKENS, material.seed)
    trainable = trainable_prompt(model, start)
    task = Task(
        model=model,
        trainable=trainable,
        objective=PairLoss(model, start.about),
        extractor=material.kept,
        learn=[one for one, is_learned in zip(material.samples, learn, strict=True) if is_learned],
        validate=[],
        settings=replace(settings, seed=material.seed),
        threshold=start.about.threshold,
        counts=material.counts[learn].tolist(),
        replay=material.replay,
    )
    fit_word(task, ProcessGroup(), lambda _: None)
    return trained_prompt(trainable.copy(), start)
