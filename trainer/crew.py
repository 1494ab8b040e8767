"""The processes that learn together: this one alone, or several that `accelerate launch` began.

Each does its share of every batch; sums over all of them give what one alone would have got.
The first one writes files and speaks.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor

Item = TypeVar("Item")


class Crew:
    """This process, and how it talks to the others."""

    def __init__(self) -> None:
        self._accelerator = Accelerator()
        self.size: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.is_first: bool = self._accelerator.is_main_process

    @property
    def device(self) -> torch.device:
        """Where this process computes: each of several has a GPU of its own."""
        device: torch.device = self._accelerator.device
        return device

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every n-th of the items. There may be none for this process."""
        return items[self.rank :: self.size]

    def gathered(self, mine: Sequence[Item]) -> list[Item]:
        """The shares of all, put together in the order they were dealt from."""
        if self.size == 1:
            return list(mine)
        shares: list[list[Item]] = gather_object([list(mine)])
        longest = max(map(len, shares))
        return [share[i] for i in range(longest) for share in shares if i < len(share)]

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, the same for each of them."""
        total: Tensor = self._accelerator.reduce(tensor, reduction="sum")
        return total

    def sum_gradients(self, tensors: Sequence[Tensor]) -> None:
        """Let every process have the sum of all gradients, in one exchange."""
        # A process that had no picture in the batch has no gradient.
        grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]
        if self.size > 1:
            flat = self.summed(torch.cat([grad.flatten() for grad in grads]))
            parts = torch.split(flat, [grad.numel() for grad in grads])
            grads = [part.view_as(grad) for part, grad in zip(parts, grads, strict=True)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = grad

    def as_first(self, value: Any) -> Any:
        """What the first process has, for all."""
        if self.size == 1:
            return value
        box = [value]
        broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Until all have come so far."""
        self._accelerator.wait_for_everyone()
