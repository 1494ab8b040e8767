"""Judges pictures in batches: decoders work ahead in their own processes, the model follows.

Imports no torch.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .decoder import Decoded, Decoder
from .errors import NoMemoryError, NoScoreError
from .images import Pixels
from .results import Result
from .verdict import Verdict

if TYPE_CHECKING:
    from .detector import Detector

BATCH = 8

Source = Path | bytes
Judge = Callable[[Sequence[Pixels]], list[Verdict]]
"""uint8 crops [S, S, 3] -> a verdict for each, as `Detector.judge`."""


def judge_all(
    detector: "Detector", decoder: Decoder, sources: Iterable[Source], batch: int = BATCH
) -> Iterator[Result]:
    """Yields a result for every source, in order. A bad picture yields a result with an error."""
    waiting: list[tuple[Source, Decoded]] = []
    started = time.perf_counter()
    for item in decoder.decode_many(sources, ahead=batch):
        waiting.append(item)
        if len(waiting) == batch:
            yield from _results(detector, waiting, started)
            waiting, started = [], time.perf_counter()
    if waiting:
        yield from _results(detector, waiting, started)


def _results(
    detector: "Detector", items: list[tuple[Source, Decoded]], started: float
) -> Iterator[Result]:
    crops = [decoded.picture.crop for _, decoded in items if decoded.picture]
    verdicts = iter(judge_in_parts(detector.judge, crops))
    ms = 1000 * (time.perf_counter() - started) / len(items)
    signed = Verdict(0.5, "unsure", detector.model.manifest.version, detector.prompt_version)
    for source, decoded in items:
        path = "-" if isinstance(source, bytes) else str(source)
        found = decoded.error or next(verdicts)
        if isinstance(found, Verdict):
            yield Result.judged(path, decoded.sha256, found, ms)
        else:
            yield Result.failed(path, decoded.sha256, found, signed, ms)


def judge_in_parts(judge: Judge, crops: Sequence[Pixels]) -> list[Verdict | NoScoreError]:
    """Judges all crops in one batch, or in smaller ones where that fails.

    A batch that needs too much memory is halved. A batch with a score that is not a number is
    judged one by one, so that only the picture at fault gets the error.
    """
    if not crops:
        return []
    try:
        return list(judge(crops))
    except NoScoreError as error:
        failure: NoScoreError = error
        part = 1
    except (MemoryError, RuntimeError) as error:
        if not _is_short_of_memory(error):
            raise
        failure = NoMemoryError()
        part = (len(crops) + 1) // 2
    if len(crops) == 1:
        return [failure]
    starts = range(0, len(crops), part)
    return [found for at in starts for found in judge_in_parts(judge, crops[at : at + part])]


def _is_short_of_memory(error: Exception) -> bool:
    """Torch has a class for graphics cards; for the CPU and Apple's GPU only the text tells."""
    says = ("out of memory", "allocate memory", "not enough memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error).lower() for words in says)
    )
