"""Reads the evidence in a picture's file: marks and credentials, without a model."""

from typing import Self

from .card import Card
from .containers import walk
from .marks import camera_in, marks_in
from .provenance import ProvenanceReader


class EvidenceReader:
    """Reads what files say of themselves; a context manager, usable from several threads."""

    def __init__(self, anchors: str = "") -> None:
        self._provenance = ProvenanceReader(anchors=anchors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._provenance.close()

    def read(self, picture: bytes) -> Card:
        """Returns the card of a picture's bytes, with all tracks but the model's and yours."""
        container = walk(picture)
        return Card(
            marks=tuple(marks_in(container)),
            camera=camera_in(container),
            are_marks_complete=container.is_complete,
            provenance=self._provenance.read(picture, container),
        )
