"""Reads the evidence in picture files, without a model."""

import hashlib
from pathlib import Path
from typing import Self

from antifake.core.errors import UnreadableImageError
from antifake.core.files import PlainFile
from antifake.core.images import read_file

from .containers import Field, walk
from .file_evidence import FileEvidence
from .file_marks import FileMarks
from .hidden_text import hidden_text
from .marks import camera_in, marks_in
from .provenance import ProvenanceReader


class EvidenceReader:
    """Completes what decoders found by what Content Credentials say.

    A context manager, usable from several threads.
    """

    def __init__(self, anchors: str = "") -> None:
        self._provenance = ProvenanceReader(anchors=anchors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child that reads credentials; the next picture with some starts another."""
        self._provenance.close()

    def read(
        self, source: Path | PlainFile | bytes, marks: FileMarks, sha256: str | None
    ) -> FileEvidence:
        """Returns what a file says of itself: its marks, and its Content Credentials if any.

        `marks` and `sha256` are those that a decoder has found.
        """
        return FileEvidence(marks, self._provenance.read(marks, lambda: _same(source, sha256)))


def read_marks(data: bytes) -> FileMarks:
    """Reads the container of a file, and a text that its pixels hide.

    Only for a child that may be killed, as that text takes a codec.
    """
    container = walk(data)
    container.fields += [Field(place, text) for place, text in hidden_text(data)]
    return FileMarks(
        tuple(marks_in(container)),
        camera_in(container),
        container.is_complete,
        container.n_c2pa_bytes,
        container.is_c2pa_elsewhere,
    )


def _same(source: Path | PlainFile | bytes, sha256: str | None) -> bytes | None:
    """Returns the bytes of this hash; None if the file was changed since."""
    try:
        data = source if isinstance(source, bytes) else read_file(source)
    except UnreadableImageError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None
