"""The card of a picture as the page shows it: each track beside the others, and what contradicts.

What the tracks say is decided and worded in core.evidence. Here it is put in order for a template.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from antifake.core import Label, dates
from antifake.core.evidence.card import Card, Word
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.sentences import sentences
from antifake.core.i18n import _
from antifake.core.verdict import is_sure, percent, word
from antifake.daemon.service import Answer

from .wording import inert

Sign = Literal["made", "real", "unsure", "unchecked", "note"]
"""The shape beside a track. `note`: the file says something that decides nothing."""
_SIGNS: dict[Label, Sign] = {"fake": "made", "real": "real", "unsure": "unsure"}


@dataclass(frozen=True)
class Said:
    """A sentence and, of a mark, its words in the file and where they stand."""

    text: str
    quote: str = ""
    """Inert; empty for a recipe, of which nothing is kept."""
    place: str = ""


@dataclass(frozen=True)
class Track:
    """What one source says of a picture."""

    id: Literal["you", "seen", "provenance", "marks", "file", "model"]
    title: str
    sign: Sign
    is_solid: bool = False
    verdict: str = ""
    """Its few words, for a track that gives a verdict."""
    percent: int | None = None
    """How sure the model is, 1 .. 99."""
    said: tuple[Said, ...] = ()
    source: str = ""
    """Which model with which prompt."""


@dataclass(frozen=True)
class ShownCard:
    """All tracks of a picture in their order, and what contradicts."""

    tracks: tuple[Track, ...]
    conflicts: tuple[str, ...]
    looked_at: tuple[str, ...]
    """What of the picture the model judged; empty if it did not."""


def shown(answer: Answer) -> ShownCard:
    """Returns the card of a picture for the template."""
    card, check = answer.card, answer.entry.check
    looked_at = answer.about_picture() or [_("The picture was judged as a whole.")]
    words = _by_track(card)
    return ShownCard(
        tracks=(
            *_people(card),
            *(_file(card.file, words) if card.file else [_UNREAD]),
            _model(card, [Said(inert(check.error))] if check.error else words["model"]),
        ),
        conflicts=tuple(one.text for one in words["conflict"]),
        looked_at=(*map(inert, looked_at), _NO_MAP) if card.model else (),
    )


def _by_track(card: Card) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for track, text in sentences(card):
        found[track].append(Said(inert(text)))
    # The sentences on the marks come first and in their order.
    for n, mark in enumerate(card.file.marks.found if card.file else ()):
        found["marks"][n] = replace(
            found["marks"][n], quote=inert(mark.quote), place=inert(mark.place)
        )
    return found


_NO_MAP = _(
    "antifake cannot reliably show which part of a picture led to the model's verdict, so it does"
    " not."
)
_UNREAD = Track(
    "file",
    _("The file"),
    "unchecked",
    said=(Said(_("What the file says of itself has not been read.")),),
)


def _people(card: Card) -> list[Track]:
    found = []
    if card.you:
        text = _("You said so on {date}, and that counts.", date=_day(card.you))
        found.append(_said("you", _("You"), card.you, text))
    if card.seen:
        text = _("You said so of a near-copy on {date}.", date=_day(card.seen))
        found.append(_said("seen", _("Seen before"), card.seen, text))
    return found


def _said(name: Literal["you", "seen"], title: str, said: Word, text: str) -> Track:
    return Track(name, title, _SIGNS[said.label], True, _SAID[said.label], said=(Said(text),))


_SAID: dict[Label, str] = {"fake": _("AI-made"), "real": _("Real"), "unsure": _("Cannot tell")}


def _day(said: Word) -> str:
    return dates.in_words(datetime.fromisoformat(said.at).astimezone().date())


def _file(file: FileEvidence, words: dict[str, list[Said]]) -> list[Track]:
    signed, marks = file.provenance, file.marks
    says_nothing = signed.content == "none" and signed.why_not is None
    counts = file.is_signed_as_ai and signed.signer != "revoked"
    return [
        Track(
            "provenance",
            _("Content Credentials"),
            "made" if counts else "unchecked" if says_nothing else "note",
            counts and signed.is_known,
            said=tuple(words["provenance"]),
        ),
        Track(
            "marks",
            _("Notes in the file"),
            "made" if file.has_mark else "note" if marks.found or marks.camera else "unchecked",
            said=tuple(words["marks"]),
        ),
    ]


def _model(card: Card, told: list[Said]) -> Track:
    if (model := card.model) is None:
        return Track("model", _("The model"), "unchecked", said=tuple(told))
    words = word(model.label, model.p_fake)
    return Track(
        "model",
        _("The model"),
        _SIGNS[model.label],
        is_sure(model.label, model.p_fake),
        words[0].upper() + words[1:],
        None if model.label == "unsure" else percent(model.label, model.p_fake),
        tuple(told),
        source=_("{model}, prompt {prompt}", model=inert(model.model), prompt=inert(model.prompt)),
    )
