"""Runs the forward pass of small batches as CUDA graphs, so that kernel launches cost no time.

One forward pass is some 3000 kernels. Launching them one by one takes about 15 ms, computing one
picture takes 5 ms (calculated for an H100). The question and the shapes are fixed, so the whole
pass can be captured once for each small batch size and replayed by a single launch.

A capture can fail (if a library waits for the GPU), or its replay can compute something else.
So each new graph first judges a batch that was already judged without it. If it fails or differs,
that is logged once and nothing is captured again.

Nothing in the forward pass waits for the GPU or copies from the host: PromptedEmbedding looks up
ids without asking which are learned, attention makes no masks (see UNMASKED in instructblip), and
position ids and RoPE frequencies are buffers on the device.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MAX_BATCH = 8
"""The largest batch that is captured. In larger ones computing takes longer than launching."""

TOLERANCE = 1e-2
"""Allowed difference of a margin, as a share of the largest: libraries may choose other kernels."""

Forward = Callable[[Tensor], Tensor]
"""pixels [B, 3, S, S] -> margins [B]"""

Capture = Callable[[Forward, Tensor], Forward]
"""(forward, example pixels) -> the same forward pass, for pixels of that shape only."""


class CudaGraphRunner:
    """Computes the same margins as `forward`, by a graph if there is one for the batch size."""

    def __init__(self, forward: Forward, capture: Capture) -> None:
        self._forward, self._capture = forward, capture
        self._graphs: dict[int, Forward] = {}
        self._seen_sizes: set[int] = set()
        self._is_off = False

    def __call__(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]"""
        size = len(pixels)
        if graph := self._graphs.get(size):
            return graph(pixels)
        margins = self._forward(pixels)
        # A capture takes as long as several passes, so the first batch of a size does not pay it.
        if size in self._seen_sizes and not self._is_off:
            self._try_to_capture(pixels, margins)
        elif size <= MAX_BATCH:
            self._seen_sizes.add(size)
        return margins

    def _try_to_capture(self, pixels: Tensor, margins: Tensor) -> None:
        try:
            # Captured with an empty picture: a graph that ignores its input would differ below.
            graph = self._capture(self._forward, torch.zeros_like(pixels))
            found = graph(pixels)
        except RuntimeError as error:  # CUDA's errors, out of memory among them
            self._give_up(f"it failed ({(str(error).splitlines() or [''])[0][:200]})")
            return
        if not _agree(found, margins):
            self._give_up(f"it gave {found.tolist()} and not {margins.tolist()}")
            return
        self._graphs[len(pixels)] = graph

    def _give_up(self, why: str) -> None:
        log.warning(
            "The model is not captured as a CUDA graph: %s. Small batches take longer.", why
        )
        self._is_off = True
        self._graphs.clear()


def _agree(found: Tensor, margins: Tensor) -> bool:
    """Returns whether two tensors of margins [B] differ by rounding only."""
    room = TOLERANCE * max(1.0, float(margins.abs().max()))
    return torch.allclose(found, margins, rtol=0, atol=room, equal_nan=True)


def cuda_graph_capture() -> Capture:
    """Returns a function that captures forward passes as CUDA graphs.

    The graphs share one memory pool: only one runs at a time, and its result is copied before
    the next starts.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(forward: Forward, example: Tensor) -> Forward:
        """Raises RuntimeError if a part of the pass cannot be captured."""
        pixels = example.clone()  # the graph's input, [B, 3, S, S]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):  # libraries choose kernels and allocate workspaces
                forward(pixels)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            margins = forward(pixels)  # the graph's output, [B]

        def replay(new: Tensor) -> Tensor:
            pixels.copy_(new)
            graph.replay()
            return margins.clone()

        return replay

    return capture
