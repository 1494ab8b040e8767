"""The sample pictures of `demo`, of the welcome page and of the self-check.

Two photographs come with scikit-learn, two pictures are drawn here. Their scores are known when a
model is built, so the self-check notices a library, driver or processor that computes something
else. One more, which a neural network painted, is only shown. Imports no torch.
"""

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .i18n import _

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
DREAM = Path(__file__).parent / "pictures" / "dream.jpg"
"""Made by trainer/dreaming.py out of china.jpg."""


@dataclass(frozen=True)
class Sample:
    """A sample picture to show, and what is known of it."""

    path: Path
    what: str
    """A sentence for people."""
    is_ai_made: bool

    @property
    def name(self) -> str:
        return self.path.name


_PHOTOGRAPH = _("A photograph. It comes with scikit-learn.")
_DREAM = _(
    "The first photograph, painted over by a neural network. The makers of antifake made it."
)


def shown_samples() -> list[Sample]:
    """Returns the samples that people see."""
    real = [Sample(path, _PHOTOGRAPH, is_ai_made=False) for path in photographs()]
    return [*real, Sample(DREAM, _DREAM, is_ai_made=True)]


def photographs() -> list[Path]:
    """Returns the two photographs, without importing scikit-learn, which takes half a second."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "datasets" / "images"
    return [path for name in PHOTOGRAPHS if (path := folder / name).is_file()]


def drawn() -> dict[str, bytes]:
    """Returns two lossless pictures, which are the same on every machine."""
    return {"drawn-rings": _png(_rings()), "drawn-grain": _png(_grain())}


def samples() -> dict[str, bytes]:
    """Returns every sample by name."""
    return {path.name: path.read_bytes() for path in photographs()} | drawn()


def _rings(size: int = 224) -> np.ndarray:
    """Smooth colour waves, uint8 [S, S, 3]."""
    y, x = np.mgrid[0:size, 0:size] / size
    centres = ((0.3, 0.4, 40), (0.7, 0.2, 55), (0.5, 0.8, 25))
    waves = [np.hypot(x - cx, y - cy) * k for cx, cy, k in centres]
    return np.stack([127.5 + 127 * np.sin(wave) for wave in waves], axis=-1).astype(np.uint8)


def _grain(size: int = 224) -> np.ndarray:
    """A horizon with sensor-like grain, uint8 [S, S, 3]."""
    noise = np.random.default_rng(7).normal(0, 9, (size, size, 3))
    y = np.linspace(0, 1, size)[:, None, None]
    sky, ground = np.array([120, 170, 220]), np.array([90, 110, 60])
    scene = np.where(y < 0.6, sky + 60 * y, ground + 60 * (y - 0.6))
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
