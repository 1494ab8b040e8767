"""What a report says, for readers who know nothing of antifake: an editor, a head teacher."""

from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from typing import Literal

from PIL import Image

from antifake.core.i18n import ngettext
from antifake.core.preview import jpeg, preview
from antifake.daemon.service import Answer, Service
from antifake.daemon.service.checks import kept_page, plain_name
from antifake.daemon.store.checks import Check

from . import error_rates

Shape = Literal["made", "real", "unsure", "unchecked"]

_SHAPES: dict[str | None, Shape] = {"fake": "made", "real": "real", "unsure": "unsure"}
_CAME_BY = {
    "watch": "found in a watched folder",
    "extension": "checked in a browser",
    "tray": "checked from the antifake icon",
    "cli": "checked by a command",
    "api": "sent by another program",
    "page": "given to the antifake page",
    "import": "taken over from another history",
}
_SAID = {
    "fake": "that {} is AI-made",
    "real": "that {} is real",
    "unsure": "that it cannot be told of {}",
}
_NUMBER = (
    "The number says how sure the model is of its verdict, from 1 to 99 %. It does not say how much"
    " of the picture is AI-made, and it is an estimate, never a certainty."
)
_LIMITS = (
    "This is no proof. Do not accuse anybody because of it; ask where the picture comes from, and"
    " look for its first publication.",
    "The detector looks at the pixels only. It does not know who made the picture, whether a"
    " caption is true, or whether a real photograph shows what it is said to show.",
    "It sees squares of the picture, each at 224 x 224 pixels, so fine grain and small edited"
    " places may escape it.",
    "It is weak on generators that it has never seen. “Likely real” means that nothing was found,"
    " no more. Illustrations, comics and heavily edited photographs can cause false alarms.",
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
        percent=found.percent,
        shape=_SHAPES.get(found.label, "unchecked"),
        picture=jpeg(picture, _QUALITY) if picture else None,
        size=picture.size if picture else (0, 0),
        picture_words=words,
        sections=tuple(
            one
            for one in (
                _verdict(found),
                _person(answer),
                _facts(answer, with_name=with_name),
                _how(answer),
                _limits(answer.entry.check),
            )
            if one
        ),
        made=f"Made on {_when(now)} by antifake {version('antifake')}.",
    )


def _verdict(found: Answer) -> Section:
    number = () if found.percent is None else (_NUMBER,)
    return Section("What the verdict means", (*found.explanation, *number))


def _person(answer: Answer) -> Section | None:
    said = answer.correction
    if said is None:
        return None
    what = "a near-copy of this picture" if answer.entry.correction is None else "this picture"
    return Section(
        "What a person says",
        (f"The user of this antifake said on {_when(said.at)} {_SAID[said.label].format(what)}.",),
    )


def _facts(answer: Answer, *, with_name: bool) -> Section:
    check = answer.entry.check
    size = f"{check.width} x {check.height} pixels" if check.width else ""
    shown = plain_name(check.shown_name or "")
    names = dict.fromkeys(plain_name(one.shown_name or "") for one in answer.entry.occurrences)
    others = ", ".join(one for one in names if one and one != shown)
    return _section(
        "The picture",
        ("Name", shown if with_name else ""),
        ("Also called", others if with_name else ""),
        ("Kind", ", ".join(filter(None, (check.format, size)))),
        ("Fingerprint (SHA-256)", check.sha256 or ""),
    )


def _how(answer: Answer) -> Section:
    entry, check = answer.entry, answer.entry.check
    latest = max(one.at for one in entry.occurrences)
    seen = f"{entry.times_seen} times, the last time on {_when(latest)}"
    return _section(
        "How it was checked",
        ("Checked", _when(check.at)),
        ("Received", _CAME_BY[check.source]),
        ("Website", kept_page(check.page, "host") or ""),
        ("Judged", _parts(check)),
        ("Seen", seen if entry.times_seen > 1 else ""),
        ("Model", check.model),
        ("Prompt", check.prompt),
    )


def _parts(check: Check) -> str:
    n = len(check.parts or ())
    return ngettext("in one part", "in {n} parts", n) if n else ""


def _limits(check: Check) -> Section:
    told = (_LIMITS[0], error_rates.sentence(check), *_LIMITS[1:])
    return Section("What this can and cannot tell", told)


def _section(title: str, *facts: tuple[str, str]) -> Section:
    return Section(title, facts=tuple((key, value) for key, value in facts if value))


def _picture(service: Service, name: str) -> tuple[Image.Image | None, str]:
    """Returns the best picture that there is, and what it is."""
    data = service.original(name).data
    if data is not None and (found := preview(data)):
        return found, "The file itself, with the bytes that were judged."
    if kept := _ours(service.kept_copy(name)):
        return kept, "Not the file: the square of it that the model saw, which antifake kept."
    if small := _ours(service.thumbnail(name)):
        return small, "Not the file: a small picture of what the model saw, which antifake kept."
    return None, "The file is not there any more, and no picture of it was kept."


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
    return f"{there.day} {there:%B %Y, %H:%M} (UTC{zone[:3]}:{zone[3:5]})"
