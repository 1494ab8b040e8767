"""Judges pictures in batches: decoders work ahead in their own processes, the model follows.

Imports no torch.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .batching import judge_pictures
from .decoder import Decoded, Decoder
from .results import Result
from .verdict import Verdict

if TYPE_CHECKING:
    from .detector import Detector

BATCH = 8

Source = Path | bytes


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
    pictures = [decoded.picture.crops for _, decoded in items if decoded.picture]
    verdicts = iter(judge_pictures(detector.judge, detector.bands, pictures))
    ms = 1000 * (time.perf_counter() - started) / len(items)
    signed = Verdict(0.5, "unsure", detector.model.manifest.version, detector.prompt_version)
    for source, decoded in items:
        path = "-" if isinstance(source, bytes) else str(source)
        picture, found = decoded.picture, decoded.error or next(verdicts)
        if isinstance(found, Verdict):
            parts, note = (picture.parts, picture.note) if picture else ((), None)
            judged = Result.judged(path, decoded.sha256, found, ms, parts)
            yield replace(judged, note=note)
        else:
            yield Result.failed(path, decoded.sha256, found, signed, ms)
