"""Judges the pictures of suites that the results lack."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
from antifake.core.pipeline import judge_all
from antifake.core.stopping import Stopper
from antifake.trainer.degradations import jpeg
from antifake.trainer.report.headers import Header, parse_header, read_header
from antifake.trainer.report.unpacking import unpacked_of

from .results import DELIVERED, OURS, Head, Output, Row, hash_of, open_results
from .sets import Picture, PictureSet

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """How sets are judged."""

    out: Path
    quality: int | None = None
    """Also judge every picture after it was saved as JPEG with this quality; None: do not."""
    limit: int | None = None
    """The most pictures of each class and generator of a set."""
    seed: int = 0


def jpeg_quality(text: str) -> int:
    """Returns the quality that an alignment names.

    >>> jpeg_quality("jpeg96")
    96
    """
    found = re.fullmatch(r"jpeg(\d{1,3})", text)
    if not found or not 1 <= int(found[1]) <= 100:
        raise UsageError(_("{text} is no alignment: name one like jpeg96.", text=text))
    return int(found[1])


@dataclass(frozen=True)
class Judge:
    """A detector with its way from scores to an answer."""

    detector: Detector
    protocol: str = OURS


@dataclass
class Run:
    """Judges sets, each as delivered and then aligned, by every judge."""

    request: Request
    judges: Sequence[Judge]
    decoder: Decoder
    stopper: Stopper
    n_failed: int = 0

    def judge(self, sets: Sequence[PictureSet], say: Say, progress: Progress) -> None:
        """Judges what the results lack. Raises UsageError, and Stopped on a signal."""
        kept = [those.sampled(self.request.limit, self.request.seed) for those in sets]
        each = len(self.judges) * (1 if self.request.quality is None else 2)
        done, total = 0, each * sum(len(those.pictures) for those in kept)

        def count() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        for those in kept:
            for judge in self.judges:
                rows = self._finish(those, judge, None, count, say)
                if self.request.quality is not None:
                    self._finish(those, judge, rows, count, say)

    def _finish(
        self,
        those: PictureSet,
        judge: Judge,
        delivered: Sequence[Row] | None,
        count: Callable[[], None],
        say: Say,
    ) -> Sequence[Row]:
        """Judges what is left of a set; with the rows of `delivered`, its aligned copies."""
        alignment = DELIVERED if delivered is None else f"jpeg{self.request.quality}"
        head = self._head(those, judge, alignment)
        with open_results(self.request.out, head) as output:
            for _row in output.done:
                count()
            if n_left := head.n - len(output.done):
                say(_progress_line(those, alignment, judge.protocol, n_left, head.n))
                self._judge(those, judge, delivered, output, count)
        self.n_failed += sum(row.error is not None for row in output.done)
        return output.done

    def _judge(
        self,
        those: PictureSet,
        judge: Judge,
        delivered: Sequence[Row] | None,
        output: Output,
        count: Callable[[], None],
    ) -> None:
        at = len(output.done)
        left = those.pictures[at:]
        headers: deque[Header] = deque()
        if delivered is None:
            sources = _sources(left, headers)
        else:
            sources = self._aligned(left, delivered[at:], headers)
        results = judge_all(judge.detector, self.decoder, sources)
        for picture, result in zip(left, self.stopper.until_asked(results), strict=True):
            with self.stopper.held():
                header = headers.popleft()
                row = Row.of(picture, result, header)
                if delivered is not None and not header.format:
                    row = replace(row, error=delivered[len(output.done)].error or _unaligned())
                output.write(row)
                output.done.append(row)
            count()

    def _aligned(
        self, left: Sequence[Picture], delivered: Sequence[Row], headers: deque[Header]
    ) -> Iterator[bytes]:
        """Yields every picture as a JPEG; b"", which is refused, if it was not judged before."""
        for picture, row in zip(left, delivered, strict=True):
            image = None if row.error else unpacked_of(picture.read(), row.sha256)
            data = jpeg(image, self.request.quality or 0) if image else b""
            headers.append(_header_of(data))
            yield data

    def _head(self, those: PictureSet, judge: Judge, alignment: str) -> Head:
        detector, request = judge.detector, self.request
        return Head(
            suite=those.suite.name,
            set=those.name,
            model=detector.model.manifest.version,
            prompt=detector.prompt_version,
            alignment=alignment,
            protocol=judge.protocol,
            n=len(those.pictures),
            pictures=hash_of(those),
            limit=request.limit,
            seed=request.seed,
            n_missing=those.n_missing,
        )


def _unaligned() -> str:
    return _("This picture is too large, or of a format that is not saved again, or has changed.")


def _sources(left: Sequence[Picture], headers: deque[Header]) -> Iterator[Path | bytes]:
    for picture in left:
        source = picture.read()
        headers.append(read_header(source) if isinstance(source, Path) else _header_of(source))
        yield source


def _header_of(data: bytes) -> Header:
    header = parse_header(data)
    header.n_bytes = len(data)
    return header


def _progress_line(those: PictureSet, alignment: str, protocol: str, n_left: int, n: int) -> str:
    what = f"{those.suite.name}/{those.name}, {alignment}, {protocol}"
    if n_left < n:
        return ngettext(
            "{what}: {left:,} of {n:,} picture is left",
            "{what}: {left:,} of {n:,} pictures are left",
            n,
            what=what,
            left=n_left,
        )
    return ngettext("{what}: {n:,} picture", "{what}: {n:,} pictures", n, what=what)
