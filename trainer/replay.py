"""Replay: pictures of the base set, whose verdicts must not change while others are learned.

Each step draws some of both labels. What their calibrated logits differ from those at the start
costs its square: dark experience replay (Buzzega et al., NeurIPS 2020, arXiv 2004.07211), which
keeps logits from along the way where these are all from the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from antifake.core.instructblip import InstructBlip, Question

_FAKE_SHARE = 0.4
"""Of the pictures of a step. Real ones that are called AI-made are what people mind most."""


@dataclass(frozen=True)
class Replay:
    """Pictures with the calibrated logits that they had at the start; above 0 is "AI-made"."""

    features: Callable[[Tensor], tuple[Tensor, Tensor]]
    """indices int64 [b] -> features [b, N, Hv] on the model's device, and their counts [b, N]"""
    logits: Tensor
    """float32 [n]"""
    is_fake: np.ndarray
    """bool [n]"""
    threshold: float
    temperature: float
    weight: float
    focus: float
    """How fast a picture's chance to be drawn falls with its distance from the threshold at the
    start, in units of the temperature: by e in each. Those far away hardly ever cross it."""
    batch: int
    seed: int

    def penalty(self, model: InstructBlip, question: Question, step: int) -> Tensor:
        """Returns the penalty of the pictures that belong to this step, a scalar."""
        chosen = torch.from_numpy(self._drawn(step))
        features, counts = self.features(chosen)
        margins = model.margin(features, question, counts)
        logits = (margins - self.threshold) / self.temperature
        moved = logits - self.logits[chosen].to(margins.device)
        return self.weight * moved.square().mean()

    def _drawn(self, step: int) -> np.ndarray:
        """Returns the pictures of a step, int64 [batch]."""
        random = np.random.default_rng([self.seed, step])
        fakes = round(_FAKE_SHARE * self.batch)
        return np.concatenate(
            [
                random.choice(pictures, min(many, len(pictures)), replace=False, p=chances)
                for many, (pictures, chances) in zip(
                    (self.batch - fakes, fakes), self._chances, strict=True
                )
                if len(pictures)
            ]
        )

    @cached_property
    def _chances(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns the real and the AI-made pictures, int64, and the chances to be drawn."""
        near = np.exp(-self.logits.abs().double().numpy() / self.focus)
        found = []
        for label in (False, True):
            pictures = np.flatnonzero(self.is_fake == label)
            found.append((pictures, near[pictures] / near[pictures].sum()))
        return found
