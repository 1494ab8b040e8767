"""The candidates, from the cheapest on, each fitted to a part of the answers or to all of them.

bias         another threshold
calibration  another threshold and temperature
word         another word [*], with the base set replayed so that it stays as it is elsewhere
"""

from dataclasses import dataclass, replace

import numpy as np

from antifake.core.prompt import SoftPrompt
from antifake.trainer.calibration import Numbers, Truth, fit, fit_threshold

from .material import Material, logits_of, parts_of, with_threshold
from .word import Steps, fitted_word

FOLDS = 5
REPEATS = 10
"""How often the answers are parted into folds, for what takes no time."""
KINDS = ("bias", "calibration", "word")


@dataclass(frozen=True)
class Candidate:
    """A prompt fitted to all answers, and how such a fit judges answers that it has not seen."""

    kind: str
    prompt: SoftPrompt
    held_out: Numbers
    """Margins [n]; the mean over the repeats."""
    right: Numbers
    """Shares [n] of the repeats in which the answer was judged correctly."""


def fitted(kind: str, material: Material, steps: Steps) -> Candidate:
    """Fits a candidate to all answers, and to parts of them for the margins of the others."""
    if kind == "word":
        found = fitted_word(material, steps)
        called = logits_of(found.prompt, found.held_out) > 0
        return Candidate(
            kind, found.prompt, found.held_out, (called == material.is_fake).astype(float)
        )
    fit_to = {"bias": _bias, "calibration": _calibration}[kind]
    n = len(material.samples)
    total, done = FOLDS * REPEATS + 1, 0
    margins, right = np.zeros((REPEATS, n)), np.zeros((REPEATS, n))
    for repeat in range(REPEATS):
        for left_out in parts_of(material, FOLDS, repeat):
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
    return with_threshold(material.start, threshold), margins


def _calibration(material: Material, learn: Truth) -> tuple[SoftPrompt, Numbers]:
    """Returns the start with another threshold and temperature, and all margins [n].

    Raises UsageError where the answers contradict the model's order.
    """
    about, margins = material.start.about, material.at_start
    threshold, temperature = fit(margins[learn], material.is_fake[learn], material.counts[learn])
    new = replace(about, threshold=threshold, temperature=temperature)
    return replace(material.start, about=new), margins
