"""Runs the forward pass of small batches as CUDA graphs, so that kernel launches cost no time.

One forward pass is some 3000 kernels. Launching them one by one takes about 15 ms, computing one
picture takes 5 ms (calculated for an H100). The question and the shapes are fixed, so the whole
pass can be captured once for each small batch size and replayed by a single launch.

A capture can fail (if a library waits for the GPU), or its replay can compute something else.
So each new graph first judges a batch that was already judged without it. If it fails or differs,
that is logged once and nothing is captured again; after a failure, by no detector of the process.
Before torch 2.12 a failed capture can leave torch's CUDA allocator unusable (pytorch pull request
180395). Then only another process can go on, with the environment variable ANTIFAKE_CUDA_GRAPHS set
to "off".

Nothing in the forward pass waits for the GPU or copies from the host: PromptedEmbedding looks up
ids without asking which are learned, attention makes no masks (see UNMASKED in instructblip), and
position ids and RoPE frequencies are buffers on the device.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from .errors import CudaBrokenError
from .i18n import _

log = logging.getLogger(__name__)

SWITCH = "ANTIFAKE_CUDA_GRAPHS"
"""The environment variable that turns CUDA graphs off."""

MAX_BATCH = 8
"""The largest batch that is captured. In larger ones computing takes longer than launching."""

TOLERANCE = 1e-2
"""Allowed difference of a margin, as a share of the largest: libraries may choose other kernels."""

Forward = Callable[[Tensor], Tensor]
"""pixels [B, 3, S, S] -> margins [B]"""

Result = TypeVar("Result")

_has_failed = False
"""Whether a capture has failed in this process.

On torch 2.11 a second failure raised an error (seen on an H100; docs/speed.md), so no other
detector of the process tries.
"""

Capture = Callable[[Forward, Tensor], Forward]
"""(forward, example pixels) -> the same forward pass, for pixels of that shape only."""


def are_wanted() -> bool:
    """Returns whether CUDA graphs may be used: the user has not turned them off."""
    return os.environ.get(SWITCH, "on").strip().lower() not in ("off", "0", "no", "false")


class CudaGraphRunner:
    """Computes the same margins as `forward`, by a graph if there is one for the batch size."""

    def __init__(self, forward: Forward, capture: Capture, probe: Callable[[], None]) -> None:
        """`probe` raises RuntimeError if CUDA no longer works after a failed capture."""
        self._forward, self._capture, self._probe = forward, capture, probe
        self._graphs: dict[int, Forward] = {}
        self._seen_sizes: set[int] = set()
        self._is_off = False

    def __call__(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]. Raises CudaBrokenError."""
        size = len(pixels)
        if graph := self._graphs.get(size):
            return graph(pixels)
        margins = self._forward(pixels)
        # A capture takes as long as several passes, so the first batch of a size does not pay it.
        if size in self._seen_sizes and not (self._is_off or _has_failed):
            self._try_to_capture(pixels, margins)
        elif size <= MAX_BATCH:
            self._seen_sizes.add(size)
        return margins

    def _try_to_capture(self, pixels: Tensor, margins: Tensor) -> None:
        global _has_failed  # noqa: PLW0603 - what it broke belongs to the process, too
        try:
            # Captured with an empty picture: a graph that ignores its input would differ below.
            graph = self._capture(self._forward, torch.zeros_like(pixels))
            found = graph(pixels)
        except RuntimeError as error:  # CUDA's errors, out of memory among them
            _has_failed = True
            self._give_up(f"it failed ({_first_cause(error)})")
            self._check_cuda()
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

    def _check_cuda(self) -> None:
        """Raises CudaBrokenError if the failed capture has left CUDA unusable."""
        try:
            self._probe()
        except RuntimeError as error:
            raise CudaBrokenError(
                _(
                    "After an attempt to capture the model as a CUDA graph the graphics card "
                    "cannot be used any more. Set {switch}=off and start again. ({error})",
                    switch=SWITCH,
                    error=_first_line(error),
                )
            ) from error


def _first_cause(error: BaseException) -> str:
    """Returns what went wrong first: ending the spoilt capture raises another error after it."""
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [repr(error)])[0][:200]


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
        graph, margins = captured(lambda: forward(pixels), pool)  # the graph's output, [B]

        def replay(new: Tensor) -> Tensor:
            pixels.copy_(new)
            graph.replay()
            return margins.clone()

        return replay

    return capture


def captured(work: Callable[[], Result], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Returns a graph of the work, and the work's result, into which each replay computes.

    `pool` is a handle of `torch.cuda.graph_pool_handle`; None: the graph gets memory of its own.
    Raises RuntimeError if a part of it cannot be captured. The current stream stays as it was.
    """
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    # This outer context restores the current stream even where the inner one does not: before
    # torch 2.12 `torch.cuda.graph` stays on its stream if ending the capture raises an error.
    with torch.cuda.stream(aside):
        for _ in range(3):  # libraries choose kernels and allocate workspaces
            work()
        # Only this thread's CUDA calls count: another one may allocate memory meanwhile.
        with torch.cuda.graph(graph, pool, aside, capture_error_mode="thread_local"):
            result = work()
    torch.cuda.current_stream().wait_stream(aside)
    return graph, result


def probe_cuda() -> None:
    """Does what judging needs of CUDA. Raises RuntimeError if a failed capture has broken it."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    sent = torch.ones(8).pin_memory().to("cuda", non_blocking=True)
    if float(sent.sum()) != len(sent):
        raise RuntimeError("CUDA computes something else than before.")
