"""The processes that train together: this one alone, or several that `accelerate launch` started.

Each computes its shard of every batch. Sums over all processes give what one process alone would
have got, up to rounding. The first process writes files and messages.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor

Item = TypeVar("Item")


class ProcessGroup:
    """This process, and how it exchanges values with the others."""

    def __init__(self) -> None:
        self._accelerator = Accelerator()
        self.size: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.is_first: bool = self._accelerator.is_main_process

    @property
    def device(self) -> torch.device:
        """The device of this process. Several processes have a GPU each."""
        device: torch.device = self._accelerator.device
        return device

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Returns every n-th item, which may be none."""
        return items[self.rank :: self.size]

    def gather(self, mine: Sequence[Item]) -> list[Item]:
        """Returns the shards of all processes, in the order that `shard` took them from."""
        if self.size == 1:
            return list(mine)
        shards: list[list[Item]] = gather_object([list(mine)])
        longest = max(map(len, shards))
        return [shard[i] for i in range(longest) for shard in shards if i < len(shard)]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Returns the sum of a tensor [...] over all processes, of the same shape."""
        total: Tensor = self._accelerator.reduce(tensor, reduction="sum")
        return total

    def all_reduce_gradients(self, tensors: Sequence[Tensor]) -> None:
        """Sets the gradient [...] of each tensor [...] to its sum over all processes.

        All gradients travel in one exchange. The gradient of a process without a picture in the
        batch counts as zero.
        """
        grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]
        if self.size > 1:
            flat = self.all_reduce(torch.cat([grad.flatten() for grad in grads]))
            parts = torch.split(flat, [grad.numel() for grad in grads])
            grads = [part.view_as(grad) for part, grad in zip(parts, grads, strict=True)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = grad

    def broadcast(self, value: Any) -> Any:
        """Returns the first process's value in every process."""
        if self.size == 1:
            return value
        box = [value]
        broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Waits until all processes have reached this line."""
        self._accelerator.wait_for_everyone()
