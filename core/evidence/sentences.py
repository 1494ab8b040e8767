"""The sentences of a card. What would be wrong to claim is not among them.

A signature of a camera is not called proof, as screens get photographed; a changed picture is not
called forged, as any edit changes it; and that nothing was found says nothing.
"""

from collections.abc import Callable, Iterator

from antifake.core.i18n import _
from antifake.core.verdict import Label

from .card import Card, Conflict
from .file_evidence import FileEvidence
from .file_marks import FileMarks
from .marks import MAKERS, Mark
from .provenance import Provenance
from .trust_lists import is_old

Track = str


def sentences(card: Card) -> Iterator[tuple[Track, str]]:
    """Yields track and sentence, in the order of the card."""
    if card.file:
        yield "provenance", _said_of_credentials(card.file)
        if old := _old_list(card.file.provenance):
            yield "provenance", old
        for text in _said_of_marks(card.file.marks):
            yield "marks", text
    yield "model", _MODEL[card.model.label if card.model else None]
    for conflict in card.conflicts:
        yield "conflict", _CONFLICTS[conflict]


def summary(card: Card) -> str | None:
    """Returns the strongest thing that the file says, with its conflicts; None if it says none."""
    if card.file is None:
        return None
    signed, marks = card.file.provenance, card.file.marks
    if signed.content == "intact" and signed.says in ("ai", "ai_part"):
        strongest = said_of_provenance(signed)
    elif marks.found:
        strongest = said_of_mark(marks.found[0])
    elif signed.content != "none":
        strongest = said_of_provenance(signed)
    else:
        return None
    return " ".join([strongest, *(_CONFLICTS[conflict] for conflict in card.conflicts)])


def _said_of_marks(marks: FileMarks) -> Iterator[str]:
    yield from map(said_of_mark, marks.found)
    if marks.camera:
        yield _(
            "The file names a camera ({make} {model}). Anyone can write that, so it does not "
            "count.",
            make=marks.camera.make,
            model=marks.camera.model,
        )
    if not marks.found and marks.is_complete:
        yield _("No generator left a note in the file. Most sites remove such notes.")
    if not marks.is_complete:
        yield _("Not all of what is written in the file could be looked at.")


def _said_of_credentials(file: FileEvidence) -> str:
    if file.provenance.content == "none" and not file.marks.is_complete:
        return _("No Content Credentials were found in what could be looked at.")
    return said_of_provenance(file.provenance)


def said_of_provenance(found: Provenance) -> str:
    """Returns what a person reads of the Content Credentials."""
    if found.why_not:
        return _WHY_NOT[found.why_not]
    if found.content == "intact":
        return f"{_made(found)} {_signer(found)}".strip()
    return {
        "none": _("No Content Credentials. Most pictures have none; that says nothing."),
        "changed": _(
            "The picture is not as it was signed, so what its Content Credentials say does not "
            "count."
        ),
        "elsewhere": _(
            "Its Content Credentials are kept on a server, which antifake does not ask."
        ),
        "unreadable": _("Its Content Credentials cannot be read."),
    }[found.content]


def _made(found: Provenance) -> str:
    if found.by == "agent" and found.says == "ai":
        if found.is_known and found.name:
            return _("{name} signed that a program for AI pictures made it.", name=found.name)
        return _("It names a program for AI pictures as its maker.")
    if found.is_known and found.name and found.says in _SIGNED:
        return _SIGNED[found.says](found.name)
    return _SAID.get(found.says or "", _NOTHING)


def _signer(found: Provenance) -> str:
    if found.signer == "known_interim":
        return _("The signer is on an older list.")
    if found.signer == "lapsed":
        return _("Who signed cannot be confirmed: the certificate has run out.")
    if found.signer == "revoked":
        return _("The signer's certificate was withdrawn, so this does not count.")
    return _("Who signed is not known: that proves nothing.") if found.signer == "unknown" else ""


def _old_list(found: Provenance) -> str | None:
    if not found.lists or not is_old(found.lists[0]):
        return None
    return _(
        "antifake's list of known signers is of {date}. It does not have those that came later.",
        date=found.lists[0],
    )


def said_of_mark(mark: Mark) -> str:
    """Returns what a person reads of a mark."""
    maker = MAKERS[mark.maker]
    if mark.kind == "recipe":
        return _(
            "The file holds {maker}'s recipe for making it. Anyone can copy such a note.",
            maker=maker,
        )
    if mark.kind == "declared":
        return _("A label in the file says that AI made it. Anyone can write one.")
    if mark.kind == "declared_part":
        return _("A label in the file says that parts of it were made with AI.")
    if mark.kind == "suspected":
        return _("A label in the file says that AI may have made it.")
    return _("The file names {maker} as its software.", maker=maker)


_MODEL: dict[Label | None, str] = {
    "fake": _("The model can be wrong: paintings, memes and heavy editing can look AI-made to it."),
    "real": _("The model found no traces. That proves nothing."),
    "unsure": _("The model cannot tell. Take it as no answer, and look for where it comes from."),
    None: _("The model has not judged this picture."),
}
_NOTHING = _("Its Content Credentials do not say that AI made it, nor that a camera took it.")
_SIGNED: dict[str, Callable[[str], str]] = {
    "ai": lambda name: _("{name} signed that AI made it.", name=name),
    "ai_part": lambda name: _("{name} signed that parts of it were made with AI.", name=name),
    "camera": lambda name: _(
        "{name} signed that a camera took it. Screens and prints can be photographed, too.",
        name=name,
    ),
}
_SAID = {
    "ai": _("It says that AI made it, and it is unchanged since it was signed."),
    "ai_part": _("It says that parts of it were made with AI."),
    "camera": _("It says that a camera took it."),
}
_WHY_NOT = {
    "not_installed": _(
        "It has Content Credentials, which cannot be read here: that takes the package c2pa-python."
    ),
    "too_large": _("It has Content Credentials too large to be read."),
    "timeout": _("It has Content Credentials that took too long to read."),
    "crashed": _("It has Content Credentials that could not be read safely."),
}
_CONFLICTS: dict[Conflict, str] = {
    "signed_but_unnoticed": _("The model found no trace of AI; the signer's word counts more."),
    "marked_but_unnoticed": _("The model found no trace of AI."),
    "camera_signed_but_alarm": _(
        "A known signer says that a camera took it, and the model that AI made it. One of the two "
        "is wrong: look for yourself."
    ),
    "camera_and_generator": _("The file names a camera as well as a generator."),
    "signed_then_changed": _("Its signature does not fit the picture."),
    "you_against_signed": _("The file itself says that AI made it; you said that it is real."),
}
