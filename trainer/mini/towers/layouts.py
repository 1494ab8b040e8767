"""How kinds of vision transformers name their weights.

CLIP, SigLIP, SigLIP 2 (fixed size), DINOv2   as transformers writes them
ViTs of timm                                  with timm's names, as Community Forensics'
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antifake.core.prompt_file import RGB


@dataclass(frozen=True)
class PixelScale:
    """Mean and standard deviation of each channel, of pixels in [0, 1]."""

    mean: RGB
    std: RGB


CLIP_PIXELS = PixelScale((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_PIXELS = PixelScale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF_PIXELS = PixelScale((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Layout:
    """How a kind of vision transformer names its weights, and what goes without saying."""

    kind: str
    names: Mapping[str, str]
    """Of embeddings and layers, by ours; `layer` is the beginning of those of a layer, and names
    of layers follow it. What a kind does not have is not in here."""
    pixels: PixelScale
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What transformers takes for a key that config.json lacks."""
    aside: tuple[str, ...] = ()
    """Beginnings of names of weights that come after the last layer, or are not used."""
    prefixes: tuple[str, ...] = ("",)
    """What may stand before all names, the longest first."""


_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
}
_TRANSFORMERS = {
    "patches": "embeddings.patch_embedding",
    "positions": "embeddings.position_embedding.weight",
    "layer": "encoder.layers.",
    "layer_norm1": "layer_norm1",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "projection": "self_attn.out_proj",
    "layer_norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
CLIP = Layout(
    "CLIP",
    # CLIP spells it so.
    _TRANSFORMERS | {"class": "embeddings.class_embedding", "pre_layernorm": "pre_layrnorm"},
    CLIP_PIXELS,
    _DEFAULTS | {"patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    ("post_layernorm.", "embeddings.position_ids"),
    ("vision_model.", ""),
)
SIGLIP = Layout(
    "SigLIP",
    _TRANSFORMERS,
    HALF_PIXELS,
    _DEFAULTS | {"patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
    ("post_layernorm.", "head.", "embeddings.position_ids"),
    ("vision_model.", ""),
)
DINOV2 = Layout(
    "DINOv2",
    {
        "class": "embeddings.cls_token",
        "patches": "embeddings.patch_embeddings.projection",
        "positions": "embeddings.position_embeddings",
        "layer": "encoder.layer.",
        "layer_norm1": "norm1",
        "q": "attention.attention.query",
        "k": "attention.attention.key",
        "v": "attention.attention.value",
        "projection": "attention.output.dense",
        "scale1": "layer_scale1.lambda1",
        "layer_norm2": "norm2",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
        "scale2": "layer_scale2.lambda1",
    },
    IMAGENET_PIXELS,
    _DEFAULTS
    | {"patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6}
    | {"mlp_ratio": 4, "qkv_bias": True, "use_swiglu_ffn": False},
    ("layernorm.", "embeddings.mask_token"),
    ("dinov2.", ""),
)
TIMM = Layout(
    "ViT of timm",
    {
        "class": "cls_token",
        "patches": "patch_embed.proj",
        "positions": "pos_embed",
        "layer": "blocks.",
        "layer_norm1": "norm1",
        "qkv": "attn.qkv",
        "projection": "attn.proj",
        "scale1": "ls1.gamma",
        "layer_norm2": "norm2",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
        "scale2": "ls2.gamma",
    },
    # As Community Forensics was trained; timm's own models say theirs.
    IMAGENET_PIXELS,
    aside=("norm.", "fc_norm.", "head."),
    prefixes=("vit.", ""),
)
