"""From files to results: decode, look up, ask the model. Nothing is written here."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

from antifake.core import Verdict
from antifake.core.decoder import Decoded, Decoder
from antifake.core.errors import AntifakeError, UnreadableImageError
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.reading import EvidenceReader
from antifake.core.i18n import _
from antifake.core.images import Picture
from antifake.core.parts import judged_parts
from antifake.core.perceptual_hash import dhash
from antifake.core.pixels import Pixels
from antifake.daemon.config import Config
from antifake.daemon.store import Store, checks, outbox
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.ledger import Stamp

from .active_model import ActiveModel, ModelVersion
from .job import JobResult, QueuedJob
from .model_process import ModelLoadingError, ModelProcess

_QUALITIES = (70, 50, 30, 10)


class Judge:
    """Judges a few pictures at a time. For one thread only."""

    def __init__(
        self,
        decoder: Decoder,
        model: ModelProcess,
        active_model: ActiveModel,
        store: Store,
        evidence: EvidenceReader,
    ) -> None:
        self._decoder, self._model, self._active_model = decoder, model, active_model
        self._store, self._evidence = store, evidence

    def judge(self, batch: Sequence[QueuedJob], config: Config) -> list[JobResult]:
        """Returns the results in the order of `batch`.

        Raises ModelError, ModelDiedError, ModelLoadingError (try again when is_loading is over)
        and ModelChangedError (try again at once).
        """
        version = self._active_model.now()
        started = time.perf_counter()
        self._decoder.fit(version.image_size)
        stamps = [job.stamp() for job in batch]
        decoded = self._decode(batch)
        known = self._known(batch, decoded, version)
        pictures = [
            one.picture.crops
            for one, check in zip(decoded, known, strict=True)
            if one.picture is not None and check is None
        ]
        if pictures and self._model.is_loading():
            raise ModelLoadingError(_("The model is being loaded."))
        # In a thread, because the model is another process and works at the same time.
        with ThreadPoolExecutor(1) as thread:
            described = [
                thread.submit(_describe, job, one, version, config) if check is None else None
                for job, one, check in zip(batch, decoded, known, strict=True)
            ]
            # Last, as a file that has Content Credentials may take as long as the model.
            files = [
                thread.submit(self._file_evidence, job, one)
                for job, one in zip(batch, decoded, strict=True)
            ]
            verdicts = iter(self._model.judge(pictures) if pictures else [])
        ms = round(1000 * (time.perf_counter() - started) / len(batch), 1)
        results = []
        for number, job in enumerate(batch):
            check, one, future = known[number], decoded[number], described[number]
            result = JobResult(job, known=check, is_named=config.history.paths)
            if future is not None:
                found = one.error or next(verdicts)
                result = _complete(future.result(), found, one.picture, ms)
            result = replace(
                result,
                stamp=stamps[number],
                file=files[number].result(),
                decode_s=one.took_s,
            )
            results.append(JobResult(job) if _is_gone(job, stamps[number], one) else result)
        return results

    def file_evidence(self, batch: Sequence[QueuedJob]) -> list[FileEvidence | None]:
        """Returns what files say of themselves, in the order of `batch`. It takes no model."""
        return [self._file_evidence(*pair) for pair in zip(batch, self._decode(batch), strict=True)]

    def is_starting(self) -> bool:
        """Whether the model is being loaded."""
        return self._model.state().phase == "loading"

    def is_loading(self, patience_s: float) -> bool:
        """Whether the model is still not loaded after so long. False also if it cannot be."""
        try:
            return self._model.is_loading(patience_s)
        except AntifakeError:
            return False  # the next judge() says why

    def rest(self) -> None:
        """Free the memory of the children, since nothing was to be judged for a while."""
        self._decoder.rest()
        self._evidence.close()

    def _decode(self, batch: Sequence[QueuedJob]) -> list[Decoded]:
        if len(batch) == 1:  # a person waits, and threads take a moment to start
            decoded = [self._decoder.decode(batch[0].source)]
        else:
            found = self._decoder.decode_many([job.source for job in batch])
            decoded = [one for _, one in found]
        return [self._retried(job, one) for job, one in zip(batch, decoded, strict=True)]

    def _file_evidence(self, job: QueuedJob, decoded: Decoded) -> FileEvidence | None:
        if decoded.marks is None:
            return None
        return self._evidence.read(job.source, decoded.marks, decoded.sha256)

    def _retried(self, job: QueuedJob, decoded: Decoded) -> Decoded:
        """Decodes once more after a crash: a decoder may have been killed from outside."""
        if decoded.error is None or decoded.error.code != "crashed":
            return decoded
        return self._decoder.decode(job.source)

    def _known(
        self, batch: Sequence[QueuedJob], decoded: Sequence[Decoded], version: ModelVersion
    ) -> list[Check | None]:
        """For each job the earlier check of the same bytes, read in one transaction."""
        wanted = [
            one.sha256 if _may_be_known(job, one) else None
            for job, one in zip(batch, decoded, strict=True)
        ]
        pictures = [sha256 for sha256 in wanted if sha256]
        known = outbox.earlier(self._store, pictures, version.model, version.prompt)
        return [known.get(sha256 or "") for sha256 in wanted]


def _may_be_known(job: QueuedJob, decoded: Decoded) -> bool:
    """Whether to look for an earlier check. Bytes with a known hash were looked up on arrival."""
    return decoded.picture is not None and not job.is_private and job.job.sha256 is None


def _describe(job: QueuedJob, decoded: Decoded, version: ModelVersion, config: Config) -> JobResult:
    """Returns the result without a verdict, but with perceptual hash and thumbnail."""
    picture = decoded.picture
    finding = Finding(
        source=job.job.source,
        model=version.model,
        prompt=version.prompt,
        sha256=decoded.sha256,
        path=job.job.path if config.history.paths else None,
        page=job.job.page,
        name=job.job.name if config.history.paths else None,
    )
    if picture is None:
        return JobResult(job, finding, is_named=config.history.paths)
    finding = replace(
        finding,
        phash=dhash(picture.crop),
        width=picture.width,
        height=picture.height,
        format=picture.format,
    )
    if job.is_private:
        return JobResult(job, finding)
    has_thumbnail, is_held = config.history.thumbnails > 0, config.learning.hold_crops > 0
    return JobResult(
        job,
        finding,
        is_named=config.history.paths,
        thumbnail=thumbnail(_shown(picture)) if has_thumbnail else None,
        crop=lossless(picture.crop) if is_held else None,
        crop_size=len(picture.crop),
    )


def _complete(
    result: JobResult,
    found: Verdict | UnreadableImageError,
    picture: Picture | None,
    ms: float,
) -> JobResult:
    """Returns the described result with the verdict, or with the reason why there is none."""
    if result.finding is None:
        return result
    finding = replace(result.finding, ms=ms)
    if isinstance(found, Verdict):
        finding = replace(
            finding,
            label=found.label,
            p_fake=round(found.p_fake, 6),
            model=found.model,
            prompt=found.prompt,
            parts=judged_parts(picture.parts if picture else (), found.part_scores),
            note=picture.note if picture else None,
        )
    else:
        finding = replace(finding, error=str(found), code=found.code)
    return replace(result, finding=finding)


def _is_gone(job: QueuedJob, stamp: Stamp | None, decoded: Decoded) -> bool:
    """Whether the file is missing or was changed while it was read.

    The watcher hands a changed file over again.
    """
    is_missing = decoded.error is not None and decoded.error.code == "no_file"
    if job.watched is None:
        # A sent picture was answered in the last run, which had no space to record that.
        return job.job.copy is not None and is_missing
    return is_missing or stamp is None or job.stamp() != stamp


def _shown(picture: Picture) -> Pixels:
    """Returns the picture in its own shape, or its middle if it is too narrow to be seen."""
    return picture.crop if picture.preview is None else picture.preview


def thumbnail(shown: Pixels) -> bytes | None:
    """Returns pixels [H, W, 3] as a small WebP, which so has nothing of the file's metadata.

    Returns None if it does not become small enough.
    """
    from PIL import Image  # noqa: PLC0415

    for quality in _QUALITIES:
        buffer = BytesIO()
        # A person waits: method 4 takes three times as long for a fifth fewer bytes.
        Image.fromarray(shown).save(buffer, "WEBP", quality=quality, method=1)
        if buffer.tell() <= checks.MAX_THUMBNAIL_BYTES:
            return buffer.getvalue()
    return None


def lossless(crop: Pixels) -> bytes:
    """Returns a crop [S, S, 3] as lossless WebP."""
    from PIL import Image  # noqa: PLC0415

    buffer = BytesIO()
    # Twenty times as fast as the default, which saves a tenth of the bytes.
    Image.fromarray(crop).save(buffer, "WEBP", lossless=True, quality=20, method=0)
    return buffer.getvalue()
