"""The result for one file, as JSON, CSV and text. Imports no torch."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from . import verdict
from .errors import UnreadableImageError
from .evidence.card import Card
from .evidence.file_evidence import SAYS_AI
from .evidence.serialize import to_dict as evidence_of
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
    headline: str | None = None
    """What a person reads first: what the file says that AI made it, or the model's `word`."""
    basis: str | None = None
    """What the headline rests on: you, seen, signed, marked, model or none."""
    evidence: dict[str, Any] | None = None
    """Everything known of the picture, each beside the other, as evidence.serialize has it."""

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
        cls,
        path: str,
        sha256: str | None,
        error: UnreadableImageError,
        ms: float,
    ) -> Self:
        """Returns the result for a picture that cannot be judged."""
        return cls(
            path,
            sha256,
            None,
            None,
            None,
            "",
            "",
            round(ms, 1),
            str(error),
            error.code,
        )

    @classmethod
    def unjudged(cls, path: str, sha256: str | None, ms: float) -> Self:
        """Returns the result for a picture that no model was asked about."""
        return cls(path, sha256, None, None, None, "", "", round(ms, 1), None, None)

    def with_evidence(self, card: Card) -> Self:
        """Returns the same with all that is known of the picture."""
        return replace(self, headline=card.headline, basis=card.basis, evidence=evidence_of(card))

    @property
    def is_declared_or_marked(self) -> bool:
        """Whether the file itself says that AI made it."""
        return self.basis in SAYS_AI

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        # ASCII: a name that is not valid UTF-8 survives as escapes.
        return json.dumps(self.to_dict())

    def to_csv(self) -> str:
        """Returns one line of CSV; line ends in a name are escaped, so one line stays one row."""
        values = asdict(self)
        return csv_line([_csv_cell(values[name]) for name in CSV_FIELDS])

    def to_text(self, *, percent: bool, whole_card: bool = False) -> str:
        """Returns a line for people, in which control characters of a name are escaped.

        Where the file says something, a second line says what; with `whole_card` there are more,
        with all that is known.
        """
        lines = [f"{self._words(percent=percent):<22} {self._about()}"]
        lines += [f"{'':<22} {text}" for text in self._said(whole_card=whole_card)]
        return "\n".join(map(printable, lines))

    def _words(self, *, percent: bool) -> str:
        if self.is_declared_or_marked:
            return self.headline or ""
        if self.error is not None:
            return _NOT_CHECKED
        return (self._sure_word() if percent else self.word) or self.headline or ""

    def _sure_word(self) -> str | None:
        """Returns the words of the model, with how sure it is."""
        if self.p_fake is None or self.label not in ("fake", "real"):
            return self.word
        return f"{self.word} ({verdict.percent(self.label, self.p_fake)} %)"

    def _about(self) -> str:
        """Returns the name, and what a person should know of what was judged."""
        name = self.path
        if self.error is not None:
            return f"{name}: {self.error}"
        part = standing_out([JudgedPart.from_dict(part) for part in self.parts], self.label)
        about = ". ".join(filter(None, (where(part) if part else "", self.note)))
        return f"{name}{': ' if about else ''}{about}"

    def _said(self, *, whole_card: bool) -> list[str]:
        """Returns what the file says of itself, and of the model what the first line leaves out."""
        if self.evidence is None:
            return []
        if not whole_card:
            return [self.evidence["summary"]] if self.evidence["summary"] else []
        said = [one["text"] for one in self.evidence["sentences"]]
        if self.is_declared_or_marked and self.word:
            said.insert(0, _("The model: {word}.", word=self._sure_word()))
        return said


_NOT_CHECKED = _("not checked")
TEXT_HEADER = "{:<22} {}".format(_("VERDICT"), _("PICTURE"))
CSV_FIELDS = [one.name for one in fields(Result) if one.name != "evidence"]


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
