"""What a model reads of base-set pictures, once for each cluster."""

from dataclasses import dataclass

import torch
from torch import Tensor

from antifake.core.instructblip import InstructBlip
from antifake.core.prompt import SoftPrompt
from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.replay import Replay

from .kept import Pictures

BATCH = 16


@dataclass(frozen=True)
class BaseRows:
    """Features of n pictures; inside reading_keys_and_values their keys and values."""

    means: Tensor
    """float16 [n, K + 1, width], for each cluster"""
    counts: Tensor
    """float32 [n, K + 1]: how many tokens each stands for"""
    is_fake: Truth

    def __len__(self) -> int:
        return len(self.means)

    def features(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """indices int64 [b] -> their means float32 [b, K + 1, width], and counts"""
        return self.means[chosen].float(), self.counts[chosen]

    @torch.inference_mode()
    def margins(self, model: InstructBlip, prompt: SoftPrompt) -> Numbers:
        """Returns l_no - l_yes of each picture, float64 [n]."""
        question = model.question(prompt)
        found = []
        for at in range(0, len(self), BATCH):
            features, counts = self.features(torch.arange(at, min(at + BATCH, len(self))))
            found.append(model.margin(features, question, counts).cpu())
        return torch.cat(found).double().numpy()


@torch.inference_mode()
def base_rows(pictures: Pictures, model: InstructBlip) -> BaseRows:
    """Returns keys and values of the pictures. Call it before reading_keys_and_values."""
    means = pictures.tokens.rows()  # [n, K + 1, Hv]
    found = [
        model.keys_and_values(means[at : at + BATCH].to(model.device)).half()
        for at in range(0, len(means), BATCH)
    ]
    counts = pictures.tokens.counts.float().to(model.device)
    return BaseRows(torch.cat(found), counts, pictures.is_fake)


def base_features(pictures: Pictures, model: InstructBlip) -> BaseRows:
    """Returns features of the pictures, for training on features."""
    means = pictures.tokens.rows().half().to(model.device)
    counts = pictures.tokens.counts.float().to(model.device)
    return BaseRows(means, counts, pictures.is_fake)


@dataclass(frozen=True)
class ReplaySettings:
    """How much replay there is; see `trainer.replay.Replay`."""

    batch: int
    weight: float = 3.0
    focus: float = 1.0
    seed: int = 0


def replayed(rows: BaseRows, margins: Numbers, start: SoftPrompt, much: ReplaySettings) -> Replay:
    """Returns the pictures as a training loop replays them.

    `margins` [n] are theirs with `start`.
    """
    about = start.about
    return Replay(
        features=rows.features,
        logits=torch.from_numpy((margins - about.threshold) / about.temperature).float(),
        is_fake=rows.is_fake,
        threshold=about.threshold,
        temperature=about.temperature,
        weight=much.weight,
        focus=much.focus,
        batch=much.batch,
        seed=much.seed,
    )
