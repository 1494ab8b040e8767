"""CLIP's tower with something in it that may be tuned: low-rank updates, last layers, or all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from antifake.core.bundle import Manifest, Tokens
from antifake.core.instructblip import InstructBlip
from antifake.core.quantization import dequantize
from antifake.trainer.mini.bridge import Sizes, configuration
from antifake.trainer.mini.towers.layouts import CLIP_PIXELS

Way = Literal["frozen", "lora", "last", "whole"]
MATRICES = ("self_attn.qkv", "self_attn.projection", "mlp.fc1", "mlp.fc2")
PREFIX = "vision_model."


class LowRank(nn.Module):
    """A frozen Linear [out, in] plus up @ down, of [out, r] and [r, in]."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        low = functional.linear(functional.linear(x, self.down), self.up)
        found: Tensor = self.base(x) + low
        return found


@dataclass(frozen=True)
class TowerWeights:
    """The stored tower: int8 matrices with scales, the rest as it is."""

    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, folder: Path) -> "TowerWeights":
        """Reads every tower*.safetensors of a folder."""
        found: dict[str, Tensor] = {}
        for path in sorted(folder.glob("tower*.safetensors")):
            found |= load_file(path)
        return cls(found)

    @property
    def layers(self) -> int:
        """The number of layers that are there."""
        return 1 + max(int(name.split(".")[3]) for name in self.tensors if ".layers." in name)

    def first(self, layers: int) -> dict[str, Tensor]:
        """Returns what a tower of so many layers stores."""
        return {
            name: value
            for name, value in self.tensors.items()
            if ".layers." not in name or int(name.split(".")[3]) < layers
        }

    def exact(self, layers: int) -> Iterator[tuple[str, Tensor]]:
        """Yields names without the model's prefix, and dequantized tensors."""
        stored = self.first(layers)
        for name, value in stored.items():
            if not name.endswith(".scale"):
                scale = stored.get(f"{name}.scale")
                plain = value.float() if scale is None else dequantize(value, scale)
                yield name.removeprefix(PREFIX), plain


class Tower(nn.Module):
    """The first layers of CLIP's tower; its tokens are normalised, as the bridge reads them."""

    def __init__(self, weights: TowerWeights, layers: int) -> None:
        super().__init__()
        manifest = Manifest(
            name="tower",
            dtype="int8",
            fingerprint="",
            config=configuration(Sizes(vision_layers=layers), 8, 8),
            tokens=Tokens(0, 0, 0, 0, 0),
            files={},
            rows={"lm_head": [0, 1]},
            pre_layernorm=True,
        )
        self.vision = InstructBlip(manifest, "cpu").vision_model
        state = dict(weights.exact(layers))
        norm = self.vision.post_layernorm
        state |= {
            "post_layernorm.weight": torch.ones_like(norm.weight),
            "post_layernorm.bias": torch.zeros_like(norm.bias),
        }
        self.vision.load_state_dict(state)
        self.vision.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(CLIP_PIXELS.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(CLIP_PIXELS.std).view(1, 3, 1, 1) * 255)
        self.mean: Tensor
        self.std: Tensor

    def open_up(self, way: Way, rank: int, last: int = 4) -> list[nn.Parameter]:
        """Makes what is tuned trainable, and returns it."""
        layers = self.vision.encoder.layers
        if way == "lora":
            for layer in layers:
                for name in MATRICES:
                    layer.set_submodule(name, LowRank(layer.get_submodule(name), rank))
        if way in ("last", "whole"):
            chosen = layers[-last:] if way == "last" else layers
            chosen.requires_grad_(True)
        return [p for p in self.parameters() if p.requires_grad]

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 [B, 224, 224, 3] -> tokens float32 [B, N, Hv]."""
        pixels = (pictures.permute(0, 3, 1, 2).float() - self.mean) / self.std
        found: Tensor = self.vision(pixel_values=pixels).last_hidden_state
        return found.float()

    def updates(self) -> dict[str, Tensor]:
        """Returns the low-rank updates by the name of their matrix in a bundle, float16."""
        found = {}
        for name, part in self.vision.named_modules():
            if isinstance(part, LowRank):
                for side in ("down", "up"):
                    key = f"{PREFIX}{name}.weight.{side}"
                    found[key] = getattr(part, side).detach().half().cpu().contiguous()
        return found

    def differences(self, weights: TowerWeights, layers: int) -> dict[str, Tensor]:
        """Returns what tuned layers differ by from the stored ones, float16."""
        now = self.vision.state_dict()
        return {
            f"{PREFIX}{name}": (now[name].cpu() - before).half()
            for name, before in weights.exact(layers)
            if name in now and not torch.equal(now[name].cpu(), before)
        }
