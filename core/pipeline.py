"""The pipeline of every batch: decoders ahead in their own processes, the model behind them."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .decoder import Decoded, Decoder
from .detector import Detector
from .errors import NoScoreError
from .images import Pixels
from .results import Result
from .verdict import Verdict

BATCH = 8

Source = Path | bytes


def judge_all(
    detector: Detector, decoder: Decoder, sources: Iterable[Source], batch: int = BATCH
) -> Iterator[Result]:
    """A row for every source, in order. One bad picture is a row like any other."""
    waiting: list[tuple[Source, Decoded]] = []
    started = time.perf_counter()
    for item in decoder.decode_many(sources, ahead=batch):
        waiting.append(item)
        if len(waiting) == batch:
            yield from _rows(detector, waiting, started)
            waiting, started = [], time.perf_counter()
    if waiting:
        yield from _rows(detector, waiting, started)


def _rows(
    detector: Detector, items: list[tuple[Source, Decoded]], started: float
) -> Iterator[Result]:
    crops = [decoded.picture.crop for _, decoded in items if decoded.picture]
    verdicts = iter(_judged(detector, crops))
    ms = 1000 * (time.perf_counter() - started) / len(items)
    signed = Verdict(0.5, "unsure", detector.model.manifest.version, detector.prompt_version)
    for source, decoded in items:
        path = "-" if isinstance(source, bytes) else str(source)
        found = decoded.error or next(verdicts)
        if isinstance(found, Verdict):
            yield Result.judged(path, decoded.sha256, found, ms)
        else:
            yield Result.failed(path, decoded.sha256, found, signed, ms)


def _judged(detector: Detector, crops: list[Pixels]) -> list[Verdict | NoScoreError]:
    """All at once; where that comes to no number, one by one, to know whose fault it is."""
    try:
        return list(detector.judge(crops)) if crops else []
    except NoScoreError as error:
        if len(crops) == 1:
            return [error]
        return [found for crop in crops for found in _judged(detector, [crop])]
