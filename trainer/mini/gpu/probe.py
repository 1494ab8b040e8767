"""What reads the tower's tokens while ways are compared: cheap, and as good as the bridge."""

import torch
from torch import Tensor, nn

QUERIES, WIDTH = 4, 64


class Probe(nn.Module):
    """[CLS], the mean of the patches, and what a few learned queries look for among them."""

    def __init__(self, pooled: Tensor) -> None:
        """`pooled` [n, 2 Hv] are [CLS] and means of some pictures, to whiten by."""
        super().__init__()
        width = pooled.shape[1] // 2
        self.register_buffer("centre", pooled.mean(0))
        self.register_buffer("spread", pooled.std(0).clamp(min=1e-3))
        self.centre: Tensor
        self.spread: Tensor
        self.queries = nn.Parameter(torch.randn(width, QUERIES) / width**0.5)
        self.values = nn.Linear(width, WIDTH)
        self.dropout = nn.Dropout(0.3)
        self.plain = nn.Linear(2 * width, 1)
        self.sought = nn.Linear(QUERIES * WIDTH, 1)
        for layer in (self.plain, self.sought):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def linear(self, pooled: Tensor) -> Tensor:
        """[CLS] and means [B, 2 Hv] -> margins [B], above 0 for AI-made."""
        whitened = (pooled - self.centre) / self.spread
        margin: Tensor = self.plain(self.dropout(whitened))[:, 0]
        return margin

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, N, Hv] -> margins [B]."""
        width = tokens.shape[2]
        patches = tokens[:, 1:]
        whitened = (patches - self.centre[width:]) / self.spread[width:]
        attention = (whitened @ self.queries).softmax(1)  # [B, N - 1, Q]
        seen = attention.transpose(1, 2) @ torch.tanh(self.values(whitened))  # [B, Q, W]
        margin: Tensor = (
            self.linear(pooled(tokens)) + self.sought(self.dropout(seen.flatten(1)))[:, 0]
        )
        return margin


def pooled(tokens: Tensor) -> Tensor:
    """tokens [B, N, Hv] -> [CLS] and the mean of the patches [B, 2 Hv]."""
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
