"""Tokens of the vision tower in a thirtieth of their size.

The patches of a picture are clustered, and each is replaced by the mean of its cluster, in int8.
What reads them attends to every patch alike, so nothing of the model has to know.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

CLUSTERS = 10
_LEVELS = 127


@dataclass(frozen=True)
class CompactTokens:
    """Tokens of n pictures. Row 0 of each is [CLS] as it is, the others are means of clusters."""

    codes: Tensor
    """int8 [n, K + 1, Hv]"""
    scales: Tensor
    """float16 [n, K + 1]"""
    places: Tensor
    """uint8 [n, N]: the row that stands for each token"""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: Tensor | slice) -> "CompactTokens":
        return CompactTokens(self.codes[chosen], self.scales[chosen], self.places[chosen])

    def expand(self) -> Tensor:
        """Returns tokens float32 [n, N, Hv]."""
        means = self.codes.float() * self.scales.float()[..., None]  # [n, K + 1, Hv]
        places = self.places.long()[..., None].expand(-1, -1, means.shape[2])
        return means.gather(1, places)


def compact(tokens: np.ndarray, clusters: int = CLUSTERS) -> CompactTokens:
    """Returns tokens [N, Hv] of one picture as the only row of a set."""
    patches = tokens[1:].astype(np.float64)
    k = min(clusters, len(patches))
    found = KMeans(k, n_init=1, random_state=0).fit(patches)
    rows = np.concatenate([tokens[:1], found.cluster_centers_]).astype(np.float32)  # [K + 1, Hv]
    scales = np.maximum(np.abs(rows).max(axis=1) / _LEVELS, 1e-6).astype(np.float16)
    codes = np.rint(rows / scales[:, None].astype(np.float32)).clip(-_LEVELS, _LEVELS)
    places = np.concatenate([[0], 1 + found.labels_])
    return CompactTokens(
        torch.from_numpy(codes.astype(np.int8))[None],
        torch.from_numpy(scales)[None],
        torch.from_numpy(places.astype(np.uint8))[None],
    )


def joined(parts: list[CompactTokens]) -> CompactTokens:
    """Returns the pictures of all parts, in their order."""
    return CompactTokens(
        torch.cat([one.codes for one in parts]),
        torch.cat([one.scales for one in parts]),
        torch.cat([one.places for one in parts]),
    )
