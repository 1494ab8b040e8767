"""Hyperparameters of prompt tuning: the paper's, and those for a few hundred corrections.

With the pictures and the model they determine the result of a run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a run."""

    preset: str
    warm: bool
    """Start from an existing prompt, not from small random numbers."""
    loss: str
    """"official": over the whole vocabulary, answer and </s>. "pair": "yes" against "no"."""
    lr: float
    weight_decay: float
    epochs: int
    steps: int
    """The most in all; 0: as many as the epochs have."""
    batch: int
    """Pictures per step, over all processes together."""
    eval_batch: int
    seed: int
    dropout: bool
    """Whether the Q-Former's dropout is active during training."""
    random_crop: bool
    """Use the official augmentation, which needs the vision tower each time; else only flips."""
    official_schedule: bool
    """Use the official cosine with one rate per epoch; else a constant rate."""
    patience: int
    """Epochs without a better validation loss before the run ends; 0: never."""
    l2_sp: float
    """Weight of the L2-SP penalty: the squared distance from the start, relative to its length."""
    balanced: bool
    """Give both classes the same weight, however many pictures each has."""
    replay: int
    """Pictures per step of the model's base set, if it has one, that are to keep their scores."""

    def lr_at(self, epoch: int, step: int) -> float:
        """Returns the learning rate of a step of an epoch, both counted from 0."""
        if not self.official_schedule:
            return self.lr
        if epoch == 0:  # the official warm-up of 0 steps: one step at its initial 1e-8
            return 1e-8 if step == 0 else self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def total_steps(self, n_pictures: int) -> int:
        """Returns the largest number of steps that a run can have."""
        total = self.epochs * self.steps_per_epoch(n_pictures)
        return min(total, self.steps) if self.steps else total

    def steps_per_epoch(self, n_pictures: int) -> int:
        """Returns the number of batches in an epoch; the last one may be smaller.

        >>> CORRECTIONS.batch, CORRECTIONS.steps_per_epoch(50)
        (8, 7)
        """
        return math.ceil(n_pictures / self.batch)


PAPER = Settings(
    preset="paper",
    warm=False,
    loss="official",
    lr=1e-5,
    weight_decay=0.05,
    epochs=10,
    steps=0,
    batch=6,
    eval_batch=8,
    seed=42,
    dropout=True,
    random_crop=True,
    official_schedule=True,
    patience=0,
    l2_sp=0.0,
    balanced=False,
    replay=0,
)
"""As nctu-eva-lab/AntifakePrompt@957c1e1 trains, for some 100,000 pictures."""

CORRECTIONS = Settings(
    preset="corrections",
    warm=True,
    loss="pair",
    lr=3e-3,
    weight_decay=0.0,
    epochs=20,
    steps=0,
    batch=8,
    eval_batch=8,
    seed=42,
    dropout=False,
    random_crop=False,
    official_schedule=False,
    patience=4,
    l2_sp=0.3,
    balanced=True,
    replay=24,
)
"""For 10 to 1000 pictures that the prompt in use gets wrong, or that are new to it.

Rate and L2-SP were measured on `mini`: 50 real and 50 AI-made pictures of new sources, three
seeds, balanced loss on 200 pictures of other new sources, 0.537 before.
With L2-SP 0.3, rate 3e-4: 0.518, 1e-3: 0.496, 3e-3: 0.491, 1e-2: 0.501.
At rate 3e-3, L2-SP 0: 0.527, 0.03: 0.520, 0.1: 0.503, 0.3: 0.491, 1: 0.526.
The next `mini`, L2-SP 0.3: 0.496 before, 1e-3: 0.402, 3e-3: 0.401.
On today's it cost up to 5 points elsewhere without replay, and at most 0.8 with it (MODEL_CARD.md).
"""

PERSONAL = replace(
    CORRECTIONS,
    preset="personal",
    lr=1e-2,
    batch=24,
    official_schedule=True,
    patience=0,
    l2_sp=0.0,
    replay=48,
)
"""For a person's own answers: all are learned from, and the rate falls to nothing, so that no
answers have to be held back for the choice of an epoch."""

PRESETS = {settings.preset: settings for settings in (PAPER, CORRECTIONS)}


def chosen(preset: str, given: Mapping[str, Any]) -> Settings:
    """Returns a preset's settings with the given values in their place. None: not given."""
    settings = PRESETS[preset]
    changes = {name: value for name, value in given.items() if value is not None}
    if "steps" in changes and "epochs" not in changes and not settings.official_schedule:
        changes["epochs"] = changes["steps"]  # so that only the number of steps limits the run
    return replace(settings, **changes)
