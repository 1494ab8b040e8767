"""The vision encoder: transformers' own class, and what encoders of other families need in it.

Shapes: see antifake.core.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bundle import Manifest


class NormedEmbeddings(nn.Module):
    """Patch embeddings with CLIP's LayerNorm before the first layer.

    InstructBLIP's vision encoder has no such LayerNorm. Wrapping the stock module lets CLIP's
    encoder run in InstructBlipVisionModel unchanged.
    """

    def __init__(self, stock: nn.Module, width: int, eps: float) -> None:
        super().__init__()
        self.stock = stock
        self.pre_layernorm = nn.LayerNorm(width, eps=eps)

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """pixels [B, 3, S, S] -> [B, N, Hv]."""
        normed: Tensor = self.pre_layernorm(self.stock(pixel_values, **kwargs))
        return normed


class PatchesAlone(nn.Module):
    """Patch embeddings without the class token that InstructBLIP puts in front of them.

    An encoder that was trained without one would give other tokens if it could attend to it.
    """

    def __init__(self, stock: nn.Module) -> None:
        super().__init__()
        self.stock = stock

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """pixels [B, 3, S, S] -> [B, N, Hv]."""
        tokens: Tensor = self.stock(pixel_values, **kwargs)
        return tokens[:, 1:]


class FusedLayers(nn.Module):
    """The stock stack of layers, which returns the mean of what several of them put out.

    Each output is normalised without weights first, so that they count alike; the layer norm
    behind the stack scales their mean. Early layers know more of how a picture was made, late
    ones of what it shows: together they recognise more (RINE, arXiv 2402.19091).
    """

    def __init__(self, stock: Any, fused: Sequence[int], eps: float, output: type) -> None:
        """`fused` are numbers of layers, the first being 1; `output` is the stock's result."""
        super().__init__()
        self.layers = stock.layers
        self._fused = frozenset(fused)
        self._eps = eps
        self._output = output

    def forward(self, inputs_embeds: Tensor, **kwargs: Any) -> Any:
        """embeddings [B, N, Hv] -> an output whose last_hidden_state is [B, N, Hv]."""
        hidden = inputs_embeds
        total = torch.zeros_like(hidden)
        for number, layer in enumerate(self.layers, 1):
            hidden = layer(hidden, **kwargs)
            if number in self._fused:
                total = total + functional.layer_norm(hidden, hidden.shape[-1:], eps=self._eps)
        return self._output(last_hidden_state=total / len(self._fused))


def vision_encoder(classes: SimpleNamespace, config: Any, manifest: Manifest) -> Any:
    """Returns an InstructBlipVisionModel of `classes` with the parts that the manifest names."""
    model = classes.InstructBlipVisionModel(config)
    width, eps = config.hidden_size, config.layer_norm_eps
    if not manifest.class_token:
        model.embeddings = PatchesAlone(model.embeddings)
    if manifest.pre_layernorm:
        model.embeddings = NormedEmbeddings(model.embeddings, width, eps)
    if manifest.fused_layers:
        output = classes.BaseModelOutput
        model.encoder = FusedLayers(model.encoder, manifest.fused_layers, eps, output)
    return model
