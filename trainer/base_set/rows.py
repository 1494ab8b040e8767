"""What a model reads of base-set pictures: keys and values, computed once for each cluster."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from antifake.core.instructblip import InstructBlip
from antifake.core.prompt import SoftPrompt
from antifake.trainer.calibration import Numbers, Truth
from antifake.trainer.examples import owner_of
from antifake.trainer.replay import Replay

from .kept import Pictures

BATCH = 16


@dataclass(frozen=True)
class BaseRows:
    """Keys and values of n pictures."""

    means: Tensor
    """float16 [n, K + 1, width], for each cluster"""
    counts: Tensor
    """float32 [n, K + 1]: how many tokens each stands for"""
    is_fake: Truth
    owners: np.ndarray
    """int [n], the same number for pictures of one owner"""

    def __len__(self) -> int:
        return len(self.means)

    def features(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """indices int64 [b] -> keys and values float32 [b, K + 1, width], and their counts"""
        return self.means[chosen].float(), self.counts[chosen]

    @torch.inference_mode()
    def margins(
        self, model: InstructBlip, prompt: SoftPrompt, chosen: Truth | None = None
    ) -> Numbers:
        """Returns l_no - l_yes of every picture or of the chosen ones, bool [n]: float64 [k].

        Inside reading_keys_and_values.
        """
        question = model.question(prompt)
        every = torch.from_numpy(np.flatnonzero(np.ones(len(self)) if chosen is None else chosen))
        found = []
        for at in range(0, len(every), BATCH):
            features, counts = self.features(every[at : at + BATCH])
            found.append(model.margin(features, question, counts).cpu())
        return torch.cat(found).double().numpy()


@torch.inference_mode()
def base_rows(pictures: Pictures, model: InstructBlip) -> BaseRows:
    """Returns what the model reads of the pictures. Call it before reading_keys_and_values."""
    means = pictures.tokens.rows()  # [n, K + 1, Hv]
    found = [
        model.keys_and_values(means[at : at + BATCH].to(model.device)).half()
        for at in range(0, len(means), BATCH)
    ]
    counts = pictures.tokens.counts.float().to(model.device)
    names = [owner_of(source) for source in pictures.sources]
    _, owners = np.unique(names, return_inverse=True)
    return BaseRows(torch.cat(found), counts, pictures.is_fake, owners)


@dataclass(frozen=True)
class ReplaySettings:
    """How much replay there is; see `trainer.replay.Replay`."""

    weight: float
    reserve: float
    focus: float
    batch: int
    seed: int = 0


def replayed(
    rows: BaseRows, chosen: Truth, margins: Numbers, start: SoftPrompt, much: ReplaySettings
) -> Replay:
    """Returns the chosen pictures, bool [n], as a training loop replays them.

    `margins` [n] are those of all rows with `start`.
    """
    about, places = start.about, torch.from_numpy(np.flatnonzero(chosen))
    return Replay(
        features=lambda drawn: rows.features(places[drawn]),
        logits=torch.from_numpy((margins[chosen] - about.threshold) / about.temperature).float(),
        is_fake=rows.is_fake[chosen],
        threshold=about.threshold,
        temperature=about.temperature,
        weight=much.weight,
        reserve=much.reserve,
        focus=much.focus,
        batch=much.batch,
        seed=much.seed,
    )
