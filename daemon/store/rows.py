"""A row of an exported history: its columns, and which values are accepted."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast, get_args

from antifake.core import AntifakeError, Label
from antifake.core.evidence.file_evidence import VERSION, FileEvidence
from antifake.core.i18n import _
from antifake.core.parts import MAX_PARTS, JudgedPart
from antifake.core.results import escape_formula, unescape_formula

from .checks import Finding
from .columns import as_it_was, storable
from .corrections import NewCorrection
from .history import Entry
from .ids import time_of, to_number
from .occurrences import MOST, Occurrence
from .tables import Source

FIELDS = [
    "id",
    "at",
    *(one.name for one in fields(Finding) if one.name != "note"),
    "said",
    "said_at",
    "said_at_door",
    "note",
    "occurrences",
    "picture_note",
    "headline",
    "basis",
]
"""`parts` and `occurrences` are lists of objects, as JSON in a cell of CSV. `note` is the user's,
`picture_note` that of the finding. `headline` and `basis` are for people: they follow from the
others."""
ONLY_IN_JSON = ["evidence"]
"""What the file says of itself, as FileEvidence.to_dict."""


_TOO_LATE = 2100
"""Times from this year on are refused: the numbers of checks have room until 2109."""


class RefusedRowError(AntifakeError):
    """Why a row cannot be imported, as the end of a sentence."""


@dataclass(frozen=True)
class Row:
    """A parsed row."""

    number: int | None
    """Of the check; None if another program made the row, so that it has no id yet."""
    at: datetime
    finding: Finding
    correction: NewCorrection | None
    said_at: datetime | None
    occurrences: tuple[Occurrence, ...] = ()
    file: FileEvidence | None = None
    """What the file says of itself, if as much was looked for as it is now."""
    is_dated: bool = True
    """Whether it says when it was made."""


def to_values(entry: Entry, seen_again: Iterable[Occurrence] = ()) -> dict[str, Any]:
    check, correction = entry.check, entry.correction
    # Not asdict: it copies in depth, which takes a good part of an export.
    values = vars(check) | {
        "at": check.at.isoformat(timespec="milliseconds"),
        "phash": None if check.phash is None else f"{check.phash:016x}",
        "parts": check.parts and [one.to_dict() for one in check.parts],
        "said": correction and correction.label,
        "said_at": correction and correction.at.isoformat(timespec="milliseconds"),
        "said_at_door": correction and correction.source,
        "note": correction and correction.note,
        "occurrences": [_occurrence(seen) for seen in seen_again] or None,
        "picture_note": check.note,
        "headline": entry.card.headline,
        "basis": entry.card.basis,
        "evidence": entry.file and entry.file.to_dict(),
    }
    return {name: values[name] for name in [*FIELDS, *ONLY_IN_JSON]}


def _occurrence(seen: Occurrence) -> dict[str, Any]:
    return vars(seen) | {"at": seen.at.isoformat(timespec="milliseconds")}


def to_cell(value: Any) -> str:
    """Returns a CSV cell that no spreadsheet interprets as a formula."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = json.dumps(value)
    text = storable(value) if isinstance(value, str) else repr(value)
    return escape_formula(text)


def from_cell(text: str) -> str | None:
    return as_it_was(unescape_formula(text)) or None


def read(values: dict[str, Any] | None, now: datetime) -> Row:
    """Parses a row; one without a time gets `now`. Raises RefusedRowError."""
    if values is None:
        raise RefusedRowError(_("it is not an object of JSON."))
    source = cast(Source | None, _one_of(values, "source", Source))
    finding = Finding(
        source=source or "import",
        label=cast(Label | None, _one_of(values, "label", Label)),
        p_fake=_float(values, "p_fake"),
        model=_text(values, "model") or "",
        prompt=_text(values, "prompt") or "",
        sha256=_hex(values, "sha256", 64),
        phash=None if (phash := _hex(values, "phash", 16)) is None else int(phash, 16),
        width=_int(values, "width"),
        height=_int(values, "height"),
        format=_text(values, "format"),
        path=_text(values, "path"),
        page=_text(values, "page"),
        name=_text(values, "name"),
        ms=_float(values, "ms") or 0.0,
        error=_text(values, "error"),
        code=_text(values, "code"),
        parts=_parts(values),
        note=_text(values, "picture_note"),
    )
    if (finding.label is None) != (finding.p_fake is None) or not 0 <= (finding.p_fake or 0) <= 1:
        raise RefusedRowError(_("a label and a p_fake from 0 to 1 belong together."))
    name = _text(values, "id")
    if name is None and finding.sha256 is None:
        raise RefusedRowError(_("it has neither an id nor a sha256."))
    number = None if name is None else to_number(name)
    at = time_of(number) if number is not None else _time(values, "at")
    if number is None and at is not None and at.year >= _TOO_LATE:
        raise RefusedRowError(_("at must be before the year {year}.", year=_TOO_LATE))
    seen_again = () if finding.sha256 is None else _occurrences(values)
    said_at, file = _time(values, "said_at"), _file_evidence(values)
    correction, is_dated = _correction(values), at is not None
    return Row(number, at or now, finding, correction, said_at, seen_again, file, is_dated=is_dated)


