"""Margins by CUDA graphs: a small batch on a fast card waits for its launches, not for its sums.

One forward pass is some 3000 kernels. To launch them one by one takes about 15 ms, to compute one
picture 5 (calculated for an H100). Question and shapes are fixed, so for each small batch size the
whole pass can be recorded once and replayed by a single launch.

What can go wrong: a recording fails (a library waits for the GPU), or it replays something else
than it should. Each new recording therefore judges a batch that was judged without it; if it fails
or differs, that is logged once and nothing is recorded again.

Nothing in the forward pass waits for the GPU or copies from the host: PromptedEmbedding looks up
without asking which ids are learned, transformers' "sdpa" is called under a name for which no mask
is made (to make none it would ask the GPU whether sequences are packed), the Q-Former's position
ids and LLaMA's frequencies are buffers on the device, and no RoPE of ours is a dynamic one.

When to record, the comparison and the way back are tested with a recorder that is passed in.
`cuda_graph_capture` itself, and all that is said of speed here, has not been run on a GPU.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

MAX_BATCH = 8
"""Pictures in the largest batch that is recorded. Above, sums take longer than launches."""

TOLERANCE = 1e-2
"""Of a margin, as a share of the largest: the same kernels, chosen anew."""

Forward = Callable[[Tensor], Tensor]
"""pixels [B, 3, S, S] -> margins [B]"""

Capture = Callable[[Forward, Tensor], Forward]
"""The work, and pixels like those that will come -> the same work for pixels of this shape."""


class CudaGraphRunner:
    """The same margins, from a recording where there is one for a batch of that size."""

    def __init__(self, work: Forward, record: Capture) -> None:
        self._work, self._record = work, record
        self._recordings: dict[int, Forward] = {}
        self._met: set[int] = set()
        self._is_off = False

    def __call__(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]"""
        size = len(pixels)
        if recording := self._recordings.get(size):
            return recording(pixels)
        margins = self._work(pixels)
        # Recording takes as long as some passes: who checks one picture must not wait for it.
        if size in self._met and not self._is_off:
            self._try_to_record(pixels, margins)
        elif size <= MAX_BATCH:
            self._met.add(size)
        return margins

    def _try_to_record(self, pixels: Tensor, margins: Tensor) -> None:
        try:
            # Recorded on an empty picture: one that was baked in would be found out.
            recording = self._record(self._work, torch.zeros_like(pixels))
            found = recording(pixels)
        except RuntimeError as error:  # CUDA's errors, and being out of its memory, are such
            self._give_up(f"it failed ({(str(error).splitlines() or [''])[0][:200]})")
            return
        if not _agree(found, margins):
            self._give_up(f"it gave {found.tolist()} and not {margins.tolist()}")
            return
        self._recordings[len(pixels)] = recording

    def _give_up(self, why: str) -> None:
        log.warning(
            "The model is not recorded as a CUDA graph: %s. Small batches take longer.", why
        )
        self._is_off = True
        self._recordings.clear()


def _agree(found: Tensor, margins: Tensor) -> bool:
    """Whether two margins [B] differ by no more than rounding."""
    room = TOLERANCE * max(1.0, float(margins.abs().max()))
    return torch.allclose(found, margins, rtol=0, atol=room, equal_nan=True)


def cuda_graph_capture() -> Capture:
    """Records passes as CUDA graphs, which share the memory of what happens within a pass.

    They may: one is replayed after another, and what it gives is copied before the next.
    """
    pool = torch.cuda.graph_pool_handle()

    def record(work: Forward, example: Tensor) -> Forward:
        """Raises RuntimeError where a part of the work cannot be recorded."""
        pixels = example.clone()  # what the graph reads
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):  # libraries choose their kernels and take their workspaces
                work(pixels)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            margins = work(pixels)  # what the graph writes

        def replay(new: Tensor) -> Tensor:
            pixels.copy_(new)
            graph.replay()
            return margins.clone()

        return replay

    return record
