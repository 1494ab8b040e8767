"""Bytes -> decoder -> model: what is found of some pictures. Nothing is written here."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO

from antifake.core import Verdict
from antifake.core.decoder import Decoded, Decoder
from antifake.core.errors import AntifakeError, UnreadableImageError
from antifake.core.images import Pixels
from antifake.core.perceptual_hash import dhash
from antifake.daemon.config import Config
from antifake.daemon.store import Store, StoreError, checks
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.ledger import Stamp

from .active_model import ActiveModel, ModelVersion
from .job import JobResult, QueuedJob
from .model_process import ModelLoadingError, ModelProcess

_QUALITIES = (70, 50, 30, 10)


@dataclass(frozen=True)
class _Prepared:
    """A work, and what is known of it before the model is asked."""

    work: QueuedJob
    stamp: Stamp | None
    """Of a folder's file, before it was read."""
    decoded: Decoded
    known: Check | None

    @property
    def is_gone(self) -> bool:
        """Or being written still: its folder's watcher will come with it again."""
        if self.work.watched is None:
            # A sent picture was answered in the last run, which had no room to write that down.
            is_missing = self.decoded.error is not None and self.decoded.error.code == "no_file"
            return self.work.job.copy is not None and is_missing
        return self.stamp is None or self.work.look() != self.stamp


class Judge:
    """Judges a few pictures at a time. One thread only."""

    def __init__(
        self, decoder: Decoder, model: ModelProcess, active_model: ActiveModel, store: Store
    ) -> None:
        self._decoder, self._model, self._active_model = decoder, model, active_model
        self._store = store

    def judge(self, works: Sequence[QueuedJob], config: Config) -> list[JobResult]:
        """In the order of `works`.

        Raises ModelError, ModelDiedError, ModelLoadingError (try again when is_loading is over),
        ModelChangedError (try again at once), StoreError.
        """
        version = self._active_model.now()
        started = time.perf_counter()
        self._decoder.fit(version.image_size)
        seen = self._see(works, version)
        crops = [
            one.decoded.picture.crop
            for one in seen
            if one.decoded.picture is not None and one.known is None
        ]
        if crops and self._model.is_loading():
            raise ModelLoadingError("The model is being loaded.")
        # Meanwhile, as the model is another process.
        with ThreadPoolExecutor(1) as aside:
            futures = [aside.submit(_derive, one, config) for one in seen]
            verdicts = iter(self._model.judge(crops) if crops else [])
        results = []
        for one, found_of in zip(seen, futures, strict=True):
            found = one.decoded.error or (next(verdicts) if one.known is None else None)
            results.append(_outcome(one, found, found_of.result(), version, config))
        ms = round(1000 * (time.perf_counter() - started) / len(works), 1)
        return [_timed(result, ms) for result in results]

    def is_starting(self) -> bool:
        """Whether the model is on its way already."""
        return self._model.state().phase == "loading"

    def is_loading(self, patience_s: float) -> bool:
        """Whether the model is still not loaded after so long; False, too, where it cannot be."""
        try:
            return self._model.is_loading(patience_s)
        except AntifakeError:
            return False  # whoever judges next is told

    def rest(self) -> None:
        """Nobody comes for a while: free the memory of the decoders."""
        self._decoder.rest()

    def _see(self, works: Sequence[QueuedJob], version: ModelVersion) -> list[_Prepared]:
        stamps = [work.look() for work in works]
        decoded = [
            self._once_more(work, one)
            for work, one in zip(works, self._decoded(works), strict=True)
        ]
        return [
            _Prepared(work, stamp, one, self._known(one, work, version))
            for work, stamp, one in zip(works, stamps, decoded, strict=True)
        ]

    def _decoded(self, works: Sequence[QueuedJob]) -> list[Decoded]:
        if len(works) == 1:  # a person waits, and threads take a moment to start
            return [self._decoder.decode(works[0].source)]
        return [one for _, one in self._decoder.decode_many([work.source for work in works])]

    def _once_more(self, work: QueuedJob, decoded: Decoded) -> Decoded:
        """A decoder may have been killed from outside: one death says nothing of a picture."""
        if decoded.error is None or decoded.error.code != "crashed":
            return decoded
        return self._decoder.decode(work.source)

    def _known(self, decoded: Decoded, work: QueuedJob, version: ModelVersion) -> Check | None:
        if decoded.picture is None or decoded.sha256 is None or work.is_private:
            return None
        if work.job.sha256 is not None:
            return None  # its bytes were sent, and looked for then
        try:
            with self._store.reading() as session:
                return checks.earlier(session, decoded.sha256, version.model, version.prompt)
        except StoreError:
            return None  # a verdict need not wait for the log


@dataclass(frozen=True)
class _Derived:
    """What the log keeps of a picture's looks."""

    phash: int | None = None
    thumbnail: bytes | None = None


def _derive(seen: _Prepared, config: Config) -> _Derived:
    picture = seen.decoded.picture
    if picture is None or seen.known is not None:
        return _Derived()
    keeps = config.history.thumbnails > 0 and not seen.work.is_private
    return _Derived(dhash(picture.crop), thumbnail(picture.crop) if keeps else None)


def _outcome(
    seen: _Prepared,
    found: Verdict | UnreadableImageError | None,
    derived: _Derived,
    version: ModelVersion,
    config: Config,
) -> JobResult:
    if seen.is_gone:
        return JobResult(seen.work)
    if seen.known is not None:
        return JobResult(seen.work, known=seen.known, stamp=seen.stamp)
    finding = _finding(seen, found, derived, version, config)
    return JobResult(seen.work, finding, stamp=seen.stamp, thumbnail=derived.thumbnail)


def _finding(
    seen: _Prepared,
    found: Verdict | UnreadableImageError | None,
    derived: _Derived,
    version: ModelVersion,
    config: Config,
) -> Finding:
    job, picture = seen.work.job, seen.decoded.picture
    finding = Finding(
        source=job.source,
        model=version.model,
        prompt=version.prompt,
        sha256=seen.decoded.sha256,
        phash=derived.phash,
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        format=picture.format if picture else None,
        path=job.path if config.history.paths else None,
        page=job.page,
    )
    if isinstance(found, Verdict):
        return replace(
            finding, label=found.label, p_fake=round(found.p_fake, 6),
            model=found.model, prompt=found.prompt,
        )  # fmt: skip
    error = found or UnreadableImageError("It could not be judged.")
    return replace(finding, error=str(error), code=error.code)


def _timed(result: JobResult, ms: float) -> JobResult:
    return replace(result, finding=result.finding and replace(result.finding, ms=ms))


def thumbnail(crop: Pixels) -> bytes | None:
    """A crop [S, S, 3] as a small WebP of our own making, without anything of the file's.

    None where it does not become small.
    """
    from PIL import Image  # noqa: PLC0415

    for quality in _QUALITIES:
        buffer = BytesIO()
        # A person waits: method 4 takes three times as long for a fifth fewer bytes.
        Image.fromarray(crop).save(buffer, "WEBP", quality=quality, method=1)
        if buffer.tell() <= checks.MAX_THUMBNAIL_BYTES:
            return buffer.getvalue()
    return None
