"""Exports the history to a file and imports it again.

An exported file that is imported gives the same rows; imported twice, it adds them once. The file
holds the last correction of each picture. If there are two, the later one counts.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import IO, Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from antifake.core import AntifakeError
from antifake.core.errors import UsageError
from antifake.core.i18n import _

from . import checks, evidence, history, occurrences
from .checks import Finding
from .corrections import correct, last_change
from .database import in_parts
from .rows import FIELDS, RefusedRowError, Row, from_cell, read, to_cell, to_values
from .store import Store
from .tables import CheckRow

Form = Literal["csv", "jsonl"]


@dataclass
class Imported:
    """The result of an import, in rows."""

    added: int = 0
    known: int = 0
    """Rows that were in the history already."""
    refused: list[str] = field(default_factory=list)
    """A sentence for each row that was left out; the others were imported."""


def export(session: Session, out: IO[str], form: Form, wanted: history.Filter | None = None) -> int:
    """Writes the matching rows, newest first. Returns their number.

    `out` must be opened as UTF-8 with newline="". Names that are not valid text are escaped.
    """
    write = _csv_writer(out) if form == "csv" else lambda row: out.write(json.dumps(row) + "\n")
    n, after = 0, None
    while True:
        page = history.page(session, wanted, after, history.MAX_PAGE)
        pictures = {entry.check.sha256 for entry in page.entries if entry.check.sha256}
        seen_again = occurrences.noted(session, pictures)
        for entry in page.entries:
            write(to_values(entry, seen_again.get(entry.check.sha256 or "", ())))
        n += len(page.entries)
        if (after := page.next) is None:
            return n


def _csv_writer(out: IO[str]) -> Callable[[dict[str, Any]], object]:
    # Keep its line terminator, \r\n: it also decides which cells are quoted.
    writer = csv.DictWriter(out, FIELDS)
    writer.writeheader()
    return lambda row: writer.writerow({name: to_cell(row[name]) for name in FIELDS})


def import_rows(store: Store, lines: Iterable[str], form: Form, now: datetime) -> Imported:
    """Imports what `export` wrote, or other rows with such columns. Open files with newline="".

    Invalid rows are left out and reported. Raises UsageError if the file is not a history at all.
    """
    done = Imported()
    rows = enumerate(_csv_rows(lines) if form == "csv" else _json_rows(lines), start=1)
    for some in in_parts(rows):
        with store.writing() as session:
            for number, values in some:
                try:
                    _take(session, read(values, now), done)
                except AntifakeError as error:
                    done.refused.append(_("Row {number}: {problem}", number=number, problem=error))
    return done


def _csv_rows(lines: Iterable[str]) -> Iterator[dict[str, Any] | None]:
    reader = csv.DictReader(lines)
    try:
        if not {"label", "sha256"} <= set(reader.fieldnames or ()):
            raise UsageError(_("This is not a history: its first line must name the columns."))
        for row in reader:
            yield {name: from_cell(row.get(name) or "") for name in FIELDS}
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(_("This is not CSV that can be read: {reason}.", reason=error)) from error


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any] | None]:
    for line in filter(str.strip, lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else None


def _take(session: Session, row: Row, done: Imported) -> None:
    if row.number is None:
        is_new = not _is_known(session, row.finding)
        if is_new:
            checks.add(session, row.finding, row.at)
    else:
        is_new = _add_named(session, row.number, row.finding)
    done.added += is_new
    done.known += not is_new
    _import_occurrences(session, row)
    if row.file is not None and row.finding.sha256 is not None:
        evidence.keep(session, row.finding.sha256, row.file, row.at)
    _import_correction(session, row)


def _import_occurrences(session: Session, row: Row) -> None:
    sha256 = row.finding.sha256
    if sha256 is not None:
        occurrences.restore(session, sha256, row.occurrences)
        occurrences.include_names(session, sha256)


def _add_named(session: Session, number: int, finding: Finding) -> bool:
    there = session.get(CheckRow, number)
    if there is not None and not _is_same(checks.of_row(there), finding):
        raise RefusedRowError(_("another picture has its name."))
    if there is None:
        checks.insert(session, finding, number)
    return there is None


def _is_known(session: Session, finding: Finding) -> bool:
    rows = session.scalars(select(CheckRow).where(CheckRow.sha256 == finding.sha256))
    return any(_is_same(checks.of_row(row), finding) for row in rows)


def _is_same(check: Finding, finding: Finding) -> bool:
    return all(getattr(check, one.name) == getattr(finding, one.name) for one in fields(Finding))


def _import_correction(session: Session, row: Row) -> None:
    sha256 = row.finding.sha256
    if row.correction is None or row.said_at is None or sha256 is None:
        return
    ours = last_change(session, sha256)
    if ours is None or ours < row.said_at:
        correct(session, [sha256], row.correction, row.said_at)
