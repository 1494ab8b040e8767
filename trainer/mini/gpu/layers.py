"""A bridge that reads tokens of several layers of the tower, side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from antifake.core.instructblip import InstructBlip

HEADS, SIZE = 12, 32
CLS_HEADS = 9
"""As in `attend_to_cls`; the others start at the patches."""
SCORE = 9.0
"""How far a head prefers what it starts at to everything else."""
RIDGE = 0.3
"""Added to the variance of every channel, which is about 1, when keys are chosen."""
OFFSET = 4.0
"""How far the patches of a layer are moved, so that keys can tell the layers apart."""


class LayerNorms(nn.ModuleList):
    """One norm for the tokens of each layer: after it patches of all layers are of like size."""

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, L N, Hv] -> the same."""
        parts = tokens.chunk(len(self), 1)
        return torch.cat([norm(part) for norm, part in zip(self, parts, strict=True)], 1)


@torch.no_grad()
def read_layers(model: InstructBlip, seen: Sequence[Tensor]) -> None:
    """Makes an untrained model read several layers, and starts its attention at their [CLS].

    `seen` are tokens of some pictures at each layer, normalised, [n, N, Hv]. Every head starts at
    [CLS] or at the patches of one layer, and layers take turns. Of the keys that prefer that group
    of tokens to all others by `SCORE`, it gets the one whose scores vary least (as in linear
    discriminant analysis). Each layer's patches are moved along a direction of their own in which
    they vary least.
    """
    width, eps = seen[0].shape[2], model.vision_model.post_layernorm.eps
    norms = [nn.LayerNorm(width, eps=eps) for _ in seen]
    model.vision_model.post_layernorm = LayerNorms(norms)
    patches = [one[:, 1:].flatten(0, 1).float() for one in seen]
    scales = [(one.mean(0), one.std(0)) for one in patches]
    white = [(one - mean) / std for one, (mean, std) in zip(patches, scales, strict=True)]
    spread = torch.cat(white).T.cov()
    least = torch.linalg.eigh(spread)[1].T  # rows, the least varied first
    groups, spreads = [], []
    for number, (norm, tokens) in enumerate(zip(norms, seen, strict=True)):
        mean, std = scales[number]
        moved = OFFSET * least[number]
        norm.weight.copy_(1 / std)
        norm.bias.copy_(moved - mean / std)
        cls = (tokens[:, 0].float() - mean) / std
        groups.append((cls.mean(0) + moved, moved))
        spreads.append(cls.std(0))
        spread = spread + cls.T.cov() / len(seen)
    means = torch.stack([one for pair in groups for one in pair])  # [2 L, Hv]
    inverse = torch.linalg.inv(spread + RIDGE * torch.eye(width))
    # Column g gives 1 for group g and 0 for the others.
    keys = inverse @ means.T @ torch.linalg.inv(means @ inverse @ means.T)
    _start(model, groups, spreads, keys)


def _start(
    model: InstructBlip,
    groups: Sequence[tuple[Tensor, Tensor]],
    spreads: Sequence[Tensor],
    keys: Tensor,
) -> None:
    """Starts the heads.

    `groups` are mean [CLS] and mean patch of each layer, [Hv]; `spreads` those of [CLS], [Hv];
    `keys` [Hv, 2 L] find each group.
    """
    width = len(keys)
    for layer in model.qformer.encoder.layer:
        cross = layer.crossattention.attention
        for side in (cross.key, cross.value):
            side.weight.copy_(torch.randn_like(side.weight) / width**0.5)
            side.bias.zero_()
        for head in range(HEADS):
            rows = slice(head * SIZE, (head + 1) * SIZE)
            number, at_cls = head % len(groups), head < CLS_HEADS
            cross.key.weight[rows] *= 0.5
            cross.key.weight[rows.start] = keys[:, 2 * number + (not at_cls)]
            cross.query.weight[rows.start] = 0
            cross.query.bias[rows.start] = SCORE * SIZE**0.5
            if at_cls:
                cross.value.weight[rows] /= spreads[number]
            else:
                cross.value.weight[rows] *= 0.5
            centre = groups[number][not at_cls]
            cross.value.bias[rows] = -(cross.value.weight[rows] @ centre)
