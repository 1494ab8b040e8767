"""Measures whether bfloat16 or float32 matrix products are faster on this processor.

A processor's flags do not tell: a virtual machine or an environment variable may withhold an
instruction set, and then bfloat16 is emulated, five times slower than float32. So both are
measured at the first start, for 50 ms, and the times are kept in the user's folder.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

import torch

from .files import write_atomically

FILE = "dtype_benchmark.json"
MARGIN = 1.2
"""How much faster bfloat16 must be: it is less exact, and a busy machine measures with noise."""

SHAPES = ((128, 768, 1536), (39, 1024, 2048))
"""(rows, in, out) of [rows, in] x [in, out]: a vision encoder has many rows, a question few."""
REPEATS = 3
BUDGET_S = 0.05

_LIMITS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
)
"""Environment variables that withhold instructions which the processor has."""


# CPU time of this thread, so that other programs do not count. On Windows its resolution is coarser
# than one product takes.
_CLOCK = time.thread_time if sys.platform != "win32" else time.perf_counter


@dataclass(frozen=True)
class Times:
    """The sum of the best time of each product."""

    float32_ms: float
    bfloat16_ms: float


def measure() -> Times:
    """Measures both dtypes in turns, with one thread.

    Instructions are compared, and several threads would wait for other busy programs.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure_on_one_thread()
    finally:
        torch.set_num_threads(threads)


def _measure_on_one_thread() -> Times:
    until = time.perf_counter() + BUDGET_S
    best = {torch.float32: 0.0, torch.bfloat16: 0.0}
    for rows, width, out in SHAPES:
        took: dict[torch.dtype, list[float]] = {dtype: [] for dtype in best}
        pairs = {
            dtype: (torch.ones(rows, width, dtype=dtype), torch.ones(out, width, dtype=dtype))
            for dtype in best
        }
        for repeat in range(REPEATS + 1):
            for dtype, (x, matrix) in pairs.items():
                start = _CLOCK()
                torch.nn.functional.linear(x, matrix)
                took[dtype].append(1000 * (_CLOCK() - start))
            if repeat and time.perf_counter() > until:
                break
        for dtype, times in took.items():
            best[dtype] += min(times[1:])  # the first is a warm-up
    return Times(best[torch.float32], best[torch.bfloat16])


@cache
def _measured_once() -> Times:
    return measure()


class DtypeBenchmark:
    """The measured times for this processor, kept in a file.

    A file that cannot be read or written costs a new measurement, never an error.
    """

    def __init__(self, file: Path | None = None, run: Callable[[], Times] = _measured_once) -> None:
        self._file, self._run = file, run

    @classmethod
    def at(cls, home: Path) -> Self:
        """Returns the benchmark whose file is in a user's folder."""
        return cls(home / FILE)

    def prefers_bfloat16(self) -> bool:
        """Returns whether bfloat16 is clearly faster here."""
        if not _may_multiply_bfloat16():
            return False
        times = self._times()
        return times.float32_ms > MARGIN * times.bfloat16_ms

    def _times(self) -> Times:
        kept = self._read()
        if found := kept.get(key := processor()):
            return found
        times = self._run()
        if self._file:
            times_by_processor = {
                name: asdict(each) for name, each in [*kept.items(), (key, times)][-8:]
            }
            with suppress(OSError):
                write_atomically(self._file, json.dumps(times_by_processor, indent=1).encode())
        return times

    def _read(self) -> dict[str, Times]:
        try:
            book = json.loads(self._file.read_bytes()) if self._file else {}
            return {
                str(key): Times(float(each["float32_ms"]), float(each["bfloat16_ms"]))
                for key, each in book.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


def processor() -> str:
    """Returns what the times depend on: processor, torch, and limits set in the environment."""
    limits = [f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ]
    return " · ".join([_processor_name(), f"torch {torch.__version__}", *limits])


def _processor_name() -> str:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        pairs = [line.partition(":") for line in lines[: lines.index("") if "" in lines else None]]
        about = {name.strip(): value.strip() for name, _, value in pairs}
        # Cloud machines of many generations share a name; family and model tell them apart.
        parts = (about.get(name, "") for name in ("model name", "cpu family", "model"))
        if name := " ".join(filter(None, parts)):
            return name
    return f"{platform.machine()} {platform.processor()}".strip()


def _may_multiply_bfloat16() -> bool:
    """Returns whether the processor has bfloat16 instructions. If not, nothing is measured."""
    # Only these private names tell; with a torch that has none of them, it is measured.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    checks = [getattr(torch.cpu, name) for name in names if hasattr(torch.cpu, name)]
    return not checks or any(check() for check in checks)
