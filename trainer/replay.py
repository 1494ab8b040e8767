"""Replay: pictures of the base set, whose margins must stay as they are while others are learned.

Each step draws some of them and adds the squared change of their margins, in units of the
temperature, to the loss (a function-space form of elastic weights; see LwF, Li and Hoiem 2016).
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
    temperature: float
    weight: float
    batch: int
    seed: int

    def penalty(self, model: InstructBlip, question: Question, step: int) -> Tensor:
        """Returns the penalty of the pictures that belong to this step, a scalar."""
        random = np.random.default_rng([self.seed, step])
        drawn = random.choice(len(self.margins), min(self.batch, len(self.margins)), replace=False)
        chosen = torch.from_numpy(np.sort(drawn))
        margins = model.margin(self.features(chosen), question)
        moved = (margins - self.margins[chosen].to(margins.device)) / self.temperature
        return self.weight * moved.square().mean()
