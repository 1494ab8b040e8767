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

from antifake.core.instructblip import InstructBlip, Question
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


class Products:
    """The products of a whole batch in the run dtype, as one work to measure.

    Operands are random, as zeros would let a GPU run faster than it can. Those of one shape are
    shared.
    """

    def __init__(
        self, found: Counter[Product], batch: int, precision: Precision, *, teaching: bool = False
    ) -> None:
        """With `teaching` also the gradients' products, for all layers that pass one on."""
        self._precision = precision
        self._inputs: dict[tuple[int, int], Tensor] = {}
        self._todo: list[tuple[Tensor, Tensor, int]] = []
        self.flops = batch * (flops(found) + (flops(found, teaching=True) if teaching else 0))
        for one, count in found.items():
            weight = self._random(one.outer, one.inner)
            self._todo.append((self._input(batch * one.rows, one.inner), weight, count))
            if teaching and one.teaches:
                gradient = self._input(batch * one.rows, one.outer)
                self._todo.append((gradient, weight.t(), count))

    def _input(self, rows: int, width: int) -> Tensor:
        shape = rows, width
        if shape not in self._inputs:
            self._inputs[shape] = self._random(rows, width)
        return self._inputs[shape]

    def _random(self, rows: int, width: int) -> Tensor:
        where = self._precision
        return torch.randn(rows, width, device=where.device, dtype=where.dtype)

    @torch.no_grad()
    def __call__(self) -> None:
        for x, weight, count in self._todo:
            for _ in range(count):
                functional.linear(x, weight)


class Copying:
    """Copies within the device's memory: each byte is read once and written once."""

    def __init__(self, place: torch.device) -> None:
        n_bytes = 2**30 if place.type == "cuda" else 2**26
        self._from = torch.ones(n_bytes, dtype=torch.uint8, device=place)
        self._to = torch.empty_like(self._from)
        self.moved = 2 * n_bytes

    def __call__(self) -> None:
        self._to.copy_(self._from)


def only(found: Counter[Product], parts: Iterable[str]) -> Counter[Product]:
    wanted = set(parts)
    return Counter({one: n for one, n in found.items() if one.part in wanted})


def weight_bytes(model: nn.Module) -> int:
    """Returns the bytes of all tensors of the model on the device."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
