"""Tokens of the vision tower in a hundredth of their size.

The patches of a picture are clustered, and each is replaced by the mean of its cluster. What reads
them attends to every patch alike, so only how often a mean occurs has to be kept, not where. The
numbers are kept in four bits, in steps that depend on the row, and on how much a channel varies
over all pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

_LEVELS = 7
"""Codes are from -7 to 7."""
_CLIP = 0.7
"""Of a row's largest number. The few that are larger are cut, for finer steps of all others."""


@dataclass(frozen=True)
class Rows:
    """The different tokens of one picture."""

    values: np.ndarray
    """float32 [K + 1, Hv]: [CLS] as it is, and means of clusters"""
    counts: np.ndarray
    """int [K + 1]: how many tokens each stands for, N in all"""


@dataclass(frozen=True)
class CompactTokens:
    """Tokens of n pictures. Row 0 of each is [CLS], the others are means of clusters."""

    codes: Tensor
    """uint8 [n, K + 1, Hv / 2], two numbers in each"""
    scales: Tensor
    """float16 [n, K + 1]"""
    counts: Tensor
    """int16 [n, K + 1]"""
    centre: Tensor
    """float32 [2, Hv]: the mean over all pictures, of [CLS] and of the other rows"""
    spread: Tensor
    """float32 [2, Hv]: the standard deviation"""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: Tensor | slice) -> "CompactTokens":
        return replace(
            self,
            codes=self.codes[chosen],
            scales=self.scales[chosen],
            counts=self.counts[chosen],
        )

    def rows(self) -> Tensor:
        """Returns the different tokens of each picture, float32 [n, K + 1, Hv]."""
        both = torch.stack([self.codes & 15, self.codes >> 4], dim=-1).flatten(start_dim=2)
        steps = (both.float() - _LEVELS - 1) * self.scales.float()[..., None]
        kind = _kinds(self.codes.shape[1])
        return steps * self.spread[kind] + self.centre[kind]


def compact(pictures: Sequence[Rows]) -> CompactTokens:
    """Returns the rows of all pictures in four bits a number. Hv must be even."""
    values = torch.from_numpy(np.stack([one.values for one in pictures]))  # [n, K + 1, Hv]
    parts = (values[:, :1], values[:, 1:])
    centre = torch.stack([part.mean(dim=(0, 1)) for part in parts])
    spread = torch.stack([part.std(dim=(0, 1), correction=0) for part in parts]).clamp(min=1e-6)
    kind = _kinds(values.shape[1])
    standard = (values - centre[kind]) / spread[kind]
    scales = (standard.abs().amax(dim=2) * _CLIP / _LEVELS).clamp(min=1e-6).half()
    codes = (standard / scales.float()[..., None]).round().clamp(-_LEVELS, _LEVELS)
    codes = (codes + _LEVELS + 1).to(torch.uint8)
    counts = torch.from_numpy(np.stack([one.counts for one in pictures])).to(torch.int16)
    return CompactTokens(codes[..., ::2] | codes[..., 1::2] << 4, scales, counts, centre, spread)


def _kinds(rows: int) -> Tensor:
    """Returns 0 for [CLS] and 1 for each of the other rows, int64 [rows]."""
    return torch.arange(rows).clamp(max=1)
