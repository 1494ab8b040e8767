"""The tokens that the frozen tower computes for every picture, once, kept on disk.

trainer.features keeps a file for each picture and view. This cache keeps one array for each
view, as training reads thousands of random pictures from it. Tokens are normalised without
weights before they are stored: the trained layer norm after the cut gives the same result
for them, and float16 holds them well.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from antifake.core.embedded import TOWER_SHARD
from antifake.core.errors import ModelError
from antifake.core.instructblip import InstructBlip
from antifake.trainer.examples import Example

from .augmentation import augmented_view, plain_view
from .towers.layouts import CLIP_PIXELS, PixelScale

POOLING_BATCH = 256
PLAIN = "plain"
"""The view without augmentation; any other name is an augmented one."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tokens:
    """Tower tokens of one view of n pictures."""

    tokens: np.ndarray
    """float16 [n, N, Hv], a memory map"""
    pooled: np.ndarray
    """float32 [n, 2 Hv]: [CLS] and the mean of the patches; [n, Hv] of a tower without [CLS]"""
    pixels: PixelScale = CLIP_PIXELS
    """How the tower got its pixels."""

    def coarse(self, *, has_cls: bool) -> "Tokens":
        """Returns the means of squares of four patches, [CLS] before them, in memory.

        Twice as many pictures fit into the time of a training step, and the bridge judges whole
        grids of patches better for it (MODEL_CARD.md). Returns these tokens if the grid has an odd
        side.
        """
        n, length, width = self.tokens.shape
        first = int(has_cls)  # of the patches
        side = math.isqrt(length - first)
        if side % 2:
            return self
        half = side // 2
        found = np.empty((n, first + half * half, width), np.float16)
        for at in range(0, n, POOLING_BATCH):
            block = np.asarray(self.tokens[at : at + POOLING_BATCH], np.float32)
            squares = block[:, first:].reshape(-1, half, 2, half, 2, width).mean((2, 4))
            found[at : at + POOLING_BATCH, :first] = block[:, :first]
            found[at : at + POOLING_BATCH, first:] = squares.reshape(-1, half * half, width)
        return Tokens(found, self.pooled, self.pixels)


@dataclass(frozen=True)
class TokenCache:
    """A folder of tower tokens."""

    folder: Path
    data: Path
    """Pictures are named by their path below this folder."""
    tower: InstructBlip
    pixels: PixelScale = CLIP_PIXELS
    batch: int = 32

    def tokens(self, examples: Sequence[Example], view: str, progress: Progress) -> Tokens:
        """Returns the tokens of a view. Computes those that are missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, mark = self.folder / f"{view}.npy", self.folder / f"{view}.json"
        shard = self.tower.manifest.files[TOWER_SHARD].sha256
        key = {
            "files": [self._name(e) for e in examples],
            "tower": shard,
            "layers": self.tower.manifest.fused_layers,
            "precision": str(self.tower.precision),
            "pixels": [[*self.pixels.mean], [*self.pixels.std]],
        }
        done = _count_done(mark, key) if path.is_file() else 0
        tokens = (
            np.lib.format.open_memmap(path, "r+")
            if done
            else np.lib.format.open_memmap(path, "w+", np.float16, self._shape(len(examples)))
        )
        for start, crops in self._crops(examples, view, done):
            tokens[start : start + len(crops)] = tower_tokens(self.tower, crops, self.pixels)
            tokens.flush()
            mark.write_text(json.dumps({"done": start + len(crops), **key}))
            progress(start + len(crops), len(examples))
        has_cls = self.tower.manifest.class_token
        return Tokens(tokens, pooled(tokens, has_cls=has_cls), self.pixels)

    def _shape(self, n: int) -> tuple[int, int, int]:
        vision = self.tower.manifest.config["vision_config"]
        patches = (vision["image_size"] // vision["patch_size"]) ** 2
        return n, patches + int(self.tower.manifest.class_token), vision["hidden_size"]

    def _name(self, example: Example) -> str:
        return example.path.relative_to(self.data).as_posix()

    def _crops(
        self, examples: Sequence[Example], view: str, start: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the position and the crops [B, S, S, 3] of each batch.

        The next batches are decoded while the tower works on one.
        """
        with ThreadPoolExecutor(1) as ahead:
            waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
            for at in range(start, len(examples), self.batch):
                batch = examples[at : at + self.batch]
                waiting.append((at, ahead.submit(self._decoded, batch, view)))
                if len(waiting) > 2:
                    first, crops = waiting.popleft()
                    yield first, crops.result()
            for first, crops in waiting:
                yield first, crops.result()

    def _decoded(self, batch: Sequence[Example], view: str) -> np.ndarray:
        """Returns crops uint8 [B, S, S, 3]."""
        crops, size = [], self.tower.image_size
        for example in batch:
            raw = example.path.read_bytes()
            seed = f"{self._name(example)} {view}"
            crops.append(
                plain_view(raw, size) if view == PLAIN else augmented_view(raw, seed, size)
            )
        return np.stack(crops)


def _count_done(mark: Path, key: Mapping[str, object]) -> int:
    """Returns how many pictures of exactly this list, tower and precision are done."""
    try:
        raw = json.loads(mark.read_text())
    except (OSError, ValueError):
        return 0
    return int(raw["done"]) if {k: raw.get(k) for k in key} == key else 0


@torch.inference_mode()
def tower_tokens(
    tower: InstructBlip, crops: np.ndarray, pixels: PixelScale = CLIP_PIXELS
) -> np.ndarray:
    """Returns normalised tokens at the cut, float16 [B, N, Hv], of uint8 crops [B, S, S, 3].

    Raises ModelError if the tower's numbers overflow.
    """
    mean = torch.tensor(pixels.mean).view(1, 3, 1, 1)
    std = torch.tensor(pixels.std).view(1, 3, 1, 1)
    scaled = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255 - mean) / std
    # In the untrained bridge the layer norm after the cut has no weights yet.
    tokens = tower.vision_features(scaled.to(tower.device)).half().cpu()
    if not tokens.isfinite().all():
        raise ModelError("The vision tower computes infinite numbers: its weights are unusable.")
    return tokens.numpy()


def pooled(tokens: np.ndarray, *, has_cls: bool = True) -> np.ndarray:
    """Returns [CLS] and the mean of the patches, float32 [n, 2 Hv], of tokens [n, N, Hv].

    Where there is no [CLS] it is the mean of all tokens, [n, Hv].
    """
    found = np.empty((len(tokens), (1 + has_cls) * tokens.shape[2]), np.float32)
    for at in range(0, len(tokens), POOLING_BATCH):
        block = np.asarray(tokens[at : at + POOLING_BATCH], np.float32)
        parts = [block[:, 0], block[:, 1:].mean(1)] if has_cls else [block.mean(1)]
        found[at : at + POOLING_BATCH] = np.concatenate(parts, axis=1)
    return found
