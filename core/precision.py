"""Device and memory -> the dtype the model runs in.

fp16 on GPUs (the weights were released in it), bf16 on processors that
multiply it natively, fp32 elsewhere: a "half" that the processor has to
emulate is five times slower than fp32 (measured, AVX2).
"""

from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Precision:
    device: torch.device
    dtype: torch.dtype
    """Of the matrix products. Norms, embeddings and the residual stream stay float32."""
    keep_int8: bool
    """Leave int8 matrices as they are stored: half the memory, but slower on a CPU."""

    def autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )

    def __str__(self) -> str:
        int8 = " from int8" if self.keep_int8 else ""
        return f"{str(self.dtype).removeprefix('torch.')}{int8} on {self.device}"


def choose(parameters: int = 0, device: str | None = None) -> Precision:
    """The best precision of this machine for a model of that many parameters."""
    place = torch.device(device or _best_device())
    half = torch.bfloat16 if place.type == "cpu" else torch.float16
    dtype = half if place.type != "cpu" or _multiplies_bfloat16() else torch.float32
    needed = parameters * dtype.itemsize
    return Precision(place, dtype, keep_int8=needed > 0.6 * _memory_bytes(place))


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _multiplies_bfloat16() -> bool:
    # Private names, and the only ones that answer this; a torch without them gets fp32.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def _memory_bytes(place: torch.device) -> int:
    if place.type == "cuda":
        return torch.cuda.get_device_properties(place).total_memory
    return psutil.virtual_memory().total
