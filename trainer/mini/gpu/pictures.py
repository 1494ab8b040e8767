"""All drawn views on the device that trains, and how batches are drawn of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antifake.trainer.examples import Example
from antifake.trainer.mini.sampling import sampling_weights, which_are_learned

from .views import ALIGNED, SIDE, Arrays, index


@dataclass(frozen=True)
class Pictures:
    """n pictures of train and train2."""

    names: Sequence[str]
    """Below the data folder."""
    examples: Sequence[Example]
    plain: Tensor
    """uint8 [n, 224, 224, 3]"""
    changed: Tensor
    """uint8 [n, K, 240, 240, 3]"""
    aligned: Tensor
    """uint8 [m, A, 240, 240, 3]"""
    origin: np.ndarray
    """The picture that each aligned one was made of, [m]"""
    learned: np.ndarray
    """What ships may learn from, indices [k]: other owners are left to the base set."""


def drawn_pieces(views: Path) -> dict[str, dict[str, list[str]]]:
    """Returns the pieces whose views are drawn, with the names of their pictures."""
    marks = sorted(views.glob("*.done.json"))
    return {mark.name.removesuffix(".done.json"): json.loads(mark.read_text()) for mark in marks}


def load(views: Path, data: Path, pieces: Sequence[str], device: str) -> Pictures:
    """Loads the views of these pieces."""
    known, drawn = index(data), drawn_pieces(views)
    names = [name for piece in pieces for name in drawn[piece]["names"]]
    aligned = [name for piece in pieces for name in drawn[piece]["aligned"]]
    row = {name: i for i, name in enumerate(names)}
    examples = [known[name] for name in names]

    def every(kind: str) -> Tensor:
        arrays = [Arrays(views, piece).open(kind) for piece in pieces]
        return torch.cat([torch.from_numpy(one).to(device) for one in arrays])

    return Pictures(
        names,
        examples,
        every("plain"),
        every("changed"),
        every("aligned"),
        np.array([row[name] for name in aligned], int),
        which_are_learned(examples, data),
    )


def load_plain(views: Path, data: Path, piece: str, device: str) -> tuple[list[Example], Tensor]:
    """Returns the pictures of one piece and their plain views, uint8 [n, 224, 224, 3]."""
    known, names = index(data), drawn_pieces(views)[piece]["names"]
    plain = torch.from_numpy(Arrays(views, piece).open("plain")).to(device)
    return [known[name] for name in names], plain


@dataclass(frozen=True)
class Batch:
    pixels: Tensor
    """uint8 [B, 224, 224, 3]"""
    labels: Tensor
    """float32 [B], 1 for AI-made"""
    sources: Tensor
    """int64 [B], numbers of groups of pictures"""


class Draws:
    """Batches of changed views; some pairs of a real picture and what the autoencoder made."""

    def __init__(self, pictures: Pictures, chosen: np.ndarray, aligned: float, seed: int) -> None:
        """`chosen` [n] are learned from. `aligned` is the share of pairs in a batch."""
        self._pictures, self._chosen, self._aligned = pictures, chosen, aligned
        self._random = np.random.default_rng(seed)
        self._weights = sampling_weights(pictures.examples, chosen)
        self._fakes = np.array([one.is_fake for one in pictures.examples])
        names = [(one.is_fake, one.source) for one in pictures.examples]
        numbers = {name: i for i, name in enumerate(sorted(set(names)))}
        self._groups = np.array([numbers[name] for name in names])
        self.n_groups = len(numbers) + 1
        """The last one is that of aligned pictures."""
        known = np.isin(pictures.origin, chosen)
        self._usable = np.flatnonzero(known)

    def batch(self, size: int) -> Batch:
        pictures, random = self._pictures, self._random
        pairs = round(size * self._aligned / 2) if len(self._usable) else 0
        alone = size - 2 * pairs
        rows = random.choice(self._chosen, alone, p=self._weights)
        view = random.integers(pictures.changed.shape[1], size=alone)
        wide = [pictures.changed[torch.from_numpy(rows), torch.from_numpy(view)]]
        labels, groups = self._fakes[rows], self._groups[rows]
        if pairs:
            made = random.choice(self._usable, pairs)
            which = torch.from_numpy(random.integers(ALIGNED, size=pairs))
            reals = pictures.origin[made]
            wide += [
                pictures.changed[torch.from_numpy(reals), which],
                pictures.aligned[torch.from_numpy(made), which],
            ]
            labels = np.concatenate([labels, self._fakes[reals], np.ones(pairs, bool)])
            last = np.full(pairs, self.n_groups - 1)
            groups = np.concatenate([groups, self._groups[reals], last])
        device = pictures.plain.device
        return Batch(
            self._cut(torch.cat(wide)),
            torch.from_numpy(labels.astype(np.float32)).to(device),
            torch.from_numpy(groups).to(device),
        )

    def _cut(self, wide: Tensor) -> Tensor:
        """uint8 [B, 240, 240, 3] -> random squares [B, 224, 224, 3], half of them mirrored."""
        batch, room = len(wide), wide.shape[1] - SIDE + 1
        at = self._random.integers(room, size=(2, batch))
        steps = np.arange(SIDE)
        down = at[0][:, None] + steps
        across = at[1][:, None] + steps
        flipped = self._random.random(batch) < 0.5
        across[flipped] = across[flipped, ::-1]
        which = torch.arange(batch)[:, None, None]
        rows, columns = torch.from_numpy(down)[:, :, None], torch.from_numpy(across)[:, None]
        device = wide.device
        cut: Tensor = wide[which.to(device), rows.to(device), columns.to(device)]
        return cut


def centre(wide: Tensor) -> Tensor:
    """uint8 [B, 240, 240, 3] -> the middle [B, 224, 224, 3]."""
    edge = (wide.shape[1] - SIDE) // 2
    return wide[:, edge : edge + SIDE, edge : edge + SIDE]
