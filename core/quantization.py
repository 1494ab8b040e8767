"""Matrices kept in 8 or 4 bits: for machines short of memory. Slower than plain ones, never better.

Only the big matrices of the language model are kept so; they are five sixths of the numbers. A
frozen matrix is expanded for one product and forgotten, also while a word is being learned:
autograd would keep every expanded copy until backward, and nothing would be saved.

int8 is our own, one scale a row, on any device. bitsandbytes' int8 also rounds what goes in;
this rounds weights only, and its gradients were the closer ones (cosine .998 with float32).
nf4 is bitsandbytes', an extra, imported when the first matrix is kept so. Its products are
called, not its Linear4bit: on some processors that one repacks itself at the first product
without a gradient, and gives no gradients after it.
"""

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from .errors import ModelError

Weights = Literal["plain", "int8", "nf4"]
"""How the language model's matrices are kept in memory."""

BYTES: dict[Weights, float] = {"int8": 1.0, "nf4": 0.5 + 1 / 64}
"""A number, with its share of the scales: of a row, or of 64 numbers."""


def is_quantizable(name: str, shape: torch.Size) -> bool:
    """Whether a tensor of that name is one of the language model's big matrices."""
    return name.startswith("language_model.layers.") and len(shape) == 2


def has_nf4() -> bool:
    """Whether bitsandbytes is installed. It is not imported."""
    return find_spec("bitsandbytes") is not None


def quantize(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix [out, in] as int8 codes and one float32 scale a row, symmetric."""
    scale = matrix.float().abs().amax(dim=1).clamp(min=1e-12) / 127
    codes = (matrix.float() / scale[:, None]).round().to(torch.int8)
    return codes, scale


def dequantize(codes: Tensor, scale: Tensor) -> Tensor:
    """float32 [out, in]"""
    return codes * scale[:, None]


def linear(matrix: Tensor, scale: Tensor | None, weights: Weights, dtype: torch.dtype) -> nn.Module:
    """A product without bias in `dtype`, by a matrix stored plain or int8 (then with its scale)."""
    if weights == "nf4":
        return Nf4Linear(matrix if scale is None else dequantize(matrix, scale), dtype)
    codes, scale = quantize(matrix) if scale is None else (matrix, scale)
    return Int8Linear(codes, scale, dtype)


class _Int8Product(torch.autograd.Function):
    """x @ (codes * scale).T, keeping the codes for backward and not the dequantised matrix."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
        """x [n, in], codes int8 [out, in], scale [out] -> [n, out]."""
        ctx.save_for_backward(codes, scale)
        if x.dtype == torch.float16:
            # Codes reach 127, and float16 ends at 65504: their sums would be infinite.
            return torch.mm(x, (codes * scale[:, None].half()).t())
        return torch.mm(x, codes.to(x.dtype).t()) * scale.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        codes, scale = ctx.saved_tensors
        grad = grads[0]
        if grad.dtype == torch.float16:
            return torch.mm(grad, codes * scale[:, None].half()), None, None
        return torch.mm(grad * scale.to(grad.dtype), codes.to(grad.dtype)), None, None


class Int8Linear(nn.Module):
    """A frozen Linear without bias, int8 with one scale a row."""

    codes: Tensor
    scale: Tensor

    def __init__(self, codes: Tensor, scale: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out]."""
        flat = x.reshape(-1, x.shape[-1]).to(self.dtype)
        product: Tensor = _Int8Product.apply(flat, self.codes, self.scale)  # type: ignore[no-untyped-call]
        return product.reshape(*x.shape[:-1], -1)


class Nf4Linear(nn.Module):
    """A frozen Linear without bias in nf4, its scales quantised once more.

    It stays on the device that it was made on.
    """

    codes: Tensor

    def __init__(self, matrix: Tensor, dtype: torch.dtype) -> None:
        """matrix [out, in]. Raises ModelError without bitsandbytes."""
        super().__init__()
        library = _bitsandbytes()
        codes, self._scales = library.functional.quantize_4bit(
            matrix.to(dtype).contiguous(), quant_type="nf4", compress_statistics=True
        )
        self.register_buffer("codes", codes)
        self.dtype = dtype
        self._product = library.matmul_4bit

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out]."""
        flat = x.reshape(-1, x.shape[-1]).to(self.dtype)
        product: Tensor = self._product(flat, self.codes, quant_state=self._scales)
        return product.reshape(*x.shape[:-1], -1)


def _bitsandbytes() -> Any:
    """The library, imported when it is first needed. Raises ModelError where it is not there.

    Where the package `kernels` is installed it would fetch programs from a hub while it is
    imported, and run them. Nothing here may use a network unasked.
    """
    log = logging.getLogger("bitsandbytes.backends.cpu.ops")
    level, kernels = log.level, sys.modules.get("kernels")
    sys.modules["kernels"] = cast(ModuleType, None)  # as if it were not installed
    log.setLevel(logging.ERROR)  # it tells that there are no kernels
    try:
        return import_module("bitsandbytes")
    except ImportError as error:
        raise ModelError("nf4 needs bitsandbytes: pip install 'antifake[gpu]'.") from error
    finally:
        log.setLevel(level)
        del sys.modules["kernels"]
        if kernels:
            sys.modules["kernels"] = kernels
