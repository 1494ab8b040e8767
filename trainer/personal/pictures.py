"""The person's pictures: their crops, what the model sees of them, and which are the same.

A crop is a file that a decoder process reads, like any picture from outside. Features are computed
once and stay in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.pixels import Pixels
from antifake.trainer.examples import Example
from antifake.trainer.features import View
from antifake.trainer.samples import Sample, appearance
from antifake.trainer.splits import connected, near_duplicates

from .request import Answer

SAME_PHOTO = 0.9
"""Cosine of the tower's means from which on two crops count as parts of one photograph."""

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""


class KeptFeatures:
    """What the Q-Former reads of each picture, kept in memory; one of `trainer.features.Features`.

    Keys and values of `InstructBlip.keys_and_values`, in float16. All views of a picture are the
    plain one.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Tensor] = {}

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._rows

    def put(self, sha256: str, rows: Tensor) -> None:
        """Keeps [N, K] of one picture."""
        self._rows[sha256] = rows.half()

    def features(self, pictures: Sequence[Sample], views: Sequence[View]) -> Tensor:  # noqa: ARG002
        """Returns float32 [B, N, K]."""
        return self.rows([one.sha256 for one in pictures])

    def rows(self, pictures: Sequence[str]) -> Tensor:
        """Returns float32 [B, N, K] of pictures by sha256."""
        return torch.stack([self._rows[sha256] for sha256 in pictures]).float()


@dataclass(frozen=True)
class Seen:
    """A readable answer, with the mean of what the tower sees of it."""

    sample: Sample
    mean: np.ndarray
    """float32 [Hv], over the patches"""


def read_crops(paths: Sequence[Path], decoder: Decoder) -> Iterator[tuple[int, Pixels]]:
    """Yields the position and the crop uint8 [S, S, 3] of each file that can be read."""
    for position, (_, one) in enumerate(decoder.decode_many(paths)):
        if one.picture is not None:
            yield position, one.picture.crop


def see(
    answers: Sequence[Answer],
    detector: Detector,
    decoder: Decoder,
    kept: KeptFeatures,
    progress: Progress,
) -> list[Seen]:
    """Returns the readable answers in their order, and keeps their features.

    Each picture goes through the tower alone, so that nothing of it depends on the others.
    """
    found = []
    model = detector.model
    for position, crop in read_crops([one.crop for one in answers], decoder):
        answer = answers[position]
        tokens = model.vision_features(detector.pixels([crop]))  # [1, N, Hv]
        kept.put(answer.sha256, model.keys_and_values(tokens)[0].cpu())
        sample = Sample(Example(answer.crop, answer.is_fake), answer.sha256, *appearance(crop))
        found.append(Seen(sample, tokens[0, 1:].float().mean(dim=0).cpu().numpy()))
        progress("features", position + 1, len(answers))
    return found


@dataclass(frozen=True)
class Grouped:
    """Which answers count as one picture."""

    groups: np.ndarray
    """int [n], the same number for near-duplicates"""
    contradictions: list[list[str]]
    """The groups with both labels, each the sha256 of its answers: real ones, then AI-made ones."""

    @property
    def is_clear(self) -> np.ndarray:
        """Returns which answers are in a group with one label only, bool [n]."""
        return self.groups >= 0


def grouped(seen: Sequence[Seen], *, by_content: bool) -> Grouped:
    """Groups near-duplicates and, `by_content`, crops of one photograph.

    The second needs a tower for which SAME_PHOTO was measured: one with a base set. Answers in a
    group with two labels get the group -1: they are shown to the person and not learned from.
    """
    if not seen:
        return Grouped(np.zeros(0, int), [])
    samples = [one.sample for one in seen]
    pairs = near_duplicates(samples, samples) + (_alike(seen) if by_content else [])
    groups = np.full(len(seen), -1)
    contradictions = []
    for number, members in enumerate(connected(len(seen), pairs)):
        reals = [samples[i].sha256 for i in members if not samples[i].is_fake]
        fakes = [samples[i].sha256 for i in members if samples[i].is_fake]
        if reals and fakes:
            contradictions.append([*reals, *fakes])
        else:
            groups[members] = number
    return Grouped(groups, sorted(contradictions))


def _alike(seen: Sequence[Seen]) -> list[tuple[int, int]]:
    """Returns pairs of positions whose means point the same way."""
    means = np.stack([one.mean for one in seen]).astype(np.float64)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    rows, columns = np.nonzero(np.triu(means @ means.T, 1) >= SAME_PHOTO)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
