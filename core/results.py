"""The result for one file, as JSON, CSV and text. Imports no torch."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from . import verdict
from .errors import UnreadableImageError
from .i18n import _
from .parts import JudgedPart, Part, judged_parts, standing_out, where
from .verdict import Label, Verdict

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet would compute, however many quotes come before it."""


@dataclass(frozen=True)
class Result:
    """One picture of a check or a scan: a verdict, or the reason why there is none."""

    path: str
    sha256: str | None
    label: Label | None
    """real, fake or unsure; None if the picture was not judged."""
    p_fake: float | None
    word: str | None
    model: str
    prompt: str
    ms: float
    """Milliseconds spent on this picture; in a batch, its share."""
    error: str | None
    """Why there is no verdict, in a sentence."""
    code: str | None
    """The error for programs: unreadable, too_small, timeout, ..."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """The squares that were judged: `box` (left, top, width, height, in fractions of the upright
    picture), `frame` (of an animation) and their own `p_fake`."""
    note: str | None = None
    """What a person should know of what was judged, such as that rows are missing: a sentence."""

    @classmethod
    def judged(
        cls,
        path: str,
        sha256: str | None,
        found: Verdict,
        ms: float,
        parts: Sequence[Part] = (),
    ) -> Self:
        return cls(
            path,
            sha256,
            found.label,
            round(found.p_fake, 6),
            found.word,
            found.model,
            found.prompt,
            round(ms, 1),
            None,
            None,
            [judged.to_dict() for judged in judged_parts(parts, found.part_scores)],
        )

    @classmethod
    def failed(
        cls, path: str, sha256: str | None, error: UnreadableImageError, signed: Verdict, ms: float
    ) -> Self:
        """Returns the result for a picture without a verdict, with model and prompt of `signed`."""
        return cls(
            path,
            sha256,
            None,
            None,
            None,
            signed.model,
            signed.prompt,
            round(ms, 1),
            str(error),
            error.code,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        # ASCII: a name that is not valid UTF-8 survives as escapes.
        return json.dumps(self.to_dict())

    def to_csv(self) -> str:
        """Returns one line of CSV; line ends in a name are escaped, so one line stays one row."""
        return csv_line([_csv_cell(value) for value in asdict(self).values()])

    def to_text(self, *, percent: bool) -> str:
        """Returns one line for people, in which control characters of a name are escaped."""
        name = printable(self.path)
        if self.error is not None:
            return f"{_NOT_CHECKED:<22} {name}: {self.error}"
        word = self.word or ""
        if percent and self.p_fake is not None and self.label in ("fake", "real"):
            word = f"{word} ({verdict.percent(self.label, self.p_fake)} %)"
        parts = [] if self.label == "real" else self.parts
        part = standing_out([JudgedPart.from_dict(part) for part in parts])
        about = ". ".join(filter(None, (where(part) if part else "", self.note)))
        return f"{word:<22} {name}{': ' if about else ''}{about}"


_NOT_CHECKED = _("not checked")
TEXT_HEADER = "{:<22} {}".format(_("VERDICT"), _("PICTURE"))
CSV_FIELDS = [one.name for one in fields(Result)]


def csv_line(values: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()


def csv_name(path: str) -> str:
    """Returns a path as the CSV output of a scan has it in its first cell."""
    return escape_formula(printable(path))


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value)
    return csv_name(value) if isinstance(value, str) else value


def escape_formula(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula.

    >>> escape_formula("=SUM(A1)"), escape_formula("a=b")
    ("'=SUM(A1)", 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_formula(text: str) -> str:
    """Undoes `escape_formula`.

    >>> unescape_formula(escape_formula("'=1")), unescape_formula("'a'")
    ("'=1", "'a'")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def printable(text: str) -> str:
    """Returns a text without control characters, so that it cannot command a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
