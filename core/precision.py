"""Device and memory -> the numbers that the model is kept and multiplied in.

    graphics card    fp16, as the weights were released; where they do not fit, the language model
                     in int8, then in nf4, which a person is told of; else the processor
    Apple's GPU      fp16, else the language model in int8; else the processor
    processor        bf16 where it is really faster than fp32 (dtype_benchmark.py), else fp32;
                     the language model in int8 where that would not leave room for others

A "half" that the processor has to emulate is five times slower than fp32 (measured, AVX2).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import psutil
import torch

from .dtype_benchmark import DtypeBenchmark
from .quantization import Weights, has_nf4

SHARE = {"cuda": 0.8, "mps": 0.55, "cpu": 0.65}
"""Of a device's memory, for weights. The rest: activations, the driver, all that a person runs."""

_WORDS: dict[Weights, str] = {"plain": "", "int8": ", language model in int8,",
                              "nf4": ", language model in nf4,"}  # fmt: skip

Needs = Callable[[torch.dtype, Weights], float]
"""Bytes of a model that runs in that dtype with its language model kept so."""


@dataclass(frozen=True)
class Precision:
    device: torch.device
    dtype: torch.dtype
    """Of the matrix products. Norms, embeddings and the residual stream stay float32."""
    weights: Weights = "plain"
    """How the language model's big matrices are kept in memory."""
    note: str = field(default="", compare=False)
    """What a person should know of this choice, in a sentence."""

    def autocast(self) -> torch.autocast:
        # Frozen weights are stored in their dtype, so there is nothing to keep a cast copy of,
        # and a captured CUDA graph must not find one.
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
    """What there is to choose from."""

    gpu: str | None
    """cuda or mps, if there is one."""
    room: Callable[[torch.device], float]
    """Bytes that weights may take on a device."""
    has_nf4: bool

    @classmethod
    def here(cls) -> Self:
        gpu = "cuda" if torch.cuda.is_available() else None
        gpu = gpu or ("mps" if torch.backends.mps.is_available() else None)
        return cls(gpu, room_on, has_nf4())


def room_on(place: torch.device) -> float:
    """Bytes that weights may take on a device of this machine.

    Of a computer's memory a share of all that it has, not of what is free this minute: a machine
    that changed its numbers from start to start would give scores that move, and what other
    programs leave lying is paged out. A graphics card pages nothing: what is taken is taken.
    """
    if place.type == "cuda":
        free, total = torch.cuda.mem_get_info(place)
        return min(SHARE["cuda"] * total, free)
    return SHARE[place.type] * psutil.virtual_memory().total


def choose(
    needs: Needs = lambda _dtype, _weights: 0,
    device: str | None = None,
    *,
    benchmark: DtypeBenchmark | None = None,
    machine: Machine | None = None,
) -> Precision:
    """The best precision for a model that needs so many bytes.

    A named device is kept to, whatever fits there. `benchmark` knows in which dtype this processor
    is faster.
    """
    machine = machine or Machine.here()
    place = torch.device(device or machine.gpu or "cpu")
    if place.type == "cpu":
        return _on_cpu(needs, benchmark or DtypeBenchmark(), machine)
    tried = list(_on_gpu(place, machine))
    for found in tried:
        if needs(found.dtype, found.weights) <= machine.room(place):
            return found
    if device:
        return tried[-1]
    return replace(
        _on_cpu(needs, benchmark or DtypeBenchmark(), machine), note=_why_not(place, machine)
    )


def _on_gpu(place: torch.device, machine: Machine) -> Iterator[Precision]:
    """From the best to the smallest."""
    yield Precision(place, torch.float16)
    yield Precision(place, torch.float16, "int8")
    if place.type == "cuda" and machine.has_nf4:
        note = (
            "This model fits this graphics card only at reduced precision (nf4): "
            "scores may differ from those elsewhere."
        )
        yield Precision(place, torch.float16, "nf4", note)


def _on_cpu(needs: Needs, benchmark: DtypeBenchmark, machine: Machine) -> Precision:
    place = torch.device("cpu")
    dtype = torch.bfloat16 if benchmark.prefers_bfloat16() else torch.float32
    fits = needs(dtype, "plain") <= machine.room(place)
    return Precision(place, dtype, "plain" if fits else "int8")


def _why_not(gpu: torch.device, machine: Machine) -> str:
    note = (
        "The graphics card has too little free memory for this model, so the processor judges, "
        "which takes longer."
    )
    if gpu.type == "cuda" and not machine.has_nf4:
        note += " In 4 bits it may fit, at reduced precision: pip install 'antifake[gpu]'."
    return note


def use_physical_cores() -> None:
    """Let torch compute with one thread a core, in a process that is ours.

    Two threads of one core share what multiplies. With MKL torch counts so by itself, without it
    does not. A smaller number was chosen by somebody and stays.
    """
    threads = torch.get_num_threads()
    cores = psutil.cpu_count(logical=False) if threads > 1 else None
    if cores and cores < threads:
        torch.set_num_threads(cores)
