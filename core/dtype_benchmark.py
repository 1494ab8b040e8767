"""Which is faster on this processor, bfloat16 or float32? A short race of matrix products tells.

What a processor says it has is not what a product gets: a virtual machine or an environment
variable may withhold it, and then a "half" is emulated, five times slower than float32. So they
race at the first start, 50 ms, and the times are kept in the person's folder.
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

FILE = "race.json"
MARGIN = 1.2
"""How much faster bfloat16 must be: it is less exact, and a race on a busy machine is noisy."""

SHAPES = ((128, 768, 1536), (39, 1024, 2048))
"""[rows, in] x [in, out]: an image tower's many rows, a question's few."""
TURNS = 3
BUDGET_S = 0.05

_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
           "MKL_ENABLE_INSTRUCTIONS")  # fmt: skip
"""With these a person can withhold instructions that the processor has."""


# The processor's time of this thread, which does not run while others do. Windows counts it in
# steps longer than a product.
_CLOCK = time.thread_time if sys.platform != "win32" else time.perf_counter


@dataclass(frozen=True)
class Times:
    """Of all products together, the best turn each."""

    float32_ms: float
    bfloat16_ms: float


def measure() -> Times:
    """Let both dtypes multiply by turns.

    With one thread: instructions are compared, and two would wait for whoever else is at work.
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
        for turn in range(TURNS + 1):
            for dtype, (x, matrix) in pairs.items():
                start = _CLOCK()
                torch.nn.functional.linear(x, matrix)
                took[dtype].append(1000 * (_CLOCK() - start))
            if turn and time.perf_counter() > until:
                break
        for dtype, times in took.items():
            best[dtype] += min(times[1:])  # the first one warms up
    return Times(best[torch.float32], best[torch.bfloat16])


@cache
def _measured_once() -> Times:
    return measure()


class DtypeBenchmark:
    """The answer for this processor, from a file where it is known; raced for at most once.

    A file that cannot be read or written costs a race, never an error.
    """

    def __init__(self, file: Path | None = None, run: Callable[[], Times] = _measured_once) -> None:
        self._file, self._run = file, run

    @classmethod
    def at(cls, home: Path) -> Self:
        """That of a person's folder."""
        return cls(home / FILE)

    def prefers_bfloat16(self) -> bool:
        """Whether bfloat16 is worth it here."""
        if not _may_multiply_bfloat16():
            return False
        times = self._times()
        return times.float32_ms > MARGIN * times.bfloat16_ms

    def _times(self) -> Times:
        known = self._read()
        if found := known.get(key := processor()):
            return found
        times = self._run()
        if self._file:
            book = {name: asdict(each) for name, each in [*known.items(), (key, times)][-8:]}
            with suppress(OSError):
                write_atomically(self._file, json.dumps(book, indent=1).encode())
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
    """What an answer is good for: processor, torch, and what the environment withholds."""
    limits = [f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ]
    return " · ".join([_processor_name(), f"torch {torch.__version__}", *limits])


def _processor_name() -> str:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        pairs = [line.partition(":") for line in lines[: lines.index("") if "" in lines else None]]
        about = {name.strip(): value.strip() for name, _, value in pairs}
        # Clouds give many generations one name; family and model tell them apart.
        parts = (about.get(name, "") for name in ("model name", "cpu family", "model"))
        if name := " ".join(filter(None, parts)):
            return name
    return f"{platform.machine()} {platform.processor()}".strip()


def _may_multiply_bfloat16() -> bool:
    """Whether the processor claims to. Without that there is no need to race."""
    # Private names, and the only ones that answer this; a torch without any of them races.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    checks = [getattr(torch.cpu, name) for name in names if hasattr(torch.cpu, name)]
    return not checks or any(check() for check in checks)
