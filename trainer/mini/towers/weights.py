"""The weights of a vision tower, from safetensors only, by the names that a bundle has for them."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from antifake.core.errors import ModelError
from antifake.core.prepare import MOST_TENSORS, weight_files

from .config import Shape, layout_of, printable, read_json, shape_of_timm, stated_shape
from .layouts import TIMM, Layout

OURS = "vision_model."
LAYERS = f"{OURS}encoder.layers."
_DTYPES = ("F64", "F32", "F16", "BF16")


class Weights:
    """The weights of a tower, read one by one, with a look at each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.prefix = ""
        self._files: dict[str, Any] = {}
        self._taken: set[str] = set()
        for path in weight_files(folder):
            try:
                file = stack.enter_context(safe_open(path, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise ModelError(f"{path} is damaged: {str(error)[:160]}") from None
            self._files |= dict.fromkeys(file.keys(), file)
            if len(self._files) > MOST_TENSORS:
                raise ModelError(f"{folder} has more tensors than any tower.")

    def look_under(self, layout: Layout) -> None:
        """Finds what stands before all names. Raises ModelError."""
        anchor = f"{layout.names['patches']}.weight"
        for prefix in layout.prefixes:
            if f"{prefix}{anchor}" in self._files:
                self.prefix = prefix
                return
        raise ModelError(f"{self.folder} holds no tower of the kind {layout.kind}: no {anchor}.")

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each tensor below the prefix."""
        return {
            name.removeprefix(self.prefix): tuple(file.get_slice(name).get_shape())
            for name, file in self._files.items()
            if name.startswith(self.prefix)
        }

    def has(self, name: str) -> bool:
        return f"{self.prefix}{name}" in self._files

    def take(self, name: str, *size: int) -> Tensor:
        """Returns a tensor in float32 and of that size; only sides of 1 may be elsewhere.

        Raises ModelError.
        """
        full = f"{self.prefix}{name}"
        self._taken.add(full)
        if full not in self._files:
            raise ModelError(f"{self.folder} is incomplete: {full} is missing.")
        stored = self._files[full].get_slice(full)
        has = stored.get_shape()
        if [one for one in has if one != 1] != [one for one in size if one != 1]:
            raise ModelError(f"{full} in {self.folder} is {tuple(has)}, not {size}.")
        if stored.get_dtype() not in _DTYPES:
            raise ModelError(f"{full} in {self.folder} is not stored as plain floating point.")
        tensor: Tensor = self._files[full].get_tensor(full).float().reshape(size)
        if not tensor.isfinite().all():
            raise ModelError(f"{full} in {self.folder} holds infinite numbers or NaN.")
        return tensor

    def check_all_known(self, layout: Layout) -> None:
        """Raises ModelError for a weight that would change the tower and was not read."""
        last = re.compile(re.escape(self.prefix + layout.names["layer"]) + r"\d+\.")
        aside = tuple(f"{self.prefix}{one}" for one in layout.aside)
        # Layers beyond those that are kept have the names of the first ones.
        known = {last.sub("", one) for one in self._taken if last.match(one)}
        for name in sorted(self._files.keys() - self._taken):
            later = last.match(name) and last.sub("", name) in known
            if name.startswith(self.prefix) and not (name.startswith(aside) or later):
                raise ModelError(
                    f"{self.folder} has {printable(name)}, which no {layout.kind} known here has: "
                    "it computes something else."
                )


def stock_embeddings(*, pre_layernorm: bool, class_token: bool) -> str:
    """Returns the name of InstructBLIP's own embeddings inside of those that wrap them."""
    return f"{OURS}embeddings." + "stock." * (int(pre_layernorm) + int(not class_token))


def described(folder: Path, stack: ExitStack) -> tuple[Layout, Shape, Weights, Mapping[str, Any]]:
    """Returns what a folder holds, its weights open until the stack closes. Raises ModelError."""
    path = folder / "config.json"
    # Folders of timm's weights may have none.
    config = read_json(path) if path.is_file() else {}
    layout = layout_of(folder, config)
    weights = Weights(folder, stack)
    weights.look_under(layout)
    if layout is TIMM:
        shape = shape_of_timm(folder, config, weights.sizes())
    else:
        shape = stated_shape(folder, layout, config)
    return layout, shape, weights, config


def mapped(
    layout: Layout, shape: Shape, weights: Weights, layers: int
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the tensors by the names of a bundle, and what was done to them."""
    tensors = _embeddings(layout, shape, weights)
    is_scaled = False
    for number in range(layers):
        layer = _Layer(layout, shape, weights, f"{layout.names['layer']}{number}.")
        is_scaled |= layer.is_scaled
        tensors |= {f"{LAYERS}{number}.{name}": value for name, value in layer.tensors().items()}
    note = "Layer scale was multiplied into the matrices before it."
    return tensors, (note,) if is_scaled else ()


def _embeddings(layout: Layout, shape: Shape, weights: Weights) -> dict[str, Tensor]:
    names, width, side = layout.names, shape.hidden_size, shape.patch_size
    has_class, has_norm = "class" in names, "pre_layernorm" in names
    stock = stock_embeddings(pre_layernorm=has_norm, class_token=has_class)
    bias = f"{names['patches']}.bias"
    n = shape.grid**2
    positions = weights.take(names["positions"], 1, n + int(has_class), width)
    if not has_class:
        # The stock embeddings put a token first, which PatchesAlone takes away again.
        positions = torch.cat([torch.zeros(1, 1, width), positions], 1)
    no_bias = torch.zeros(width)
    tensors = {
        f"{stock}class_embedding": (
            weights.take(names["class"], 1, 1, width) if has_class else torch.zeros(1, 1, width)
        ),
        f"{stock}position_embedding": positions,
        f"{stock}patch_embedding.weight": weights.take(
            f"{names['patches']}.weight", width, 3, side, side
        ),
        f"{stock}patch_embedding.bias": weights.take(bias, width) if weights.has(bias) else no_bias,
    }
    if has_norm:
        for kind in ("weight", "bias"):
            key = f"{names['pre_layernorm']}.{kind}"
            tensors[f"{OURS}embeddings.pre_layernorm.{kind}"] = weights.take(key, width)
    return tensors


class _Layer:
    """One layer of a tower."""

    def __init__(self, layout: Layout, shape: Shape, weights: Weights, prefix: str) -> None:
        self.names, self.shape, self.weights, self.prefix = layout.names, shape, weights, prefix
        self.is_scaled = "scale1" in self.names and weights.has(self._key("scale1"))

    def tensors(self) -> dict[str, Tensor]:
        """Returns its tensors by the names of InstructBlipEncoderLayer."""
        width, inner = self.shape.hidden_size, self.shape.intermediate_size
        found = dict(zip(("self_attn.qkv.weight", "self_attn.qkv.bias"), self._qkv(), strict=True))
        for ours, name, out, into, scale in (
            ("self_attn.projection", "projection", width, width, "scale1"),
            ("mlp.fc1", "mlp.fc1", inner, width, ""),
            ("mlp.fc2", "mlp.fc2", width, inner, "scale2"),
        ):
            weight, bias = self._take(name, "weight", out, into), self._take(name, "bias", out)
            if scale and self.is_scaled:
                factor = self.weights.take(self._key(scale), out)
                weight, bias = factor[:, None] * weight, factor * bias
            found |= {f"{ours}.weight": weight, f"{ours}.bias": bias}
        for norm in ("layer_norm1", "layer_norm2"):
            for kind in ("weight", "bias"):
                found[f"{norm}.{kind}"] = self._take(norm, kind, width)
        return found

    def _qkv(self) -> tuple[Tensor, Tensor]:
        """Returns weight [3 H, H] and bias [3 H] of queries, keys and values."""
        width = self.shape.hidden_size
        sides, rows = (("qkv",), 3 * width) if "qkv" in self.names else (("q", "k", "v"), width)
        weight = torch.cat([self._take(side, "weight", rows, width) for side in sides])
        if not self.shape.qkv_bias:
            return weight, torch.zeros(3 * width)
        return weight, torch.cat([self._take(side, "bias", rows) for side in sides])

    def _take(self, name: str, kind: str, *size: int) -> Tensor:
        return self.weights.take(f"{self._key(name)}.{kind}", *size)

    def _key(self, name: str) -> str:
        return f"{self.prefix}{self.names[name]}"
