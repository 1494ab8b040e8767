"""What a report says, for readers who know nothing of antifake: an editor, a head teacher."""

from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from typing import Literal

from PIL import Image

from antifake.core import Label, dates
from antifake.core.evidence.card import Card
from antifake.core.evidence.sentences import sentences
from antifake.core.i18n import _, ngettext
from antifake.core.preview import jpeg, preview
from antifake.daemon.service import Answer, Service
from antifake.daemon.service.checks import kept_page, plain_name
from antifake.daemon.store.checks import Check

from . import error_rates

Shape = Literal["made", "real", "unsure", "unchecked"]

_SHAPES: dict[str | None, Shape] = {"fake": "made", "real": "real", "unsure": "unsure"}
_CAME_BY = {
    "watch": _("found in a watched folder"),
    "extension": _("checked in a browser"),
    "tray": _("checked from the antifake icon"),
    "cli": _("checked by a command"),
    "api": _("sent by another program"),
    "page": _("given to the antifake page"),
    "import": _("imported from another history"),
}
_NUMBER = _(
    "The number says how sure the model is of its verdict, from 1 to 99 %. It does not say how much"
    " of the picture is AI-made, and it is an estimate, never a certainty."
)
_LIMITS = (
    _(
        "This is no proof. Do not accuse anybody because of it; ask where the picture comes from,"
        " and look for its first publication."
    ),
    _(
        "The model looks at the pixels only. It does not know who made the picture, whether a"
        " caption is true, or whether a real photograph shows what it is said to show."
    ),
    _(
        "What a file says of itself can be written and removed by anybody; only a known signer's"
        " signature tells who wrote it. That nothing was found says nothing: most websites remove"
        " such notes."
    ),
    _(
        "The model sees squares of the picture, each at 224 x 224 pixels, so fine grain and small"
        " edited places may escape it."
    ),
    _(
        "It is weak on generators that it has never seen. “Likely real” means that nothing was"
        " found, no more. Illustrations, comics and heavily edited photographs can cause false"
        " alarms."
    ),
)
_QUALITY = 85


@dataclass(frozen=True)
class Section:
    """A part with a title: sentences, then facts."""

    title: str
    sentences: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Report:
    """All that is shown, in order. What is found later, such as evidence, is a section more."""

    name: str
    """Of the picture; empty if it has none or shall not be told."""
    verdict: str
    """The words of the verdict, with a capital letter."""
    percent: int | None
    shape: Shape
    picture: bytes | None
    """JPEG, made again from the pixels, so without metadata."""
    size: tuple[int, int]
    """Of `picture`, in pixels."""
    picture_words: str
    """What is shown: the file itself, or what was kept of it."""
    sections: tuple[Section, ...]
    made: str


def of(service: Service, name: str, now: datetime, *, with_name: bool) -> Report:
    """Returns the report on a check. `now`: when it is made. Raises NotThereError."""
    answer = service.get(name)
    entry = answer.entry
    # The verdict is the model's; what the user says has a section of its own.
    found = Answer(replace(entry, correction=None, near_copy_correction=None))
    picture, words = _picture(service, name)
    return Report(
        name=plain_name(entry.check.shown_name or "") if with_name else "",
        verdict=found.headline,
        percent=None if found.is_declared else found.percent,
        shape=_SHAPES.get(found.shown_as, "unchecked"),
        picture=jpeg(picture, _QUALITY) if picture else None,
        size=picture.size if picture else (0, 0),
        picture_words=words,
        sections=tuple(
            one
            for one in (
                *_judged(found),
                _person(answer),
                _facts(answer, with_name=with_name),
                _how(answer),
                _limits(answer.entry.check),
            )
            if one
        ),
        made=_(
            "Made on {date} by antifake {version}.", date=_when(now), version=version("antifake")
        ),
    )


def _judged(found: Answer) -> tuple[Section, Section]:
    """Returns what the file and the model say; the one that the verdict follows comes first."""
    file, model = _file(found.card), _model(found)
    return (file, model) if found.is_declared else (model, file)


def _file(card: Card) -> Section:
    told = [text for track, text in sentences(card) if track in ("provenance", "marks", "conflict")]
    return Section(
        _("What the file says"),
        tuple(told) or (_("What the file says of itself has not been read."),),
    )


