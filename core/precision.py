"""Chooses device, dtype and quantization from the memory that there is.

    CUDA GPU     fp16, as the weights were released; if they do not fit, the language model in
                 int8, then in nf4, with a note to the user; else the CPU
    Apple's GPU  fp16, else the language model in int8; else the CPU
                 (T5: bf16 instead of fp16 on both)
    CPU          bf16 if it is measured to be faster than fp32 (dtype_benchmark), else fp32; the
                 language model in int8 if it would otherwise take too much memory

bf16 that a CPU has to emulate is five times slower than fp32 (measured with AVX2).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import psutil
import torch

from .dtype_benchmark import DtypeBenchmark
from .i18n import _
from .quantization import Weights, has_nf4

SHARE = {"cuda": 0.8, "mps": 0.55, "cpu": 0.65}
"""The share of a device's memory for weights. Activations, drivers and other programs need more."""

_WORDS: dict[Weights, str] = {
    "plain": "",
    "int8": ", language model in int8,",
    "nf4": ", language model in nf4,",
}

Needs = Callable[[torch.dtype, Weights], float]
"""(dtype, quantization of the language model) -> bytes that the model needs."""


@dataclass(frozen=True)
class Precision:
    device: torch.device
    dtype: torch.dtype
    """Of the matrix products. Norms, embeddings and the residual stream stay float32."""
    weights: Weights = "plain"
    """How the language model's large matrices are kept in memory."""
    note: str = field(default="", compare=False)
    """What the user should know of this choice, in a sentence."""

    def autocast(self) -> torch.autocast:
        # Frozen weights are stored in their dtype, so no cast copies need be cached; a cached copy
        # must not get into a captured CUDA graph.
        return torch.autocast(
            self.device.type,
            dtype=self.dtype,
            enabled=self.dtype != torch.float32,
            cache_enabled=False,
        )

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')}{_WORDS[self.weights]} on {self.device}"


@dataclass(frozen=True)
class Machine:
    """The hardware to choose from."""

    gpu: str | None
    """cuda or mps; None without a GPU."""
    room: Callable[[torch.device], float]
    """Returns the bytes that weights may take on a device."""
    has_nf4: bool

    @classmethod
    def here(cls) -> Self:
        gpu = "cuda" if torch.cuda.is_available() else None
        gpu = gpu or ("mps" if torch.backends.mps.is_available() else None)
        return cls(gpu, room_on, has_nf4())


def room_on(place: torch.device) -> float:
    """Returns the bytes that weights may take on a device of this machine.

    For main memory this is a share of the total, not of what is free just now: otherwise the
    precision, and with it the scores, would change from start to start, and unused memory of
    other programs can be paged out. A GPU does not page, so there what is free counts.
    """
    if place.type == "cuda":
        free, total = torch.cuda.mem_get_info(place)
        return min(SHARE["cuda"] * total, free)
    return SHARE[place.type] * psutil.virtual_memory().total


def choose(
    needs: Needs = lambda _dtype, _weights: 0,
    device: str | None = None,
    *,
    half: torch.dtype = torch.float16,
    benchmark: DtypeBenchmark | None = None,
    machine: Machine | None = None,
) -> Precision:
    """Returns the best precision for a model with these needs.

    A named device is used whatever fits there. `half` is the dtype on a GPU. `benchmark` tells
    which dtype is faster on this CPU.
    """
    machine = machine or Machine.here()
    place = torch.device(device or machine.gpu or "cpu")
    if place.type == "cpu":
        return _on_cpu(needs, benchmark or DtypeBenchmark(), machine)
    tried = list(_on_gpu(place, half, machine))
    for found in tried:
        if needs(found.dtype, found.weights) <= machine.room(place):
            return found
    if device:
        return tried[-1]
    return replace(
        _on_cpu(needs, benchmark or DtypeBenchmark(), machine), note=_why_not(place, machine)
    )


def _on_gpu(place: torch.device, half: torch.dtype, machine: Machine) -> Iterator[Precision]:
    """Yields precisions from the best to the smallest."""
    yield Precision(place, half)
    yield Precision(place, half, "int8")
    if place.type == "cuda" and machine.has_nf4:
        note = _(
            "This model fits this graphics card only at reduced precision (nf4): scores may "
            "differ from those elsewhere."
        )
        yield Precision(place, half, "nf4", note)


def _on_cpu(needs: Needs, benchmark: DtypeBenchmark, machine: Machine) -> Precision:
    place = torch.device("cpu")
    dtype = torch.bfloat16 if benchmark.prefers_bfloat16() else torch.float32
    fits = needs(dtype, "plain") <= machine.room(place)
    return Precision(place, dtype, "plain" if fits else "int8")


def _why_not(gpu: torch.device, machine: Machine) -> str:
    note = _(
        "The graphics card has too little free memory for this model, so the processor judges, "
        "which takes longer."
    )
    if gpu.type == "cuda" and not machine.has_nf4:
        hint = _("In 4 bits it may fit, at reduced precision: pip install 'antifake[gpu]'.")
        return f"{note} {hint}"
    return note


def use_physical_cores() -> None:
    """Lets torch use one thread a physical core.

    Two threads of one core share its multipliers. With MKL torch counts cores by itself, without
    it does not. A smaller number of threads was set on purpose and stays.
    """
    threads = torch.get_num_threads()
    cores = psutil.cpu_count(logical=False) if threads > 1 else None
    if cores and cores < threads:
        torch.set_num_threads(cores)
