"""The JSON of a card. Its schema is tests/contract/evidence.schema.json."""

from dataclasses import asdict
from typing import Any

from antifake.core.verdict import word

from .card import Card, ModelTrack, Word
from .file_evidence import FileEvidence
from .sentences import sentences, summary

VERSION = 1


def to_dict(card: Card) -> dict[str, Any]:
    """Returns a card as JSON has it."""
    return {
        "version": VERSION,
        "headline": card.headline,
        "basis": card.basis,
        "tracks": {
            "you": _word(card.you),
            "seen": _word(card.seen) | {"near_copy": bool(card.seen and card.seen.is_near_copy)},
            "provenance": _provenance(card.file),
            "marks": _marks(card.file),
            "model": _model(card.model),
        },
        "summary": summary(card),
        "conflicts": list(card.conflicts),
        "sentences": [{"track": track, "text": text} for track, text in sentences(card)],
    }


def _word(said: Word | None) -> dict[str, Any]:
    return {"ran": True, "label": said and said.label, "at": said and said.at}


def _provenance(file: FileEvidence | None) -> dict[str, Any]:
    found = (file or FileEvidence()).provenance
    return {"ran": file is not None and found.why_not is None} | asdict(found)


def _marks(file: FileEvidence | None) -> dict[str, Any]:
    marks = (file or FileEvidence()).marks
    return {
        "ran": file is not None,
        "complete": file is not None and marks.is_complete,
        "found": [asdict(mark) for mark in marks.found],
        "camera": asdict(marks.camera) if marks.camera else None,
    }


def _model(track: ModelTrack | None) -> dict[str, Any]:
    return {
        "ran": track is not None,
        "label": track and track.label,
        "p_fake": track and track.p_fake,
        "word": track and word(track.label, track.p_fake),
        "model": track and track.model,
        "prompt": track and track.prompt,
    }
