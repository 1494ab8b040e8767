"""What the folder of a vision tower says of itself: its kind, its sizes, its pixels, its licence.

Folders may come from anywhere. Descriptions are read strictly, and nothing in a folder is run.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from antifake.core.errors import ModelError
from antifake.core.files import read_capped
from antifake.core.strict_json import is_printable, is_whole, strict_json

from .layouts import CLIP, DINOV2, SIGLIP, TIMM, Layout, PixelScale

_MOST_BYTES = 2**20
ACTIVATIONS = ("gelu", "gelu_pytorch_tanh", "quick_gelu")

_BY_MODEL_TYPE = {
    "clip": CLIP,
    "clip_vision_model": CLIP,
    "siglip": SIGLIP,
    "siglip_vision_model": SIGLIP,
    "dinov2": DINOV2,
}
_NOT_YET = {
    "dinov2_with_registers": "its register tokens have no place in our encoder",
    "dinov3_vit": "its positions turn inside of attention, which our encoder cannot do",
    "siglip2": "its squares have no fixed number of patches; SigLIP 2 of a fixed size can be used",
    "siglip2_vision_model": (
        "its squares have no fixed number of patches; SigLIP 2 of a fixed size can be used"
    ),
}
_TIMM_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16}
"""By width, in timm's tiny, small, base and large ViT; the weights do not show it."""
_TIMM_ARGUMENTS = {"img_size", "dynamic_img_size", "num_heads"}


@dataclass(frozen=True)
class Shape:
    """The sizes of a tower, under the names that InstructBlipVisionConfig has for them."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    hidden_act: str
    layer_norm_eps: float
    qkv_bias: bool = True

    def vision_config(self) -> dict[str, Any]:
        """Returns the arguments of InstructBlipVisionConfig."""
        # A tower without biases of queries, keys and values gets zeros.
        return {**asdict(self), "qkv_bias": True, "attention_dropout": 0.0}

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size


def layout_of(folder: Path, config: Mapping[str, Any]) -> Layout:
    """Returns the layout that a config.json names. Raises ModelError for one not known."""
    kind = config.get("model_type")
    if kind is None:
        return TIMM
    if isinstance(kind, str) and kind in _BY_MODEL_TYPE:
        return _BY_MODEL_TYPE[kind]
    named = kind if is_printable(kind, 60) else "something unknown"
    why = _NOT_YET.get(named, "its kind is not known here")
    raise ModelError(
        f"{folder} holds {named}, which cannot be a tower: {why}. Towers are CLIP, SigLIP, DINOv2 "
        "and the ViTs of timm."
    )


def stated_shape(folder: Path, layout: Layout, config: Mapping[str, Any]) -> Shape:
    """Returns the sizes that a config.json of transformers states. Raises ModelError."""
    part = config.get("vision_config", {}) if config["model_type"] in ("clip", "siglip") else config
    if not isinstance(part, dict):
        raise _cannot_be(folder, "vision_config")
    values = {**layout.defaults, **{key: part[key] for key in layout.defaults if key in part}}
    if values.get("use_swiglu_ffn"):
        raise ModelError(f"{folder} has gated layers (SwiGLU), which our encoder cannot compute.")
    if layout is DINOV2:
        ratio, width = values["mlp_ratio"], values["hidden_size"]
        if not is_whole(ratio, 16, 1) or not is_whole(width, 2**16, 1):
            raise _cannot_be(folder, "mlp_ratio or hidden_size")
        values["intermediate_size"] = ratio * width
        if not isinstance(values["qkv_bias"], bool):
            raise _cannot_be(folder, "qkv_bias")
    if values.pop("num_channels") != 3:
        raise ModelError(f"{folder} does not read pictures of three colours.")
    return _checked(folder, {key: values[key] for key in values if key in _SHAPE_KEYS})


def shape_of_timm(
    folder: Path, config: Mapping[str, Any], sizes: Mapping[str, tuple[int, ...]]
) -> Shape:
    """Returns the sizes of a ViT of timm by those of its weights. Raises ModelError."""
    names = TIMM.names
    layers = {int(found[1]) for one in sizes if (found := re.match(r"blocks\.(\d{1,3})\.", one))}
    try:
        width, _colours, patch, _ = sizes[f"{names['patches']}.weight"]
        inner = sizes[f"{names['layer']}0.{names['mlp.fc1']}.weight"][0]
        side = math.isqrt(sizes[names["positions"]][1] - 1)
    except (KeyError, IndexError, ValueError):
        raise ModelError(f"{folder} holds no vision transformer of timm.") from None
    arguments = config.get("model_args", {})
    if not isinstance(arguments, dict) or arguments.keys() - _TIMM_ARGUMENTS:
        raise ModelError(f"{folder} was built with model_args that its weights do not show.")
    heads = arguments.get("num_heads", _TIMM_HEADS.get(width))
    if heads is None:
        raise ModelError(f"{folder} does not say how many heads it has (model_args.num_heads).")
    values = {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "image_size": side * patch,
        "patch_size": patch,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": f"{names['layer']}0.{names['qkv']}.bias" in sizes,
    }
    return _checked(folder, values)


_SHAPE_KEYS = set(Shape.__dataclass_fields__)
_MOST = {
    "hidden_size": 2**14,
    "intermediate_size": 2**16,
    "num_hidden_layers": 512,
    "num_attention_heads": 1024,
    "image_size": 2048,
    "patch_size": 256,
}
MOST_GRID = 80
"""Patches along a side: attention to more would not fit into memory. 1024 pixels in 14 are 73."""


def _checked(folder: Path, values: dict[str, Any]) -> Shape:
    """Returns the shape if everything in it can be. Raises ModelError."""
    for key, most in _MOST.items():
        if not is_whole(values[key], most, 4 if key == "patch_size" else 1):
            raise _cannot_be(folder, key)
    eps = values["layer_norm_eps"]
    if not isinstance(eps, float) or not 0 < eps < 0.01:
        raise _cannot_be(folder, "layer_norm_eps")
    if values["hidden_act"] not in ACTIVATIONS:
        raise ModelError(f"{folder} uses another activation than {', '.join(ACTIVATIONS)}.")
    if values["hidden_size"] % values["num_attention_heads"]:
        raise _cannot_be(folder, "num_attention_heads")
    shape = Shape(**values)
    if not 1 <= shape.grid <= MOST_GRID:
        raise _cannot_be(folder, "image_size")
    return shape


def _cannot_be(folder: Path, what: str) -> ModelError:
    return ModelError(f"{folder} states an impossible {what}.")


# --- What stands beside the weights ---------------------------------------------------------


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file. Raises ModelError."""
    try:
        raw = strict_json(read_capped(path, _MOST_BYTES, "model description"))
    except ValueError as error:
        raise ModelError(f"{path} is not a description of a model: {error}.") from None
    if not isinstance(raw, dict):
        raise ModelError(f"{path} is not a description of a model.")
    return raw


