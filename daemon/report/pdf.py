"""A report as PDF, with its fonts inside.

The fonts have Latin, Greek, Cyrillic and some other letters, set from left to right. Any other
letter of a name becomes a mark, and a sentence says so; the HTML report shows all of them.
"""

import unicodedata
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Circle, Drawing, Polygon, Rect
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.platypus import (
    Flowable,
    Image,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from antifake.core import AntifakeError
from antifake.core.i18n import _, language

from .content import Report, Section, Shape

PLAIN, BOLD = "antifake", "antifake-bold"
_FILES = {PLAIN: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}
MARK = "\ufffd"
REPLACED = _(
    "{mark} stands for a letter that this PDF has no sign for, or that is written from right to"
    " left. The HTML report shows it.",
    mark=MARK,
)
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_COLOURS: dict[Shape, str] = {
    "made": "#c2410c",
    "real": "#00796b",
    "unsure": "#8a5a00",
    "unchecked": "#57606a",
}
_QUIET = HexColor("#57606a")
_WIDTH = A4[0] - 40 * mm
_TALLEST = 85 * mm


def rendered(report: Report) -> bytes:
    """Returns the PDF. Raises AntifakeError if the fonts are missing."""
    _register_fonts()
    body = [*_head(report), *(part for one in report.sections for part in _section(one))]
    body += [Spacer(1, 5 * mm), _text(report.made, 8, colour=_QUIET)]
    if any(_is_replaced(one) for one in _texts(report)):
        body.append(_text(REPLACED, 8, colour=_QUIET))
    out = BytesIO()
    SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=_("Report on a picture"),
        author="antifake",
        lang=language(),
        invariant=1,  # the same report gives the same bytes
    ).build(body)
    return out.getvalue()


def _head(report: Report) -> list[Flowable]:
    colour = HexColor(_COLOURS[report.shape])
    percent = report.percent
    sure = "" if percent is None else _safe("  " + _("{percent} % sure", percent=percent))
    words = Paragraph(
        f'{_safe(report.verdict)}<font name="{PLAIN}" size="10" color="#57606a">{sure}</font>',
        _style(15, BOLD, colour),
    )
    box = Table([[_sign(report.shape), words]], colWidths=[9 * mm, _WIDTH - 9 * mm], hAlign="LEFT")
    box.setStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (0, -1), 0)])
    head: list[Flowable] = [_text(_("Report on a picture"), 18, BOLD)]
    if report.name:
        head.append(_text(report.name, 10, colour=_QUIET))
    head += [Spacer(1, 3 * mm), box, Spacer(1, 3 * mm)]
    if report.picture:
        width, height = report.size
        scale = min(_WIDTH / width, _TALLEST / height)
        jpeg = BytesIO(report.picture)
        head.append(Image(jpeg, width * scale, height * scale, hAlign="LEFT"))
    return [*head, _text(report.picture_words, 8, colour=_QUIET)]


def _section(section: Section) -> list[Flowable]:
    title = _text(section.title, 12, BOLD, before=5 * mm)
    parts: list[Flowable] = [_text(one) for one in section.sentences]
    if section.facts:
        # Of a size in which a fingerprint fits on one line.
        rows = [[_text(key, 9, colour=_QUIET), _text(value, 9)] for key, value in section.facts]
        table = Table(rows, colWidths=[39 * mm, _WIDTH - 39 * mm], hAlign="LEFT")
        table.setStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        )
        parts.append(table)
    # A title never stands alone at the foot of a page.
    return [KeepTogether([title, *parts[:1]]), *parts[1:]]


def _text(
    text: str, size: float = 9.5, font: str = PLAIN, colour: Any = None, before: float = 0
) -> Paragraph:
    return Paragraph(_safe(text), _style(size, font, colour, before))


def _style(size: float, font: str, colour: Any = None, before: float = 0) -> ParagraphStyle:
    return ParagraphStyle(
        "antifake",
        fontName=font,
        fontSize=size,
        leading=1.4 * size,
        textColor=colour or HexColor("#1b1f24"),
        spaceBefore=before,
        spaceAfter=1.2 * mm,
        splitLongWords=1,
    )


def _sign(shape: Shape) -> Drawing:
    """Returns the shape of a verdict, so that colour is never the only sign."""
    look = {"strokeColor": HexColor(_COLOURS[shape]), "strokeWidth": 1.8, "fillColor": None}
    drawing = Drawing(20, 20)
    if shape == "made":
        drawing.add(Polygon([10, 1.6, 18.4, 10, 10, 18.4, 1.6, 10], **look))
    elif shape == "unsure":
        drawing.add(Rect(2.4, 2.4, 15.2, 15.2, 2.4, 2.4, **look))
    else:
        drawing.add(Circle(10, 10, 7.8, **look))
    return drawing


def _safe(text: str) -> str:
    """Returns a text as markup that has no meaning, in letters that can be set."""
    return escape("".join(one if _can_set(one) else MARK for one in text))


def _is_replaced(text: str) -> bool:
    return not all(map(_can_set, text))


def _can_set(letter: str) -> bool:
    is_known = all(ord(letter) in pdfmetrics.getFont(one).face.charToGlyph for one in _FILES)
    return is_known and unicodedata.bidirectional(letter) not in _RIGHT_TO_LEFT


def _texts(report: Report) -> list[str]:
    facts = [value for section in report.sections for _, value in section.facts]
    return [report.name, *facts, *(one for section in report.sections for one in section.sentences)]


@cache
def _register_fonts() -> None:
    # Only its folder is needed; the rest is imported by charts.
    import matplotlib as mpl  # noqa: PLC0415

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    try:
        for name, file in _FILES.items():
            pdfmetrics.registerFont(TTFont(name, str(folder / file)))
    except (OSError, TTFError) as error:
        raise AntifakeError(
            _("A PDF cannot be made: the fonts of matplotlib are missing. Take the HTML report.")
        ) from error
