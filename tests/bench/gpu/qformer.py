"""Measures which precision suits the Q-Former beside a half-precision model.

The official test runs it in fp32, which takes a GPU ten times as long as half precision. TF32 is
fp32 with products of 10 bits: as exact as fp16, with fp32's range. The official weights were
trained with such products.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from antifake.core.cuda_graphs import MAX_BATCH
from antifake.core.detector import Detector
from antifake.core.instructblip import run_dtype

from .clock import say, timed
from .floors import Products, only
from .memory import AT_ONCE, agreement
from .model import detector_of
from .setting import Bench
from .table import Line
from .verdicts import in_half, one_by_one, rate, words_of

PARTS = ("qformer", "language_projection")


def qformer(bench: Bench) -> None:
    """Measures the Q-Former and a whole batch with it in fp32, in TF32 and in half precision."""
    # Larger than those that are recorded as CUDA graphs, which would keep their precision.
    detector, batch = bench.detector(), max(MAX_BATCH + 1, *bench.scale.batches)
    exact = margins(bench, detector)
    one_kind(bench, detector, "fp32", batch)
    with tf32():
        one_kind(bench, detector, "TF32", batch)
        compare(bench, "TF32", exact, margins(bench, detector))
    halved = half_qformer(bench)
    one_kind(bench, halved, "half", batch)
    compare(bench, "half", exact, margins(bench, halved))


def one_kind(bench: Bench, detector: Detector, name: str, batch: int) -> None:
    """Measures one precision of the Q-Former, beside its products in the same precision."""
    say(f"judging with the Q-Former in {name}")
    is_half = name == "half"
    crops = bench.crops(batch)
    with torch.inference_mode():
        features = detector.model.vision_features(detector.pixels(crops))
    alone = Products(only(bench.products, PARTS), batch, bench.precision, half_qformer=is_half)
    whole = Products(bench.products, batch, bench.precision, half_qformer=is_half)
    part_s, alone_s, verdict_s, whole_s = timed(
        bench.place,
        in_half(detector, lambda: words_of(detector, features)),
        alone,
        lambda: detector.margins(crops),
        whole,
        for_s=2 * bench.scale.for_s,
    )
    bench.table.ms(f"Q-Former in {name}, batch {batch}", part_s, rate(alone, alone_s), alone_s)
    beside = rate(whole, whole_s)
    bench.table.ms("  the whole verdict", verdict_s, beside, whole_s, pictures=batch)


def margins(bench: Bench, detector: Detector) -> Tensor:
    """Returns margins [n], without CUDA graphs."""
    crops = bench.crops(bench.scale.compared)
    parts = [crops[start : start + AT_ONCE] for start in range(0, len(crops), AT_ONCE)]
    return torch.cat([one_by_one(detector, part) for part in parts]).double()


def compare(bench: Bench, name: str, exact: Tensor, found: Tensor) -> None:
    error, sides = agreement(exact, found)
    bench.table.add(Line(f"  {name}, l_no - l_yes", error, beside=f"fp32: {sides}"))


@contextmanager
def tf32() -> Iterator[None]:
    """Lets the GPU use TF32 in fp32 products. Those are all the Q-Former's."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def half_qformer(bench: Bench) -> Detector:
    """Returns the bench's model with the Q-Former's matrices in half precision."""
    model = bench.detector().model
    for name, parameter in model.qformer.named_parameters():
        if run_dtype(name, bench.precision.dtype) != torch.float32:
            parameter.data = parameter.data.to(bench.precision.dtype)
    bench.free()
    return detector_of(model)