def _file_evidence(values: dict[str, Any]) -> FileEvidence | None:
    found = values.get("evidence")
    if found is None:
        return None
    try:
        file = FileEvidence.from_dict(found)
        return file if found["version"] >= VERSION else None
    except (ValueError, TypeError, LookupError, OverflowError):
        raise RefusedRowError(_("evidence must be as an export writes it.")) from None


def _parts(values: dict[str, Any]) -> tuple[JudgedPart, ...] | None:
    found = _list(values, "parts")
    if found is None:
        return None
    try:
        return tuple(map(JudgedPart.from_dict, found[:MAX_PARTS]))
    except (ValueError, TypeError, LookupError):
        raise RefusedRowError(_("a part must have a box, a frame and a p_fake.")) from None


def _occurrences(values: dict[str, Any]) -> tuple[Occurrence, ...]:
    return tuple(map(_seen, (_list(values, "occurrences") or [])[:MOST]))


def _list(values: dict[str, Any], name: str) -> list[dict[str, Any]] | None:
    found = values.get(name)
    if isinstance(found, str):  # a cell of CSV
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            found = False
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RefusedRowError(_("{name} must be a list of objects.", name=name))
    return found


def _seen(values: dict[str, Any]) -> Occurrence:
    at, times = _time(values, "at"), _int(values, "times")
    if at is None:
        raise RefusedRowError(_("an occurrence must say when it was."))
    return Occurrence(
        at=at,
        source=cast(Source | None, _one_of(values, "source", Source)) or "import",
        path=_text(values, "path"),
        page=_text(values, "page"),
        name=_text(values, "name"),
        times=max(1, times or 1),
    )


def _correction(values: dict[str, Any]) -> NewCorrection | None:
    label = cast(Label | None, _one_of(values, "said", Label))
    source = cast(Source | None, _one_of(values, "said_at_door", Source))
    return NewCorrection(label, source or "import", _text(values, "note") or "") if label else None


def _text(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise RefusedRowError(_("{name} must be text.", name=name))
    return value


def _one_of(values: dict[str, Any], name: str, literal: Any) -> str | None:
    value, known = _text(values, name), get_args(literal)
    if value is not None and value not in known:
        raise RefusedRowError(
            _("{name} must be one of {values}.", name=name, values=", ".join(known))
        )
    return value


def _hex(values: dict[str, Any], name: str, digits: int) -> str | None:
    value = _text(values, name)
    if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
        raise RefusedRowError(_("{name} must be {digits} hex digits.", name=name, digits=digits))
    return value


def _int(values: dict[str, Any], name: str) -> int | None:
    number = _float(values, name)
    if number is not None and not number.is_integer():
        raise RefusedRowError(_("{name} must be a whole number.", name=name))
    return None if number is None else int(number)


def _float(values: dict[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RefusedRowError(_("{name} must be a number.", name=name)) from None
    # This also refuses NaN, and what no column can hold.
    if isinstance(value, bool) or not 0 <= number < 2**31:
        raise RefusedRowError(_("{name} must be a number from 0 on.", name=name))
    return number


def _time(values: dict[str, Any], name: str) -> datetime | None:
    text = _text(values, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedRowError(
            _("{name} must be a time like 2026-01-31T12:00:00+00:00.", name=name)
        ) from None
    if moment.tzinfo is None:
        raise RefusedRowError(_("{name} must say its time zone.", name=name))
    return moment
