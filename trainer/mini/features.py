"""What the frozen tower sees of every picture, computed once and kept on disk.

Tokens are normalised without weights before they are stored: the trained layer
norm behind the cut gives the same for them, and float16 holds them well.
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

from .pictures import changed_view, plain_view

BATCH = 32
Progress = Callable[[int, int], None]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Features:
    """Tokens of one view of many pictures."""

    tokens: np.ndarray
    """float16 [n, N, Hv], a memory map"""
    pooled: np.ndarray
    """float32 [n, 2 Hv]: [CLS] and the mean of the patches"""


@dataclass(frozen=True)
class Cache:
    """Where features lie, and what makes them."""

    folder: Path
    data: Path
    tower: InstructBlip

    def view(self, examples: Sequence[Example], view: str, progress: Progress) -> Features:
        """Compute a view ("plain", or any name for a changed one), or go on with it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, mark = self.folder / f"{view}.npy", self.folder / f"{view}.json"
        shard = self.tower.manifest.files[TOWER_SHARD].sha256
        key = {"files": [self._name(e) for e in examples], "tower": shard}
        done = _done(mark, key)
        tokens = (
            np.lib.format.open_memmap(path, "r+")
            if done
            else np.lib.format.open_memmap(path, "w+", np.float16, (len(examples), 197, 768))
        )
        for start, crops in self._crops(examples, view, done):
            tokens[start : start + len(crops)] = tower_tokens(self.tower, crops)
            tokens.flush()
            mark.write_text(json.dumps({"done": start + len(crops), **key}))
            progress(start + len(crops), len(examples))
        return Features(tokens, _pooled(tokens))

    def _name(self, example: Example) -> str:
        return example.path.relative_to(self.data).as_posix()

    def _crops(
        self, examples: Sequence[Example], view: str, start: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Batches of crops and their place; the next one is decoded while one is used."""
        starts = range(start, len(examples), BATCH)
        with ThreadPoolExecutor(1) as ahead:
            waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
            for at in starts:
                batch = examples[at : at + BATCH]
                waiting.append((at, ahead.submit(self._decoded, batch, view)))
                if len(waiting) > 2:
                    first, crops = waiting.popleft()
                    yield first, crops.result()
            for first, crops in waiting:
                yield first, crops.result()

    def _decoded(self, batch: Sequence[Example], view: str) -> np.ndarray:
        crops = []
        for example in batch:
            raw = example.path.read_bytes()
            seed = f"{self._name(example)} {view}"
            crops.append(plain_view(raw) if view == "plain" else changed_view(raw, seed))
        return np.stack(crops)


def _done(mark: Path, key: Mapping[str, object]) -> int:
    """How many pictures of exactly this list and this tower are there already."""
    try:
        raw = json.loads(mark.read_text())
    except (OSError, ValueError):
        return 0
    return int(raw["done"]) if {k: raw.get(k) for k in key} == key else 0


@torch.inference_mode()
def tower_tokens(tower: InstructBlip, crops: np.ndarray) -> np.ndarray:
    """uint8 crops [B, S, S, 3] -> normalised tokens at the cut, float16 [B, N, Hv]."""
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    pixels = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255 - mean) / std
    # With the untrained bridge the layer norm behind the cut is the plain one.
    return tower.vision_features(pixels).half().numpy()


def _pooled(tokens: np.ndarray) -> np.ndarray:
    pooled = np.empty((len(tokens), 2 * tokens.shape[2]), np.float32)
    for at in range(0, len(tokens), 256):
        block = np.asarray(tokens[at : at + 256], np.float32)
        pooled[at : at + 256] = np.concatenate([block[:, 0], block[:, 1:].mean(1)], axis=1)
    return pooled
