"""The third candidate: another word [*], learned while the base set is replayed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from antifake.core.prompt import SoftPrompt
from antifake.trainer.base_set.rows import ReplaySettings, replayed
from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.distributed import ProcessGroup
from antifake.trainer.objective import PairLoss
from antifake.trainer.presets import PERSONAL
from antifake.trainer.replay import Replay
from antifake.trainer.splits import folds
from antifake.trainer.trainable import lengthened, trainable_prompt, trained_prompt
from antifake.trainer.tune import Task, fit

from .material import Material, parts_of, with_threshold

FOLDS = 3
"""A fit of the word takes half a minute on two cores, that to all answers a little more."""
TOKENS = 8
"""Length of the word. One token moves all margins alike; docs/learning.md has the figures."""
REPLAY = ReplaySettings(weight=3.0, reserve=0.5, focus=1.0, batch=32)

Steps = Callable[[int, int], None]
"""(done, total) of one candidate"""

STRENGTHS = (1.0, 0.75, 0.5)
"""Shares of the way from the start to the learned word, as in WiSE-FT (Wortsman et al. 2022): on
the way back, what a word does elsewhere fades sooner than what it was learned for."""


@dataclass(frozen=True)
class FittedWord:
    prompt: SoftPrompt
    held_out: Numbers
    """Margins [n] of all answers, each by a fit without it."""


def fitted_word(material: Material, steps: Steps) -> FittedWord:
    """Fits the word, and its strength and threshold to pictures of the base set it was not shown.

    Each fit to a part of the answers also leaves out a part of the owners of the base set. What
    it does to their pictures is what it does to any others. What it does to those that are
    replayed is better, and says little. The answers have no say in this, so they can judge it.
    """
    fits = []
    for number, (answers, others) in enumerate(_apart(material)):
        fits.append(_Fit(tuned(material, ~answers, ~others), answers, others))
        steps(number + 1, FOLDS + 1)
    every, shown = np.ones(len(material.samples), bool), np.ones(len(material.replay or ()), bool)
    learned = tuned(material, every, shown)
    steps(FOLDS + 1, FOLDS + 1)
    best = _least_harmful(material, fits)
    prompt = with_threshold(_towards(material, learned, best.strength), best.threshold)
    return FittedWord(prompt, _held_out(material, fits, best.strength))


@dataclass(frozen=True)
class _Fit:
    """A word, and what it was kept from."""

    prompt: SoftPrompt
    answers: Truth
    """bool [n]"""
    others: Truth
    """bool [m], of the base set"""


@dataclass(frozen=True)
class _Choice:
    strength: float
    threshold: float
    change: float
    """Of the share of correct judgements, for the class that fares worse."""


def _apart(material: Material) -> Iterator[tuple[Truth, Truth]]:
    """Yields which answers [n] and which pictures of the base set [m] each fit leaves out."""
    replay = material.replay
    fold = folds(replay.is_fake, replay.owners, FOLDS, material.seed) if replay else np.zeros(0)
    for number, answers in enumerate(parts_of(material, FOLDS, 0)):
        yield answers, fold == number


def _least_harmful(material: Material, fits: Sequence[_Fit]) -> _Choice:
    """Returns the strongest choice that makes neither class worse, else the least harmful one."""
    replay, threshold = material.replay, material.start.about.threshold
    if replay is None:
        return _Choice(1.0, threshold, 0.0)
    before, choices = material.replay_at_start > threshold, []
    for strength in STRENGTHS:
        margins = np.zeros(len(replay))
        for one in fits:
            if one.others.any():
                prompt = _towards(material, one.prompt, strength)
                margins[one.others] = replay.margins(material.model, prompt, one.others)
        found = fair_threshold(margins, before, replay.is_fake, threshold)
        choices.append(_Choice(strength, *found))
        if choices[-1].change >= 0:
            break
    return max(choices, key=lambda one: one.change)


def _held_out(material: Material, fits: Sequence[_Fit], strength: float) -> Numbers:
    """Returns the margins of all answers, each by the fit that left it out, [n]."""
    margins = np.zeros(len(material.samples))
    for one in fits:
        prompt = _towards(material, one.prompt, strength)
        margins[one.answers] = material.margins(prompt, one.answers)
    return margins


def _towards(material: Material, learned: SoftPrompt, strength: float) -> SoftPrompt:
    """Returns the word at a share of the way from the start to the learned one."""
    start = lengthened(material.start, TOKENS, material.seed)
    return replace(
        learned,
        qformer=torch.lerp(start.qformer, learned.qformer, strength),
        llm=torch.lerp(start.llm, learned.llm, strength),
    )


def fair_threshold(
    margins: Numbers, before: Truth, is_fake: Truth, nearest_to: float
) -> tuple[float, float]:
    """Returns the threshold at which the class that fares worse fares best, and how it fares.

    margins [m] with the new word; `before` [m] says which were called AI-made. Of thresholds that
    are as good, the nearest to `nearest_to` is taken. How it fares is the change of the share
    that is judged correctly.
    """
    ordered = np.unique(margins)
    tried = np.concatenate([[nearest_to], (ordered[1:] + ordered[:-1]) / 2])
    tried = tried[np.argsort(np.abs(tried - nearest_to), kind="stable")]
    changes = []
    for label in (False, True):
        some = is_fake == label
        was_right = (before[some] == label).mean()
        is_right = ((margins[some][None] > tried[:, None]) == label).mean(axis=1)
        changes.append(is_right - was_right)
    worse = np.minimum(*changes)
    best = int(np.argmax(worse))
    return float(tried[best]), float(worse[best])


def tuned(material: Material, learn: Truth, shown: Truth) -> SoftPrompt:
    """Returns the start after training its word on the chosen answers, bool [n], while the chosen
    pictures of the base set, bool [m], are replayed."""
    model = material.model
    start = lengthened(material.start, TOKENS, material.seed)
    trainable = trainable_prompt(model, start)
    task = Task(
        model=model,
        trainable=trainable,
        objective=PairLoss(model, start.about),
        extractor=material.kept,
        learn=material.chosen(learn),
        validate=[],
        settings=replace(PERSONAL, seed=material.seed),
        threshold=start.about.threshold,
        counts=material.counts[learn].tolist(),
        replay=_replay(material, shown),
    )
    fit(task, ProcessGroup(), lambda _: None)
    return trained_prompt(trainable.copy(), start)


def _replay(material: Material, shown: Truth) -> Replay | None:
    if material.replay is None or not shown.any():
        return None
    much = replace(REPLAY, seed=material.seed)
    return replayed(material.replay, shown, material.replay_at_start, material.start, much)
