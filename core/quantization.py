"""Linear layers whose weights are kept in 8 or 4 bits, for machines short of memory.

Only the large matrices of the language model are quantized; they are five sixths of all weights.
A frozen matrix is dequantized for one product and then freed. That also holds while a soft prompt
is trained: autograd would otherwise keep every dequantized copy until backward, and no memory
would be saved.

int8 is our own, with one scale a row, on any device. bitsandbytes' int8 also rounds activations;
ours rounds weights only, and its gradients were closer to those of float32 (cosine 0.998).
nf4 comes from bitsandbytes, an optional dependency, imported when the first matrix needs it. We
call its matmul and not its Linear4bit: on some processors that class repacks itself at the first
product without a gradient, and gives no gradients afterwards.

Shapes: `out` and `in` are the features of a layer, `n` is the number of rows of its input.
"""

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import ModelError
from .i18n import _

Weights = Literal["plain", "int8", "nf4"]
"""How the language model's matrices are kept in memory; "plain" is the dtype of the products."""

BYTES: dict[Weights, float] = {"int8": 1.0, "nf4": 0.5 + 1 / 64}
"""Bytes a weight, with its share of the scale: one a row (int8), one for 64 weights (nf4)."""

_LAYERS = ("language_model.layers.", "language_model.encoder.", "language_model.decoder.")
"""Where LLaMA's and T5's large matrices are."""


def is_quantizable(name: str, shape: torch.Size) -> bool:
    """Returns whether a tensor is one of the language model's large matrices [out, in]."""
    return name.startswith(_LAYERS) and len(shape) == 2 and "relative_attention_bias" not in name


def has_nf4() -> bool:
    """Returns whether bitsandbytes is installed, without importing it."""
    return find_spec("bitsandbytes") is not None


def quantize(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """matrix [out, in] -> int8 codes [out, in], float32 scale [out]; symmetric, one scale a row."""
    scale = matrix.float().abs().amax(dim=1).clamp(min=1e-12) / 127
    codes = (matrix.float() / scale[:, None]).round().to(torch.int8)
    return codes, scale


def dequantize(codes: Tensor, scale: Tensor) -> Tensor:
    """codes int8 [out, in], scale [out] -> float32 [out, in]."""
    return codes * scale[:, None]


def linear(matrix: Tensor, scale: Tensor | None, weights: Weights, dtype: torch.dtype) -> nn.Module:
    """Returns a Linear without bias that multiplies in `dtype`.

    matrix is [out, in], plain or, with a scale [out], int8 codes.
    """
    if weights == "nf4":
        return Nf4Linear(matrix if scale is None else dequantize(matrix, scale), dtype)
    codes, scale = quantize(matrix) if scale is None else (matrix, scale)
    return Int8Linear(codes, scale, dtype)


class _Int8Product(torch.autograd.Function):
    """x @ (codes * scale).T, which saves the codes for backward and not the dequantized matrix."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
        """x [n, in], codes int8 [out, in], scale [out] -> [n, out]."""
        ctx.save_for_backward(codes, scale)
        if x.dtype == torch.float16:
            # Codes reach 127 and float16 ends at 65504, so sums of products would overflow.
            return torch.mm(x, (codes * scale[:, None].half()).t())
        return torch.mm(x, codes.to(x.dtype).t()) * scale.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """grads[0] is [n, out]; the gradient of x is [n, in]."""
        codes, scale = ctx.saved_tensors
        grad = grads[0]
        if grad.dtype == torch.float16:
            return torch.mm(grad, codes * scale[:, None].half()), None, None
        return torch.mm(grad * scale.to(grad.dtype), codes.to(grad.dtype)), None, None


class Int8Linear(nn.Module):
    """A frozen Linear without bias, in int8 with one scale a row."""

    codes: Tensor
    """int8 [out, in]"""
    scale: Tensor
    """float32 [out]"""
    weight = None
    """T5 asks for the dtype of this, if it is a tensor, and casts its input to that."""

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


NF4_BLOCK = 64
"""Numbers that share a scale. On CPUs with AVX-512, bitsandbytes 0.50 takes wrong scales for rows
that are no multiple of it, so rows are padded to one. The published models need no padding."""


class Nf4Linear(nn.Module):
    """A frozen Linear without bias in nf4, whose scales are quantized, too.

    It stays on the device it was made on.
    """

    codes: Tensor
    weight = None
    """As in Int8Linear."""

    def __init__(self, matrix: Tensor, dtype: torch.dtype) -> None:
        """matrix [out, in]. Raises ModelError without bitsandbytes."""
        super().__init__()
        library = _bitsandbytes()
        self._padding = -matrix.shape[1] % NF4_BLOCK
        codes, self._scales = library.functional.quantize_4bit(
            self._padded(matrix.to(dtype)).contiguous(),
            blocksize=NF4_BLOCK,
            quant_type="nf4",
            compress_statistics=True,
        )
        self.register_buffer("codes", codes)
        self.dtype = dtype
        self._product = library.matmul_4bit

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> [..., out]."""
        flat = self._padded(x.reshape(-1, x.shape[-1]).to(self.dtype))
        product: Tensor = self._product(flat, self.codes, quant_state=self._scales)
        return product.reshape(*x.shape[:-1], -1)

    def _padded(self, rows: Tensor) -> Tensor:
        """rows [n, in] -> [n, in + padding]."""
        return functional.pad(rows, (0, self._padding)) if self._padding else rows


def _bitsandbytes() -> Any:
    """Imports bitsandbytes. Raises ModelError if it is not installed.

    If the package `kernels` is installed, bitsandbytes fetches programs from a hub while it is
    imported, and runs them. Nothing here may use a network unasked, so `kernels` is hidden.
    """
    log = logging.getLogger("bitsandbytes.backends.cpu.ops")
    level, kernels = log.level, sys.modules.get("kernels")
    sys.modules["kernels"] = cast(ModuleType, None)  # as if it were not installed
    log.setLevel(logging.ERROR)  # it warns that there are no kernels
    try:
        return import_module("bitsandbytes")
    except ImportError as error:
        raise ModelError(_("nf4 needs bitsandbytes: pip install 'antifake[gpu]'.")) from error
    finally:
        log.setLevel(level)
        del sys.modules["kernels"]
        if kernels:
            sys.modules["kernels"] = kernels
