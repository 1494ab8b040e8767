"""The candidates, from the cheapest on, each fitted to a part of the answers or to all of them.

bias         another threshold
calibration  another threshold and temperature
word         another word [*], with the base set replayed so that it stays as it is elsewhere
"""

from dataclasses import dataclass, replace

import numpy as np

from antifake.core.prompt import SoftPrompt
from antifake.trainer.calibration import Numbers, Truth, fit, fit_threshold

from .gate import HeldOut
from .material import Material, judgements_of, parts_of, with_threshold
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
    margins: Numbers
    """[n], held out; the mean over the repeats."""
    held_out: HeldOut


def fitted(kind: str, material: Material, steps: Steps) -> Candidate:
    """Fits a candidate to all answers, and to parts of them for the margins of the others."""
    if kind == "word":
        word = fitted_word(material, steps)
        held_out = judgements_of(word.prompt, word.margins, material.is_fake)
        return Candidate(kind, word.prompt, word.margins, held_out)
    fit_to = {"bias": _bias, "calibration": _calibration}[kind]
    n = len(material.samples)
    total, done = FOLDS * REPEATS + 1, 0
    margins, right, p_fake = (np.zeros((REPEATS, n)) for _ in range(3))
    for repeat in range(REPEATS):
        for left_out in parts_of(material, FOLDS, repeat):
            prompt, all_margins = fit_to(material, ~left_out)
            margins[repeat, left_out] = all_margins[left_out]
            found = judgements_of(prompt, all_margins[left_out], material.is_fake[left_out])
            right[repeat, left_out], p_fake[repeat, left_out] = found.right, found.p_fake
            steps(done := done + 1, total)
    prompt, _ = fit_to(material, np.ones(n, bool))
    steps(total, total)
    held_out = HeldOut(right.mean(axis=0), p_fake.mean(axis=0))
    return Candidate(kind, prompt, margins.mean(axis=0), held_out)


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
