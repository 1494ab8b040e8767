"""Which pictures a step learns from, how each is looked at, and what it counts.

All of it follows from the seed and the step, so nothing of it has to be kept.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .features import View
from .presets import Settings
from .survey import Surveyed


def truth(pictures: Sequence[Surveyed]) -> Tensor:
    """is_fake, bool [n]"""
    return torch.tensor([one.is_fake for one in pictures])


def class_weights(pictures: Sequence[Surveyed], settings: Settings) -> Tensor:
    """What each picture counts [n], 1 on average; balanced: both classes count the same."""
    is_fake = truth(pictures)
    if not settings.balanced:
        return torch.ones(len(is_fake))
    n, fakes = len(is_fake), int(is_fake.sum())
    return torch.where(is_fake, n / (2 * max(1, fakes)), n / (2 * max(1, n - fakes)))


def batch_of(n: int, epoch: int, within: int, settings: Settings) -> list[tuple[int, View]]:
    """The pictures of one step of an epoch and how each is looked at: always the same."""
    order = np.random.default_rng([settings.seed, epoch]).permutation(n)
    chosen = order[within * settings.batch : (within + 1) * settings.batch]
    return [(int(i), view_of(int(i), epoch, settings)) for i in chosen]


def view_of(picture: int, epoch: int, settings: Settings) -> View:
    """Flipped every other time; with the official augmentation also a square anywhere."""
    draw = np.random.default_rng([settings.seed, epoch, picture]).uniform(size=3)
    at = (float(draw[1]), float(draw[2])) if settings.random_crop else None
    return View(flipped=bool(draw[0] < 0.5), at=at)
