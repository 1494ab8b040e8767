"""Measures memory, speed and agreement of the model in each precision."""

from functools import partial

import torch
from torch import Tensor

from antifake.core.detector import Detector
from antifake.core.quantization import Weights

from .clock import say, timed
from .floors import Products
from .setting import Bench
from .table import Line
from .verdicts import rate

AT_ONCE = 8
KINDS: tuple[Weights, ...] = ("plain", "int8", "nf4")


def memory(bench: Bench) -> None:
    margins: dict[Weights, Tensor] = {}
    for weights in KINDS:
        name = weights if weights != "plain" else str(bench.precision.dtype).removeprefix("torch.")
        bench.attempt(f"memory, {name}", partial(one_kind, name, weights, margins))


def one_kind(name: str, weights: Weights, margins: dict[Weights, Tensor], bench: Bench) -> None:
    """Measures one precision, and adds its margins to those of the others."""
    detector = bench.detector(weights)
    resident(bench, detector, name)
    speed(bench, detector, name)
    margins[weights] = margins_of(bench, detector)
    if weights != "plain" and "plain" in margins:
        error, sides = agreement(margins["plain"], margins[weights])
        bench.table.add(Line(f"  {name}, l_no - l_yes", error, beside=sides))


def resident(bench: Bench, detector: Detector, name: str) -> None:
    taken = bench.resident_bytes
    numbers = bench.numbers_bytes(detector.model.precision.weights)
    beside = f"its numbers alone: {gb(numbers)}"
    bench.table.add(Line(f"memory, {name}, at rest", gb(taken), taken / numbers, beside))
    if bench.place.type == "cuda":
        at_most(bench, detector, name)


def at_most(bench: Bench, detector: Detector, name: str) -> None:
    """Measures the peak of tensors, and what torch reserves for them and for CUDA graphs."""
    batch, taken = max(bench.scale.batches), bench.resident_bytes
    torch.cuda.reset_peak_memory_stats(bench.place)
    detector.margins(bench.crops(batch))
    peak = torch.cuda.max_memory_allocated(bench.place)
    bench.table.add(Line(f"  {name}, at most, batch {batch}", gb(peak), peak / taken, "at rest"))
    for size in bench.scale.batches:
        for _ in range(3):  # the second time a small batch is recorded as a CUDA graph
            detector.margins(bench.crops(size))
    reserved = torch.cuda.max_memory_reserved(bench.place)
    free, total = torch.cuda.mem_get_info(bench.place)
    beside = f"at rest; all that the card has given: {gb(total - free)}"
    bench.table.add(Line("  reserved, with graphs", gb(reserved), reserved / taken, beside))


def speed(bench: Bench, detector: Detector, name: str) -> None:
    say(f"judging batches of {AT_ONCE} in {name}")
    crops, floor = bench.crops(AT_ONCE), Products(bench.products, AT_ONCE, bench.precision)
    took_s, floor_s = timed(
        bench.place, lambda: detector.margins(crops), floor, for_s=bench.scale.for_s
    )
    what, beside = f"  {name}, verdict, batch {AT_ONCE}", rate(floor, floor_s)
    bench.table.ms(what, took_s, beside, floor_s, pictures=AT_ONCE)


def margins_of(bench: Bench, detector: Detector) -> Tensor:
    crops = bench.crops(bench.scale.compared)
    parts = [crops[start : start + AT_ONCE] for start in range(0, len(crops), AT_ONCE)]
    return torch.cat([detector.margins(part) for part in parts]).double()


def agreement(plain: Tensor, other: Tensor) -> tuple[str, str]:
    """Returns in words how well two tensors of margins, [n] each, agree.

    Random weights exaggerate: what this shows is the order of the precisions.
    """
    error = (other - plain).square().mean().sqrt() / plain.std()
    correlation = torch.corrcoef(torch.stack([plain, other]))[0, 1]
    same = ((plain > plain.median()) == (other > plain.median())).sum()
    return (
        f"off by {error:.3f} of its spread",
        f"correlation {correlation:.4f}; {same} of {len(plain)} on the same side of the middle",
    )


def gb(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
