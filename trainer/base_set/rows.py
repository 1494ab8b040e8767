"""What a model reads of base-set pictures: keys and values, computed once for each cluster."""

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
    """Keys and values of n pictures."""

    means: Tensor
    """float16 [n, K + 1, width], for each cluster"""
    places: Tensor
    """int64 [n, N]"""
    is_fake: Truth

    def features(self, chosen: Tensor) -> Tensor:
        """indices int64 [b] -> keys and values float32 [b, N, width]"""
        means, places = self.means[chosen].float(), self.places[chosen]
        return means.gather(1, places[..., None].expand(-1, -1, means.shape[2]))

    @torch.inference_mode()
    def margins(self, model: InstructBlip, prompt: SoftPrompt) -> Numbers:
        """Returns l_no - l_yes of every picture, float64 [n], inside reading_keys_and_values."""
        question, every = model.question(prompt), torch.arange(len(self.means))
        found = [
            model.margin(self.features(every[at : at + BATCH]), question).cpu()
            for at in range(0, len(every), BATCH)
        ]
        return torch.cat(found).double().numpy()


@torch.inference_mode()
def base_rows(pictures: Pictures, model: InstructBlip) -> BaseRows:
    """Returns what the model reads of the pictures. Call it before reading_keys_and_values."""
    tokens = pictures.tokens
    means = tokens.codes.float() * tokens.scales.float()[..., None]  # [n, K + 1, Hv]
    found = [
        model.keys_and_values(means[at : at + BATCH].to(model.device)).half()
        for at in range(0, len(means), BATCH)
    ]
    return BaseRows(torch.cat(found), tokens.places.long().to(model.device), pictures.is_fake)


@dataclass(frozen=True)
class ReplaySettings:
    """How much replay there is; see `trainer.replay.Replay`."""

    weight: float
    reserve: float
    batch: int


def replayed(
    rows: BaseRows, model: InstructBlip, start: SoftPrompt, much: ReplaySettings, seed: int
) -> Replay:
    """Returns the pictures as a training loop replays them, at their margins with `start`."""
    return Replay(
        features=rows.features,
        margins=torch.from_numpy(rows.margins(model, start)).float(),
        is_fake=rows.is_fake,
        temperature=start.about.temperature,
        weight=much.weight,
        reserve=much.reserve,
        batch=much.batch,
        seed=seed,
    )
