"""Makes the AI-made sample picture: python -m antifake.trainer.dreaming core/pictures/dream.jpg

A neural network, the image tower of `mini`, paints over a photograph until its middle layer sees
more of what it sees there (DeepDream: Mordvintsev, Olah and Tyka, 2015). Nothing in it asks what
the detector thinks of the picture.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from antifake.core.catalog import MINI, user_home
from antifake.core.detector import Detector, load_detector
from antifake.core.samples import photographs

SIDE = 288
SMALLEST = 200
LAYER = 6
STEPS = 49
STEP = 0.012
BACK = 0.01
"""How strongly each step pulls back to the photograph."""
BLURS = (3, 9, 25)
"""Sizes in pixels of the strokes."""
SEED = 1


def dream(detector: Detector, photograph: Image.Image, steps: int = STEPS) -> Image.Image:
    """Returns the middle square of a photograph, painted over, SIDE pixels wide."""
    torch.manual_seed(SEED)
    detector.model.float()
    start = _square(photograph)  # [1, 3, S, S] in [0, 1]
    picture = start.clone()
    for _ in range(steps):
        picture.requires_grad_()
        views = torch.cat([_view(picture, detector.model.image_size) for _ in range(2)])
        (gradient,) = torch.autograd.grad(_seen(detector, views).pow(2).mean(), picture)
        strokes, picture = _strokes(gradient), picture.detach()
        picture = (picture + STEP * strokes - BACK * (picture - start)).clamp(0.02, 0.98)
    return Image.fromarray((picture[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8))


def _square(photograph: Image.Image) -> Tensor:
    side = min(photograph.size)
    left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
    cut = photograph.convert("RGB").crop((left, top, left + side, top + side))
    return torch.tensor(np.asarray(cut.resize((SIDE, SIDE))) / 255.0).permute(2, 0, 1)[None].float()


def _view(picture: Tensor, size: int) -> Tensor:
    """A random part of the picture as the tower takes it, [1, 3, size, size]."""
    side = int(torch.randint(SMALLEST, SIDE + 1, (1,)))
    y, x = (int(torch.randint(0, SIDE - side + 1, (1,))) for _ in range(2))
    part = picture[:, :, y : y + side, x : x + side]
    return functional.interpolate(part, size=(size, size), mode="bilinear")


def _seen(detector: Detector, views: Tensor) -> Tensor:
    """What the layer sees of views [B, 3, S, S] in [0, 1]: [B, N, Hv]."""
    about, tower = detector.prompt.about, detector.model.vision_model
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (about.mean, about.std))
    found = tower(pixel_values=(views - mean) / std, output_hidden_states=True)
    layers: tuple[Tensor, ...] = found.hidden_states
    return layers[min(LAYER, len(layers) - 1)]


def _strokes(gradient: Tensor) -> Tensor:
    soft = [_blurred(gradient, size) for size in BLURS]
    mixed = torch.stack([one / one.abs().mean().clamp_min(1e-12) for one in soft]).mean(0)
    return 0.6 * mixed.mean(1, keepdim=True) + 0.4 * mixed


def _blurred(gradient: Tensor, size: int) -> Tensor:
    for _ in range(3):
        padded = functional.pad(gradient, (size // 2,) * 4, mode="reflect")
        gradient = functional.avg_pool2d(padded, size, 1)
    return gradient


if __name__ == "__main__":
    found, _ = load_detector(user_home(), MINI)
    dream(found, Image.open(photographs()[0])).save(Path(sys.argv[1]), quality=88)
