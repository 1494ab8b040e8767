"""Judges pictures in batches: decoders work ahead in their own processes, the model follows.

What the files say of themselves is read beside that, or alone. Imports no torch.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .batching import judge_pictures
from .decoder import Decoded, Decoder
from .errors import UnreadableImageError
from .evidence.card import Card, ModelTrack
from .evidence.file_evidence import FileEvidence
from .evidence.reading import EvidenceReader
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
    with EvidenceReader() as reader:
        for item in decoder.decode_many(sources, ahead=batch):
            waiting.append(item)
            if len(waiting) == batch:
                yield from _results(detector, reader, waiting, started)
                waiting, started = [], time.perf_counter()
        if waiting:
            yield from _results(detector, reader, waiting, started)


def read_evidence(decoder: Decoder, sources: Iterable[Source]) -> Iterator[Result]:
    """Yields for every source, in order, what its file says. No model judges it.

    The decoder's view is "marks".
    """
    started = time.perf_counter()
    with EvidenceReader() as reader:
        for source, decoded in decoder.decode_many(sources):
            file = file_evidence(reader, source, decoded)
            path, ms = _path(source), 1000 * (time.perf_counter() - started)
            if decoded.error:
                yield Result.failed(path, decoded.sha256, decoded.error, ms)
            else:
                yield Result.unjudged(path, decoded.sha256, ms).with_evidence(Card(file))
            started = time.perf_counter()


def _results(
    detector: "Detector",
    reader: EvidenceReader,
    items: list[tuple[Source, Decoded]],
    started: float,
) -> Iterator[Result]:
    found = verdicts_of(detector, [decoded for _, decoded in items])
    looked = [
        LookedAt(_path(source), decoded, file_evidence(reader, source, decoded))
        for source, decoded in items
    ]
    ms = 1000 * (time.perf_counter() - started) / len(items)
    for item, one in zip(looked, found, strict=True):
        yield result_of(detector, item, one, ms)


@dataclass(frozen=True)
class LookedAt:
    """A picture before it is judged."""

    path: str
    decoded: Decoded
    file: FileEvidence | None
    """What the file says; None if it could not even be looked at."""


def verdicts_of(
    detector: "Detector", items: Sequence[Decoded]
) -> list[Verdict | UnreadableImageError]:
    """Judges one batch. Returns a verdict for each item, or why there is none."""
    pictures = [decoded.picture.crops for decoded in items if decoded.picture]
    verdicts = iter(judge_pictures(detector.judge, detector.bands, pictures))
    return [decoded.error or next(verdicts) for decoded in items]


def result_of(
    detector: "Detector", item: LookedAt, found: Verdict | UnreadableImageError, ms: float
) -> Result:
    """Returns the result for a picture of which `found` is the verdict."""
    decoded = item.decoded
    if isinstance(found, Verdict):
        picture = decoded.picture
        parts, note = (picture.parts, picture.note) if picture else ((), None)
        judged = Result.judged(item.path, decoded.sha256, found, ms, parts)
        track = ModelTrack(found.label, round(found.p_fake, 6), found.model, found.prompt)
        return replace(judged, note=note).with_evidence(Card(item.file, track))
    failed = Result.failed(item.path, decoded.sha256, found, ms)
    model, prompt = detector.model.manifest.version, detector.prompt_version
    failed = replace(failed, model=model, prompt=prompt)
    return failed.with_evidence(Card(item.file)) if item.file else failed


def file_evidence(reader: EvidenceReader, source: Source, decoded: Decoded) -> FileEvidence | None:
    """Returns what a file says; None if it could not even be looked at."""
    if decoded.marks is None:
        return None
    return reader.read(source, decoded.marks, decoded.sha256)


def _path(source: Source) -> str:
    return "-" if isinstance(source, bytes) else str(source)