def stated_pixels(folder: Path, layout: Layout, config: Mapping[str, Any]) -> PixelScale:
    """Returns how the tower wants its pixels scaled. Raises ModelError."""
    about = config.get("pretrained_cfg", {}) if layout is TIMM else _preprocessor(folder)
    keys = ("mean", "std") if layout is TIMM else ("image_mean", "image_std")
    if not isinstance(about, dict) or not about.keys() & set(keys):
        return layout.pixels
    mean, std = (about.get(key) for key in keys)
    if not (_is_rgb(mean, -10) and _is_rgb(std, 1e-3)):
        raise _cannot_be(folder, "mean or standard deviation of pixels")
    return PixelScale(tuple(map(float, mean)), tuple(map(float, std)))  # type: ignore[arg-type]


def stated_image_size(folder: Path, layout: Layout) -> int | None:
    """Returns the side of the square that the tower was published with, if it says so.

    DINOv2's positions are for 518 pixels, and its preprocessor cuts squares of 224.
    """
    crop = None if layout is TIMM else _preprocessor(folder).get("crop_size")
    side = crop.get("height") if isinstance(crop, dict) else crop
    return side if is_whole(side, 2048, 8) else None


def _preprocessor(folder: Path) -> dict[str, Any]:
    path = folder / "preprocessor_config.json"
    return read_json(path) if path.is_file() else {}


def _is_rgb(value: object, least: float) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(one) in (int, float) and least <= one <= 10 for one in value)
    )


def stated_licence(folder: Path) -> str:
    """Returns the licence that the head of README.md names, or "" if there is none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    text = read_capped(path, _MOST_BYTES, "README").decode(errors="replace")
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    values = re.findall(r"^license(?:_name|_link)?:[ \t]*(\S.*)$", head, re.MULTILINE)
    stated = ", ".join(value.strip().strip("\"'") for value in values)
    return stated if is_printable(stated, 300) else ""


def printable(name: str) -> str:
    """Returns a name from outside as it may be shown."""
    return "".join(one for one in name if one.isprintable())[:100]
