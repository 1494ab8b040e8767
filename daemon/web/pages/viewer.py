"""A picture as large as it can be shown: the file itself, else what was kept of it.

The file is looked for where the history says that it is (service.originals). Its bytes are sent as
a picture that may do nothing, and only in formats that browsers show as pictures. Of others a JPEG
is made (service.renditions).
"""

from dataclasses import dataclass
from typing import Literal

from flask import Response, jsonify, url_for

from antifake.core.i18n import _
from antifake.core.parts import Part, looks_made, places, standing_out
from antifake.daemon.service import Answer
from antifake.daemon.service.originals import Trouble, is_named_like_a_picture
from antifake.daemon.service.renditions import LONGEST
from antifake.daemon.store import NotThereError
from antifake.daemon.web.context import service
from antifake.daemon.web.events import hung_up_check

from . import body, wording
from .render import piece, routes

SHOWN_BY_BROWSERS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}
WEBP = SHOWN_BY_BROWSERS["WEBP"]
LARGE_THUMBNAIL = 256
"""Pixels of its longer side. Older ones are smaller, and only the middle of the picture."""
_CSP = "sandbox; default-src 'none'; frame-ancestors 'none'"
_TROUBLE: dict[Trouble, str] = {
    "unnamed": _("antifake does not know where the file of this picture is."),
    "gone": _("The file is not where it was."),
    "no_access": _("The file cannot be read."),
    "too_large": _("The file is too large to show."),
    "changed": _("The file has changed since it was checked."),
}


@dataclass(frozen=True)
class Mark:
    """A part of the picture that was judged."""

    part: Part
    looks_made: bool
    is_decisive: bool
    """It looks AI-made, as the picture does because of it, and most of the picture does not."""
    words: str
    """Where it is and how it was judged: "on the right 83 %"."""


def marks_of(answer: Answer) -> tuple[Mark, ...]:
    """Returns the judged parts, from left to right or top to bottom, the first frame first."""
    check = answer.entry.check
    decisive = standing_out(check.parts or (), check.label)
    ordered = sorted(
        check.parts or (),
        key=lambda one: (one.part.frame, one.part.box.left, one.part.box.top),
    )
    return tuple(
        Mark(
            one.part,
            looks_made(one, check.label, check.p_fake),
            one.part == decisive,
            _("{place} {percent} %", place=place, percent=round(100 * one.p_fake)),
        )
        for one, place in zip(ordered, places([one.part for one in ordered]), strict=True)
    )


Kept = Literal["copy", "thumbnail", "none"]


@dataclass(frozen=True)
class View:
    """What is shown of a picture."""

    kind: Kept | Literal["original"]
    address: str
    words: str
    """What it is, in a sentence."""
    has_file: bool = False
    """Whether the file is there, unchanged."""
    can_be_opened: bool = False
    marks: tuple[Mark, ...] = ()
    """The parts that were judged, where all of the picture is shown; none if it is one part."""


def view_of(answer: Answer) -> View:
    """Returns the best that can be shown of a picture."""
    found = service().original(answer.id, with_data=False)
    has_file = found.path is not None
    can_be_opened = found.path is not None and is_named_like_a_picture(found.path)
    kind = answer.entry.check.format
    if has_file and kind:
        marks = tuple(mark for mark in marks_of(answer) if mark.part.frame == 0)
        return View(
            "original",
            _address("original", answer),
            _original_words(answer, kind),
            has_file,
            can_be_opened,
            marks if len(marks) > 1 else (),
        )
    what, address, sentence = _kept(answer)
    why = _TROUBLE[found.trouble] if found.trouble else _("antifake could not read this file.")
    return View(what, address, f"{why} {sentence}", has_file, can_be_opened)


def _original_words(answer: Answer, kind: str) -> str:
    if kind in SHOWN_BY_BROWSERS:
        return _("The original file.")
    check = answer.entry.check
    if max(check.width or 0, check.height or 0) <= LONGEST:
        return _(
            "The original, as JPEG: browsers cannot show {format} files.",
            format=wording.inert(kind),
        )
    return _(
        "The original, as JPEG and smaller (at most {pixels} pixels): browsers cannot show {format}"
        " files.",
        pixels=LONGEST,
        format=wording.inert(kind),
    )


def _kept(answer: Answer) -> tuple[Kept, str, str]:
    """Returns what was kept that shows the most of a picture, and a sentence on it."""
    thumbnail: tuple[Kept, str, str] = (
        "thumbnail",
        _address("thumb", answer),
        _("This is the small picture that was kept of it."),
    )
    size = answer.entry.thumbnail_size
    if size and max(size) >= LARGE_THUMBNAIL:  # not only the middle
        return thumbnail
    if service().kept_copy(answer.id) is not None:
        words = _("This is the middle of it, kept as the model saw it.")
        return "copy", _address("kept_copy", answer), words
    if answer.entry.has_thumbnail:
        return thumbnail
    return "none", "", _("No picture of it was kept.")


@routes.get("/original/<name>")
def original(name: str) -> Response:
    found, kind = service().original(name), service().get(name).entry.check.format
    if found.data is None:
        raise NotThereError(_TROUBLE[found.trouble or "gone"])
    if kind in SHOWN_BY_BROWSERS:
        return image(found.data, SHOWN_BY_BROWSERS[kind])
    made = service().rendition(name, found, hung_up_check())
    if made is None:
        raise NotThereError(_("This file cannot be shown here."))
    return image(made, SHOWN_BY_BROWSERS["JPEG"])


@routes.get("/copy/<name>")
def kept_copy(name: str) -> Response:
    found = service().kept_copy(name)
    if found is None:
        raise NotThereError(_("No copy of it is kept."))
    return image(found, WEBP)


@routes.get("/thumb/<name>")
def thumb(name: str) -> Response:
    found = service().thumbnail(name)
    if found is None:
        raise NotThereError(_("No small picture of it is kept."))
    return image(found, WEBP)


@routes.get("/pieces/view/<name>")
def view_piece(name: str) -> Response:
    answer = service().get(name)
    return piece("_view.html", one=answer, view=view_of(answer))


@routes.post("/changes/open-file")
def open_file() -> Response:
    service().open_file(body.value("id", str))
    return jsonify(said=_("Opening the file on this computer."))


@routes.post("/changes/show-in-folder")
def show_in_folder() -> Response:
    service().show_in_folder(body.value("id", str))
    return jsonify(said=_("Opening the folder on this computer."))


def image(data: bytes, kind: str) -> Response:
    """Returns bytes as a picture, in which no browser looks for anything else."""
    response = Response(data, content_type=kind)
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["Content-Disposition"] = "inline; filename=picture"
    return response


def report(answer: Answer) -> str:
    """Returns the verdict as a text to send to others. It tells no path."""
    check = answer.entry.check
    size = wording.size_of(answer)
    facts = [
        (_("Picture"), wording.name_of(answer)),
        (_("Verdict"), answer.summary),
        (_("Kind"), ", ".join(filter(None, [wording.inert(check.format), size]))),
        (_("Checked"), wording.when(check.at)),
        (_("Model"), wording.inert(check.model)),
        (_("Prompt"), wording.inert(check.prompt)),
        ("SHA-256", check.sha256 or ""),
    ]
    lines = [f"{name}: {value}" for name, value in facts if value]
    return "\n".join([*lines, "", *map(wording.inert, answer.explanation)])


def _address(view: str, answer: Answer) -> str:
    return url_for(f"pages.{view}", name=answer.id)
