"""Runs a scan: lists what there is, and has the engine judge it."""

import logging
import sys
from dataclasses import dataclass

import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig

from antifake.core.errors import AntifakeError

from .decoding import Decode
from .judging import Expected, Judge
from .listing import ListingWriter, Sources
from .output import Output
from .pools import Pools
from .stores import Place

LEAST_ROWS, MOST_ROWS = 8, 256
"""Of a block: what is decoded, judged and written as one. 256 pictures are 40 to 200 MB of squares,
and as many are done again at most, for each process that is killed."""
_MOST_BLOCKS = 500_000
"""Ray numbers blocks with six digits, and takes a file for another's whose number is longer."""
_DECODED_AT_ONCE = 32
_JUDGED_AT_ONCE = 8


def listed(output: Output, sources: Sources) -> int:
    """Lists the pictures, unless an earlier run has. Returns how many. Raises UsageError."""
    if (before := output.listed()) is not None:
        return before
    output.empty_listing()
    pictures = ListingWriter(output.listing).write(sources)
    output.complete_listing(pictures)
    return pictures


@dataclass(frozen=True)
class Run:
    """One scan, on a cluster that is connected."""

    output: Output
    expected: Expected
    pools: Pools
    threads: int | None
    """Of each detector; None: what Ray gives it."""

    def judge(self, pictures: int) -> None:
        """Judges all that is not finished. Raises AntifakeError if the engine gives up."""
        self.output.undo_half_commits()
        _set_up(self.output.checkpoint)
        listing, rows = self.output.listing, self.output.rows
        rows_each = rows_a_block(pictures, self.pools)
        try:
            (
                ray.data.read_parquet(listing.path, filesystem=listing.filesystem)
                .repartition(target_num_rows_per_block=rows_each)
                .map_batches(
                    Decode,
                    fn_constructor_args=(self.expected.manifest.image_size,),
                    batch_format="pyarrow",
                    batch_size=min(rows_each, _DECODED_AT_ONCE),
                    compute=ActorPoolStrategy(size=self.pools.decoders),
                    num_cpus=1,
                )
                .map_batches(
                    Judge,
                    fn_constructor_args=(self.expected, self.threads),
                    batch_format="pyarrow",
                    batch_size=_JUDGED_AT_ONCE,
                    compute=ActorPoolStrategy(size=self.pools.detectors),
                    # Beside cards no CPU: decoders may have taken all of that machine.
                    num_cpus=0 if self.pools.gpus else 1,
                    num_gpus=self.pools.gpus,
                )
                .write_parquet(rows.path, filesystem=rows.filesystem)
            )
        except ray.exceptions.RayError as error:
            raise _of_ours(error) from error


def rows_a_block(pictures: int, pools: Pools) -> int:
    """Returns how many pictures are one block: few of a small scan, so that all processes work.

    >>> [rows_a_block(n, Pools(1, 0, 1)) for n in (10, 1_000, 10_000, 1_000_000_000)]
    [8, 125, 256, 2000]
    """
    for_all = pictures // (4 * (pools.detectors + pools.decoders))
    return max(min(max(for_all, LEAST_ROWS), MOST_ROWS), -(-pictures // _MOST_BLOCKS))


def _set_up(checkpoint: Place) -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = sys.stderr.isatty()
    if not logging.getLogger("antifake").isEnabledFor(logging.DEBUG):
        _keep_off_terminal(logging.getLogger("ray.data"))
    config = CheckpointConfig(
        "id",
        checkpoint.path,
        override_filesystem=checkpoint.filesystem,
        delete_checkpoint_on_success=False,
    )
    # One process that leaves out what is finished: it does so a hundred thousand at a time, and
    # each would hold all finished ids.
    config.checkpoint_actor_pool_max_size = 1
    config.checkpoint_actor_memory_bytes = 2**27
    context.checkpoint_config = config


def _keep_off_terminal(logger: logging.Logger) -> None:
    """Leaves what a logger says to its file."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)


def _of_ours(error: BaseException) -> AntifakeError:
    """Returns what a worker raised, if it was a sentence for people."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AntifakeError):
            return cause
        cause = cause.__cause__ or getattr(cause, "cause", None)
    return AntifakeError(str(error))
