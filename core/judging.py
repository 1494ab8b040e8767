"""The pipeline of every batch: decoders ahead in their own processes, the model behind them."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .decoder import Decoded, Decoder
from .detector import Detector
from .rows import Row
from .verdict import Verdict

BATCH = 8

Source = Path | bytes


def judge_all(
    detector: Detector, decoder: Decoder, sources: Iterable[Source], batch: int = BATCH
) -> Iterator[Row]:
    """A row for every source, in order. One bad picture is a row like any other."""
    waiting: list[tuple[Source, Decoded]] = []
    started = time.perf_counter()
    for item in decoder.decode_many(sources):
        waiting.append(item)
        if len(waiting) == batch:
            yield from _rows(detector, waiting, started)
            waiting, started = [], time.perf_counter()
    if waiting:
        yield from _rows(detector, waiting, started)


def _rows(detector: Detector, items: list[tuple[Source, Decoded]], started: float) -> Iterator[Row]:
    crops = [decoded.picture.crop for _, decoded in items if decoded.picture]
    verdicts = iter(detector.judge(crops) if crops else [])
    ms = 1000 * (time.perf_counter() - started) / len(items)
    signed = Verdict(0.5, "unsure", detector.model.manifest.version, detector.prompt_version)
    for source, decoded in items:
        path = "-" if isinstance(source, bytes) else str(source)
        if decoded.error:
            yield Row.failed(path, decoded.sha256, decoded.error, signed, ms)
        else:
            yield Row.judged(path, decoded.sha256, next(verdicts), ms)
