"""Real pictures sent through a small autoencoder.

The result shows the same and was compressed the same way, but its pixels are a generator's. A
model that learns from both cannot lean on what real and AI-made pictures happen to show. The
weights (TAEF2, MIT) are no part of this project.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling
from safetensors.torch import load_file
from torch import Tensor, nn

WIDTH = 64
WEBP_QUALITY = 88
"""The quality of a WebP file cannot be read from it."""


class Block(nn.Module):
    """[B, 64, H, W] -> the same."""

    def __init__(self, *, pools: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        )
        self.pool = _pool() if pools else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _pool() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
        nn.GroupNorm(4, 4 * WIDTH),
        nn.ReLU(),
        nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
    )


class _SoftClamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


def _down(*, pools: bool) -> list[nn.Module]:
    shrink = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)
    return [shrink, *(Block(pools=pools) for _ in range(3))]


def _up(*, pools: bool) -> list[nn.Module]:
    grow = [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
    return [*(Block(pools=pools) for _ in range(3)), *grow]


def encoder() -> nn.Sequential:
    """[B, 3, H, W] -> [B, 32, H / 8, W / 8]."""
    return nn.Sequential(
        nn.Conv2d(3, WIDTH, 3, padding=1),
        Block(),
        *_down(pools=False),
        *_down(pools=False),
        *_down(pools=True),
        nn.Conv2d(WIDTH, 32, 3, padding=1),
    )


def decoder() -> nn.Sequential:
    """[B, 32, H / 8, W / 8] -> [B, 3, H, W]."""
    return nn.Sequential(
        _SoftClamp(),
        nn.Conv2d(32, WIDTH, 3, padding=1),
        nn.ReLU(),
        *_up(pools=True),
        *_up(pools=False),
        *_up(pools=False),
        Block(),
        nn.Conv2d(WIDTH, 3, 3, padding=1),
    )


class Autoencoder(nn.Module):
    """RGB in [0, 1], [B, 3, H, W] with sides that are multiples of 8 -> the same."""

    def __init__(self, folder: Path) -> None:
        """Loads encoder.safetensors and decoder.safetensors."""
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            part.load_state_dict(load_file(folder / f"{name}.safetensors"))
        self.float().requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.decoder(self.encoder(x)).clamp(0, 1)
        return found

    @torch.inference_mode()
    def redraw(self, pictures: np.ndarray, device: str) -> np.ndarray:
        """uint8 [B, H, W, 3] -> the same, cut to multiples of 8."""
        high, wide = (side // 8 * 8 for side in pictures.shape[1:3])
        x = torch.from_numpy(pictures[:, :high, :wide].copy()).to(device)
        half = device != "cpu"
        with torch.autocast(device, torch.float16, enabled=half):
            found = self(x.permute(0, 3, 1, 2).float() / 255)
        redrawn: np.ndarray = (found.float() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return redrawn


def saved_alike(pixels: np.ndarray, original: bytes) -> bytes:
    """Returns pixels [H, W, 3] in the format and with the compression of the original file."""
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    theirs = Image.open(io.BytesIO(original))
    if isinstance(theirs, JpegImageFile):
        tables, sampling = theirs.quantization, max(0, get_sampling(theirs))
        image.save(buffer, "JPEG", qtables=tables, subsampling=sampling)
    else:
        image.save(buffer, "WEBP", quality=WEBP_QUALITY)
    return buffer.getvalue()
