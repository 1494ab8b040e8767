"""Replay: pictures of the base set, which must not be judged worse while others are learned.

Each step draws some of both labels. What moves their margins towards the wrong answer is punished
by its square, in units of the temperature. What moves them the other way is free: the margins need
not stay as they are, as in LwF (Li and Hoiem 2016), which left hardly anything to learn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from antifake.core.instructblip import InstructBlip, Question


@dataclass(frozen=True)
class Replay:
    """Pictures with the margins that they had at the start."""

    features: Callable[[Tensor], Tensor]
    """indices int64 [b] -> features [b, N, Hv] on the model's device"""
    margins: Tensor
    """float32 [n]"""
    is_fake: np.ndarray
    """bool [n]"""
    temperature: float
    weight: float
    reserve: float
    """How far a real picture should move away from "AI-made", in units of the temperature. Real
    pictures that are not replayed are then less likely to cross the threshold."""
    batch: int
    seed: int

    def penalty(self, model: InstructBlip, question: Question, step: int) -> Tensor:
        """Returns the penalty of the pictures that belong to this step, a scalar."""
        chosen = torch.from_numpy(self._drawn(step))
        margins = model.margin(self.features(chosen), question)
        is_fake = torch.from_numpy(self.is_fake)[chosen].to(margins.device)
        moved = (margins - self.margins[chosen].to(margins.device)) / self.temperature
        worse = torch.where(is_fake, -moved, moved + self.reserve).clamp(min=0)
        return self.weight * worse.square().mean()

    def _drawn(self, step: int) -> np.ndarray:
        """Returns the pictures of a step, half of them AI-made, int64 [batch]."""
        random = np.random.default_rng([self.seed, step])
        return np.concatenate(
            [
                random.choice(some, min(self.batch // 2, len(some)), replace=False)
                for some in (np.flatnonzero(~self.is_fake), np.flatnonzero(self.is_fake))
            ]
        )
