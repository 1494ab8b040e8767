"""The tokens that the frozen tower computes for every picture, once, kept on disk.

trainer.features keeps a file for each picture and view. This cache keeps one array for each
view, as training reads thousands of random pictures from it. Tokens are normalised without
weights before they are stored: the trained layer norm after the cut gives the same result
for them, and float16 holds them well.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from antifake.core.embedded import TOWER_SHARD
from antifake.core.instructblip import InstructBlip
from antifake.trainer.examples import Example

from .augmentation import augmented_view, plain_view

POOLING_BATCH = 256
PLAIN = "plain"
"""The view without augmentation; any other name is an augmented one."""
Progress = Callable[[int, int], None]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Tokens:
    """Tower tokens of one view of n pictures."""

    tokens: np.ndarray
    """float16 [n, N, Hv], a memory map"""
    pooled: np.ndarray
    """float32 [n, 2 Hv]: [CLS] and the mean of the patches"""


@dataclass(frozen=True)
class TokenCache:
    """A folder of tower tokens."""

    folder: Path
    data: Path
    """Pictures are named by their path below this folder."""
    tower: InstructBlip
    batch: int = 32

    def tokens(self, examples: Sequence[Example], view: str, progress: Progress) -> Tokens:
        """Returns the tokens of a view. Computes those that are missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, mark = self.folder / f"{view}.npy", self.folder / f"{view}.json"
        shard = self.tower.manifest.files[TOWER_SHARD].sha256
        key = {
            "files": [self._name(e) for e in examples],
            "tower": shard,
            "precision": str(self.tower.precision),
        }
        done = _count_done(mark, key) if path.is_file() else 0
        tokens = (
            np.lib.format.open_memmap(path, "r+")
            if done
            else np.lib.format.open_memmap(path, "w+", np.float16, self._shape(len(examples)))
        )
        for start, crops in self._crops(examples, view, done):
            tokens[start : start + len(crops)] = tower_tokens(self.tower, crops)
            tokens.flush()
            mark.write_text(json.dumps({"done": start + len(crops), **key}))
            progress(start + len(crops), len(examples))
        return Tokens(tokens, pooled(tokens))

    def _shape(self, n: int) -> tuple[int, int, int]:
        vision = self.tower.manifest.config["vision_config"]
        patches = (vision["image_size"] // vision["patch_size"]) ** 2
        return n, patches + 1, vision["hidden_size"]

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
        crops = []
        for example in batch:
            raw = example.path.read_bytes()
            seed = f"{self._name(example)} {view}"
            crops.append(plain_view(raw) if view == PLAIN else augmented_view(raw, seed))
        return np.stack(crops)


def _count_done(mark: Path, key: Mapping[str, object]) -> int:
    """Returns how many pictures of exactly this list, tower and precision are done."""
    try:
        raw = json.loads(mark.read_text())
    except (OSError, ValueError):
        return 0
    return int(raw["done"]) if {k: raw.get(k) for k in key} == key else 0


@torch.inference_mode()
def tower_tokens(tower: InstructBlip, crops: np.ndarray) -> np.ndarray:
    """Returns normalised tokens at the cut, float16 [B, N, Hv], of uint8 crops [B, S, S, 3]."""
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    pixels = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255 - mean) / std
    # In the untrained bridge the layer norm after the cut has no weights yet.
    return tower.vision_features(pixels.to(tower.device)).half().cpu().numpy()


def pooled(tokens: np.ndarray) -> np.ndarray:
    """Returns [CLS] and the mean of the patches, float32 [n, 2 Hv], of tokens [n, N, Hv]."""
    found = np.empty((len(tokens), 2 * tokens.shape[2]), np.float32)
    for at in range(0, len(tokens), POOLING_BATCH):
        block = np.asarray(tokens[at : at + POOLING_BATCH], np.float32)
        found[at : at + POOLING_BATCH] = np.concatenate([block[:, 0], block[:, 1:].mean(1)], axis=1)
    return found
