"""Lower bounds for every program: the model's matrix products alone, its weights read once.

The products are those that the real classes make, listed by running them on fake tensors.
Attention's own products (3 % of the vision tower's) are left out, so the floor is a little low.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from antifake.core.cuda_graphs import captured
from antifake.core.instructblip import InstructBlip, Question, run_dtype
from antifake.core.precision import Precision

from .model import QFORMER_WORDS, WORDS, skeleton


@dataclass(frozen=True)
class Product:
    """A product [rows, inner] @ [inner, outer] for one picture."""

    part: str
    """vision_model, qformer, language_projection or language_model"""
    rows: int
    inner: int
    outer: int
    teaches: bool
    """Whether a gradient passes through it on the way from the answer to the learned word."""

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.outer


def products(config: dict[str, Any]) -> Counter[Product]:
    """Returns the products for one picture's verdict, and how often each is made."""
    # Not the meta device: transformers reads values, which it does not have.
    with FakeTensorMode():
        return listed(skeleton(config, "cpu"))


def listed(model: InstructBlip) -> Counter[Product]:
    found: Counter[Product] = Counter()

    def note(name: str, inner: int, outer: int) -> None:
        part = name.partition(".")[0]
        # The Q-Former's keys and values of the picture do not depend on the word.
        of_picture = "crossattention" in name and name.endswith(("key", "value"))
        teaches = part != "vision_model" and not of_picture

        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            found[Product(part, output.numel() // outer, inner, outer, teaches)] += 1

        model.get_submodule(name).register_forward_hook(hook)

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            note(name, module.in_features, module.out_features)
        elif isinstance(module, nn.Conv2d):
            note(name, module.weight[0].numel(), module.out_channels)
    run_through(model)
    return found


@torch.no_grad()
def run_through(model: InstructBlip) -> None:
    """Runs the model on one picture, all zeros."""
    place, width = model.device, model.language_projection.out_features
    question = Question(
        torch.zeros(1, len(QFORMER_WORDS) + 3, dtype=torch.int64, device=place),  # [CLS] [*] [SEP]
        torch.zeros(0, model.query_tokens.shape[-1], device=place),
        torch.zeros(1, len(WORDS), width, device=place),  # </s> too, but no "?"
        torch.zeros(1, width, device=place),
        torch.zeros(1, 1, width, device=place),
    )
    size = model.image_size
    features = model.vision_features(torch.zeros(1, 3, size, size, device=place))
    model.hidden(features, question)


def flops(found: Counter[Product], *, teaching: bool = False) -> int:
    """Returns the operations for one picture; with `teaching` only those that gradients need."""
    return sum(n * one.flops for one, n in found.items() if one.teaches or not teaching)


L2_BYTES = 100 * 10**6
"""More than the L2 cache of any GPU (an H100 has 50 MB)."""


class Products:
    """The products of a whole batch, each in its part's dtype, as one work to measure.

    Operands are random, as zeros would let a GPU run faster than it can. Inputs of one shape are
    shared, as the model's are in the L2 cache, too, when a layer has just computed them. Weights
    are not: their copies are used in turn, so that each is read from the GPU's memory. On a GPU
    all are launched as one CUDA graph; otherwise launching would take longer than a small batch.
    """

    def __init__(
        self,
        found: Counter[Product],
        batch: int,
        precision: Precision,
        *,
        teaching: bool = False,
        half_qformer: bool = False,
    ) -> None:
        """With `teaching` also the gradients' products, for all layers that pass one on.

        `half_qformer`: the Q-Former, too, in the dtype of the rest.
        """
        self._precision, self._half_qformer = precision, half_qformer
        self._inputs: dict[tuple[int, int, torch.dtype], Tensor] = {}
        self._todo: list[tuple[Tensor, list[Tensor], int]] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self.flops = batch * (flops(found) + (flops(found, teaching=True) if teaching else 0))
        for one, count in found.items():
            weights = self._copies(one, count)
            x = self._input(batch * one.rows, one.inner, weights[0].dtype)
            self._todo.append((x, weights, count))
            if teaching and one.teaches:
                gradient = self._input(batch * one.rows, one.outer, weights[0].dtype)
                self._todo.append((gradient, [weight.t() for weight in weights], count))
        if precision.device.type == "cuda":
            self._graph, _ = captured(self._run)

    def _copies(self, one: Product, count: int) -> list[Tensor]:
        """Returns weights [outer, inner], as many as exceed the L2 cache, but at most `count`."""
        dtype = self.dtype_of(one.part)
        n = -(-L2_BYTES // (one.outer * one.inner * dtype.itemsize))
        if self._precision.device.type == "cpu":
            n = 1  # drawing them would take longer than the measurement
        return [self._random(one.outer, one.inner, dtype) for _ in range(min(count, n))]

    def dtype_of(self, part: str) -> torch.dtype:
        """Returns the dtype in which the model makes this part's products."""
        half = self._precision.dtype
        return half if self._half_qformer else run_dtype(f"{part}.", half)

    def _input(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        shape = rows, width, dtype
        if shape not in self._inputs:
            self._inputs[shape] = self._random(rows, width, dtype)
        return self._inputs[shape]

    def _random(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        return torch.randn(rows, width, device=self._precision.device, dtype=dtype)

    def __call__(self) -> None:
        if self._graph:
            self._graph.replay()
        else:
            self._run()

    @torch.no_grad()
    def _run(self) -> None:
        for x, weights, count in self._todo:
            for i in range(count):
                functional.linear(x, weights[i % len(weights)])


class Reading:
    """Reads a gigabyte of the device's memory once and writes next to nothing."""

    def __init__(self, place: torch.device) -> None:
        self.n_bytes = 2**30 if place.type == "cuda" else 2**26
        self._numbers = torch.ones(self.n_bytes // 4, dtype=torch.float32, device=place)

    def __call__(self) -> None:
        self._numbers.sum()


def only(found: Counter[Product], parts: Iterable[str]) -> Counter[Product]:
    wanted = set(parts)
    return Counter({one: n for one, n in found.items() if one.part in wanted})


def weight_bytes(model: nn.Module) -> int:
    """Returns the bytes of all tensors of the model on the device."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
