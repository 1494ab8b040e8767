"""The JSON of a card. Its schema is tests/contract/evidence.schema.json."""

from dataclasses import asdict
from typing import Any

from antifake.core.verdict import word

from .card import Card, Word
from .sentences import sentences

VERSION = 1


def to_dict(card: Card) -> dict[str, Any]:
    """Returns a card as JSON has it."""
    model, signed = card.model, card.provenance
    return {
        "version": VERSION,
        "headline": card.headline,
        "basis": card.basis,
        "tracks": {
            "you": _word(card.you),
            "seen": _word(card.seen) | {"near_copy": bool(card.seen and card.seen.is_near_copy)},
            "provenance": {"ran": signed.why_not is None} | asdict(signed),
            "marks": {
                "ran": True,
                "complete": card.are_marks_complete,
                "found": [asdict(mark) for mark in card.marks],
                "camera": asdict(card.camera) if card.camera else None,
            },
            "model": {
                "ran": model is not None,
                "label": model and model.label,
                "p_fake": model and model.p_fake,
                "word": model and word(model.label, model.p_fake),
                "model": model and model.model,
                "prompt": model and model.prompt,
            },
        },
        "conflicts": list(card.conflicts),
        "sentences": [{"track": track, "text": text} for track, text in sentences(card)],
    }


def _word(said: Word | None) -> dict[str, Any]:
    return {"ran": True, "label": said and said.label, "at": said and said.at}