def _model(found: Answer) -> Section:
    number = () if found.percent is None else (_NUMBER,)
    title = _("What the model says") if found.is_declared else _("What the verdict means")
    return Section(title, (*found.about_model(), *found.about_picture(), *number))


def _person(answer: Answer) -> Section | None:
    said = answer.correction
    if said is None:
        return None
    told = _said(said.label, _when(said.at), is_of_copy=answer.entry.correction is None)
    return Section(_("What a person says"), (told,))


def _said(label: Label, date: str, *, is_of_copy: bool) -> str:
    match label:
        case "fake" if is_of_copy:
            return _(
                "The user of antifake said on {date} that a near-copy of this picture is AI-made.",
                date=date,
            )
        case "fake":
            return _("The user of antifake said on {date} that this picture is AI-made.", date=date)
        case "real" if is_of_copy:
            return _(
                "The user of antifake said on {date} that a near-copy of this picture is real.",
                date=date,
            )
        case "real":
            return _("The user of antifake said on {date} that this picture is real.", date=date)
        case "unsure" if is_of_copy:
            return _(
                "The user of antifake said on {date} that they cannot tell what a near-copy"
                " of this picture is.",
                date=date,
            )
        case "unsure":
            return _(
                "The user of antifake said on {date} that they cannot tell what this picture is.",
                date=date,
            )


def _facts(answer: Answer, *, with_name: bool) -> Section:
    check = answer.entry.check
    size = ""
    if check.width:
        size = _("{width} x {height} pixels", width=check.width, height=check.height)
    shown = plain_name(check.shown_name or "")
    names = dict.fromkeys(plain_name(one.shown_name or "") for one in answer.entry.occurrences)
    others = ", ".join(one for one in names if one and one != shown)
    return _section(
        _("The picture"),
        (_("Name"), shown if with_name else ""),
        (_("Also called"), others if with_name else ""),
        (_("Kind"), ", ".join(filter(None, (check.format, size)))),
        (_("Fingerprint (SHA-256)"), check.sha256 or ""),
    )


def _how(answer: Answer) -> Section:
    entry, check = answer.entry, answer.entry.check
    latest = max(one.at for one in entry.occurrences)
    seen = ngettext(
        "{n} time, on {date}",
        "{n} times, the last time on {date}",
        entry.times_seen,
        date=_when(latest),
    )
    return _section(
        _("How it was checked"),
        (_("Checked"), _when(check.at)),
        (_("Received"), _CAME_BY[check.source]),
        (_("Website"), kept_page(check.page, "host") or ""),
        (_("Judged"), _parts(check)),
        (_("Seen"), seen if entry.times_seen > 1 else ""),
        (_("Model"), check.model),
        (_("Prompt"), check.prompt),
    )


def _parts(check: Check) -> str:
    n = len(check.parts or ())
    return ngettext("in one part", "in {n} parts", n) if n else ""


def _limits(check: Check) -> Section:
    told = (_LIMITS[0], error_rates.sentence(check), *_LIMITS[1:])
    return Section(_("What this can and cannot tell"), told)


def _section(title: str, *facts: tuple[str, str]) -> Section:
    return Section(title, facts=tuple((key, value) for key, value in facts if value))


def _picture(service: Service, name: str) -> tuple[Image.Image | None, str]:
    """Returns the best picture that there is, and what it is."""
    data = service.original(name).data
    if data is not None and (found := preview(data)):
        return found, _("The file itself, with the bytes that were judged.")
    if kept := _ours(service.kept_copy(name)):
        return kept, _("Not the file: the square of it that the model saw, which antifake kept.")
    if small := _ours(service.thumbnail(name)):
        return small, _("Not the file: a small picture of what the model saw, which antifake kept.")
    return None, _("The file is not there any more, and no picture of it was kept.")


def _ours(webp: bytes | None) -> Image.Image | None:
    """Returns a picture that antifake has written; None if a power cut has torn it."""
    if webp is None:
        return None
    try:
        return Image.open(BytesIO(webp), formats=["WEBP"]).convert("RGB")
    except (OSError, ValueError):
        return None


def _when(moment: datetime) -> str:
    there = moment.astimezone()
    zone = f"{there:%z}"
    return f"{dates.with_time(there)} (UTC{zone[:3]}:{zone[3:5]})"
