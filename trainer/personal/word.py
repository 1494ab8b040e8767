"""The third candidate: another word [*], learned while the base set is replayed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from antifake.core.prompt import SoftPrompt
from antifake.trainer.base_set.rows import ReplaySettings, replayed
from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.distributed import ProcessGroup
from antifake.trainer.objective import PairLoss
from antifake.trainer.presets import PERSONAL
from antifake.trainer.replay import Replay
from antifake.trainer.trainable import lengthened, trainable_prompt, trained_prompt
from antifake.trainer.tune import Task, fit

from .material import Material, parts_of

FOLDS = 3
"""A fit of the word takes half a minute on two cores."""
TOKENS = 8
"""Length of the word. One token moves all margins alike; docs/learning.md has the figures."""
STEPS = 64
"""Of each fit, however few the answers: what differs between fits is then what they were shown."""
LEAST_EPOCHS = 2

Steps = Callable[[int, int], None]
"""(done, total) of one candidate"""


@dataclass(frozen=True)
class FittedWord:
    prompt: SoftPrompt
    margins: Numbers
    """[n] of all answers, each by a fit without it."""


def fitted_word(material: Material, steps: Steps) -> FittedWord:
    """Fits the word to all answers, and to parts of them for the margins of the others."""
    margins = np.zeros(len(material.samples))
    for number, left_out in enumerate(parts_of(material, FOLDS, 0)):
        margins[left_out] = material.margins(tuned(material, ~left_out), left_out)
        steps(number + 1, FOLDS + 1)
    prompt = tuned(material, np.ones(len(margins), bool))
    steps(FOLDS + 1, FOLDS + 1)
    return FittedWord(prompt, margins)


def tuned(material: Material, learn: Truth) -> SoftPrompt:
    """Returns the start after training its word on the chosen answers, bool [n], while pictures
    of the base set are replayed."""
    model, samples = material.model, material.chosen(learn)
    epochs = max(LEAST_EPOCHS, round(STEPS / PERSONAL.steps_per_epoch(len(samples))))
    start = lengthened(material.start, TOKENS, material.seed)
    trainable = trainable_prompt(model, start)
    task = Task(
        model=model,
        trainable=trainable,
        objective=PairLoss(model, start.about),
        extractor=material.kept,
        learn=samples,
        validate=[],
        settings=replace(PERSONAL, seed=material.seed, epochs=epochs),
        threshold=start.about.threshold,
        counts=material.counts[learn].tolist(),
        replay=_replay(material),
    )
    fit(task, ProcessGroup(), lambda _: None)
    return trained_prompt(trainable.copy(), start)


def _replay(material: Material) -> Replay | None:
    if material.replay is None:
        return None
    much = ReplaySettings(batch=PERSONAL.replay, seed=material.seed)
    return replayed(material.replay, material.replay_at_start, material.start, much)
