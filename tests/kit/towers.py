"""Small random vision towers of every kind, in the folders that they are published in."""

import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

Model = TypeVar("Model", bound=nn.Module)
WIDTH, HEADS, LAYERS = 48, 4, 3
SIZES = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS}


def drawn(model: Model, seed: int = 0) -> Model:
    """Returns the model with weights that all matter: its own start has ones and zeros."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=random)
            wide = parameter.ndim > 1 and parameter.shape[-1] > 1
            parameter.copy_(noise * parameter[0].numel() ** -0.5 if wide else 0.5 + 0.5 * noise)
    model.eval()
    return model


def clip(
    folder: Path, *, image_size: int = 32, patch_size: int = 8, hidden_act: str = "quick_gelu"
) -> nn.Module:
    config = CLIPVisionConfig(
        **SIZES,
        intermediate_size=80,
        image_size=image_size,
        patch_size=patch_size,
        hidden_act=hidden_act,
    )
    return _saved(CLIPVisionModel(config), folder)


def whole_clip(folder: Path) -> nn.Module:
    """CLIP with its text side, as on the hub. Returns its vision side."""
    vision = {**SIZES, "intermediate_size": 80, "image_size": 32, "patch_size": 16}
    text = {**SIZES, "intermediate_size": 16, "vocab_size": 20}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    both = _saved(CLIPModel(CLIPConfig(vision_config=vision, text_config=text)), folder)
    return both.get_submodule("vision_model")


def siglip(folder: Path, *, image_size: int = 48) -> nn.Module:
    config = SiglipVisionConfig(**SIZES, intermediate_size=80, image_size=image_size, patch_size=16)
    return _saved(SiglipVisionModel(config), folder)


def dinov2(
    folder: Path, *, image_size: int = 56, crop_size: int | None = None, qkv_bias: bool = True
) -> nn.Module:
    config = Dinov2Config(
        **SIZES, mlp_ratio=2, image_size=image_size, patch_size=14, qkv_bias=qkv_bias
    )
    model = _saved(Dinov2Model(config), folder)
    if crop_size:
        about = {
            "crop_size": {"height": crop_size, "width": crop_size},
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return model


def _saved(model: PreTrainedModel, folder: Path) -> nn.Module:
    found: nn.Module = drawn(model)
    model.save_pretrained(folder)
    return found


class TimmBlock(nn.Module):
    """timm's Block, with its names."""

    def __init__(self, layer_scale: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)}
        )
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 80), "fc2": nn.Linear(80, WIDTH)})
        if layer_scale:
            self.ls1, self.ls2 = nn.Module(), nn.Module()
            self.ls1.gamma, self.ls2.gamma = (nn.Parameter(torch.ones(WIDTH)) for _ in "12")

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        q, k, v = (
            part.view(n, tokens, HEADS, -1).transpose(1, 2)
            for part in self.attn["qkv"](self.norm1(x)).chunk(3, dim=-1)
        )
        weights = torch.softmax(q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5, dim=-1)
        read = self.attn["proj"]((weights @ v).transpose(1, 2).reshape(n, tokens, WIDTH))
        x = x + (self.ls1.gamma * read if hasattr(self, "ls1") else read)
        made = self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))
        done: Tensor = x + (self.ls2.gamma * made if hasattr(self, "ls2") else made)
        return done


class TimmViT(nn.Module):
    """timm's VisionTransformer up to its last norm, which stays out, as its head."""

    def __init__(self, image_size: int, patch_size: int, layer_scale: bool) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        n = (image_size // patch_size) ** 2
        self.pos_embed = nn.Parameter(torch.zeros(1, n + 1, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, patch_size, patch_size)})
        self.blocks = nn.ModuleList(TimmBlock(layer_scale) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.head = nn.Linear(WIDTH, 1)

    def hidden_states(self, pixels: Tensor) -> list[Tensor]:
        patches = self.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.pos_embed
        found = [x]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found


def timm(
    folder: Path, *, prefix: str = "", layer_scale: bool = False, image_size: int = 48
) -> TimmViT:
    """Community Forensics' weights stand below "vit."."""
    model = drawn(TimmViT(image_size, 16, layer_scale))
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    config = {"architecture": "vit_tiny_patch16", "model_args": {"num_heads": HEADS}}
    (folder / "config.json").write_text(json.dumps(config))
    return model
