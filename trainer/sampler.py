"""The batch of each step, the view of each picture in it, and class weights.

All of it follows from the seed and the step, so a checkpoint holds nothing of it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .features import View
from .presets import Settings
from .samples import Sample


def truth(pictures: Sequence[Sample]) -> Tensor:
    """Returns is_fake, bool [n]."""
    return torch.tensor([one.is_fake for one in pictures])


def class_weights(
    pictures: Sequence[Sample], settings: Settings, counts: Sequence[float] | None = None
) -> Tensor:
    """Returns the weight of each picture, float32 [n], 1 on average.

    With balanced settings both classes have the same sum. Within a class a picture weighs as much
    as its count; None: all the same.
    """
    is_fake = truth(pictures)
    each = torch.ones(len(is_fake)) if counts is None else torch.tensor(counts)
    if settings.balanced:
        fakes, reals = each[is_fake].sum().clamp(min=1e-9), each[~is_fake].sum().clamp(min=1e-9)
        return each * torch.where(is_fake, len(is_fake) / (2 * fakes), len(is_fake) / (2 * reals))
    return each * len(is_fake) / each.sum()


def batch_of(n: int, epoch: int, within: int, settings: Settings) -> list[tuple[int, View]]:
    """Returns indices and views of the pictures of one step of an epoch, always the same ones."""
    order = np.random.default_rng([settings.seed, epoch]).permutation(n)
    chosen = order[within * settings.batch : (within + 1) * settings.batch]
    return [(int(i), view_of(int(i), epoch, settings)) for i in chosen]


def view_of(picture: int, epoch: int, settings: Settings) -> View:
    """Returns a picture's view in an epoch: perhaps flipped, with random_crop a random square."""
    draw = np.random.default_rng([settings.seed, epoch, picture]).uniform(size=3)
    at = (float(draw[1]), float(draw[2])) if settings.random_crop else None
    return View(flipped=bool(draw[0] < 0.5), at=at)
