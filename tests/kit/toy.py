"""Pictures that any detector can tell apart: warm gradients (real), cool checkers (fake)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

WIDTH, HEIGHT = 96, 80
NOISE_STD = 12  # of 255

Pixels = npt.NDArray[np.float64]
"""[H, W, 3] in 0 .. 255."""


def toy_pictures(folder: Path, n: int = 32, seed: int = 0) -> tuple[Path, Path]:
    """Write `n` pictures, half into real/ and half into fake/; returns the two folders.

    In both, JPEG and PNG take turns, so the format tells nothing.
    """
    rng = np.random.default_rng(seed)
    real, fake = folder / "real", folder / "fake"
    for place, draw, count in ((real, warm_gradient, n - n // 2), (fake, cool_checkers, n // 2)):
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture = noisy(draw(rng), rng)
            picture.save(place / f"{number:03}.{('jpg', 'png')[number % 2]}")
    return real, fake


def warm_gradient(rng: np.random.Generator) -> Pixels:
    """[H, W, 3] in 0 .. 255, reds growing along one direction."""
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    angle = rng.uniform(0, 2 * np.pi)
    slope: npt.NDArray[np.float64] = (x * np.cos(angle) + y * np.sin(angle))[..., None]  # [H, W, 1]
    return np.array([190, 120, 60]) + rng.uniform(20, 45) * slope


def cool_checkers(rng: np.random.Generator) -> Pixels:
    """[H, W, 3] in 0 .. 255, squares of two blues."""
    side = rng.integers(4, 10)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    is_light = ((x // side + y // side) % 2)[..., None]  # [H, W, 1]
    return np.array([60, 120, 190]) + rng.uniform(30, 50) * (2 * is_light - 1)


def noisy(pixels: Pixels, rng: np.random.Generator) -> Image.Image:
    noise = rng.normal(0, NOISE_STD, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def plain_pictures(folder: Path, n: int = 60, *, fakes_as: str = "jpg", seed: int = 0) -> Path:
    """Write `n` pictures with a table of them, half of them labelled fake. Returns the table.

    All are of one kind and size: only `fakes_as`, the ending of half of them, can
    tell the labels apart. Each six pictures share a source, of one label.
    """
    rng = np.random.default_rng(seed)
    lines = ["file,label,source,family,kind"]
    for number in range(n):
        is_fake = number % 2 == 1
        name = f"{number:03}.{fakes_as if is_fake else 'jpg'}"
        folder.mkdir(parents=True, exist_ok=True)
        noisy(warm_gradient(rng), rng).save(folder / name)
        source = f"{'made' if is_fake else 'taken'}-{number // 12}"
        lines.append(
            f"{name},{'fake,' if is_fake else 'real,'}{source},{'toy' if is_fake else ''},photo"
        )
    table = folder / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    return table
