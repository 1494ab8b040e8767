"""Imports rows of a history, so many at once that others who write hardly notice.

What was written stays if it is stopped, and the same rows are known the next time. The work for a
row does not depend on how many checks, places or corrections its picture has.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from antifake.core import AntifakeError
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.i18n import _

from . import checks, corrections, evidence, occurrences
from .checks import Finding
from .ids import RANDOM_BITS, first_number
from .rows import RefusedRowError, Row, read
from .store import Store

MOST_SENTENCES = 100
_AT_ONCE = 250
"""Rows and places in one transaction: a few hundredths of a second."""
_MASK: int = 2**RANDOM_BITS - 1


class ImportStoppedError(AntifakeError):
    """The import was stopped before its end."""

    status = 503
    code = "stopped"


@dataclass
class Imported:
    """The result of an import, in rows."""

    added: int = 0
    known: int = 0
    """Rows that were in the history already."""
    n_refused: int = 0
    """Rows that were left out; the others were imported."""
    refused: list[str] = field(default_factory=list)
    """A sentence for each of the first MOST_SENTENCES rows that were left out."""

    def refuse(self, number: int, why: AntifakeError) -> None:
        self.n_refused += 1
        if len(self.refused) < MOST_SENTENCES:
            self.refused.append(_("Row {number}: {problem}", number=number, problem=why))


Numbered = tuple[int, Row]
"""A row and its place in the file, from 1 on."""


def import_all(
    store: Store,
    rows: Iterable[tuple[int, dict[str, Any] | None]],
    now: datetime,
    is_unwanted: Callable[[], bool],
) -> Imported:
    """Imports what can be read, and reports the rest. `is_unwanted` is asked every few rows.

    Raises ImportStoppedError if it says so, and StoreError.
    """
    done = Imported()
    for some in _batches(rows, now, done):
        if is_unwanted():
            raise ImportStoppedError(
                _("The import was stopped. What was imported stays; import again to go on.")
            )
        if some:
            _import(store, some, done)
    return done


def _batches(
    rows: Iterable[tuple[int, dict[str, Any] | None]], now: datetime, done: Imported
) -> Iterator[list[Numbered]]:
    """Yields what one transaction can take. Rows are parsed outside of it."""
    some: list[Numbered] = []
    weight = 0
    for number, values in rows:
        weight += 1
        try:
            row = read(values, now)
            some.append((number, row))
            weight += len(row.occurrences)
        except AntifakeError as error:
            done.refuse(number, error)
        if weight >= _AT_ONCE:
            yield some
            some, weight = [], 0
    yield some


def _import(store: Store, some: list[Numbered], done: Imported) -> None:
    with store.writing() as session:
        new = _new_checks(session, some)
        checks.insert_many(session, list(new.added.items()))
        _restore_places(session, new)
        _keep_evidence(session, new.rows)
        _correct(session, new.rows)
    # Counted once it is written.
    done.added += len(new.added)
    done.known += len(new.rows) - len(new.added)
    for number, error in new.refused:
        done.refuse(number, error)


@dataclass
class _New:
    """Which rows are accepted, and which of them are new checks, by their number."""

    rows: list[Row] = field(default_factory=list)
    added: dict[int, Finding] = field(default_factory=dict)
    refused: list[tuple[int, RefusedRowError]] = field(default_factory=list)


def _new_checks(session: Session, some: list[Numbered]) -> _New:
    new, rows = _New(), [row for _number, row in some]
    there = checks.findings(session, [_wanted(row) for row in rows])
    known = _known(session, [row for row in rows if row.number is None])
    for place, row in some:
        number: int | None = _wanted(row)
        if row.number is None:
            number = None if row.finding in known else _free_number(session, row, there)
            known.add(row.finding)
        elif there.get(row.number, row.finding) != row.finding:
            new.refused.append((place, RefusedRowError(_("another picture has its name."))))
            continue
        if number is not None and number not in there:
            there[number] = new.added[number] = row.finding
        new.rows.append(row)
    return new


def _wanted(row: Row) -> int:
    """Returns its number; without an id that of its time, with an ending to know it again by."""
    return first_number(row.at) | _ending(row.finding) if row.number is None else row.number


def _known(session: Session, unnamed: list[Row]) -> set[Finding]:
    """Returns the findings in the history that rows without an id may repeat.

    These are the latest checks of their pictures and, for rows that do not say when they were
    made, what was imported from such rows before. Others have a number to look for.
    """
    pictures = {row.finding.sha256 for row in unnamed if row.finding.sha256 is not None}
    known = checks.latest_findings(session, pictures, occurrences.MOST)
    undated = [row.finding for row in unnamed if not row.is_dated]
    if undated:
        of = {one.sha256 for one in undated if one.sha256 is not None}
        known |= checks.with_endings(session, of, set(map(_ending, undated)), _MASK)
    return known


def _free_number(session: Session, row: Row, there: dict[int, Finding]) -> int | None:
    """Returns a number for a row without an id, or None if it is in the history."""
    number = _wanted(row)
    while (found := there.get(number)) is not None:
        if found == row.finding:
            return None
        number += _MASK + 1
        there |= checks.findings(session, [number]) if number not in there else {}
    return number


def _ending(finding: Finding) -> int:
    """Returns the last bits of the number of a finding that comes without one."""
    data = json.dumps(astuple(finding)).encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:4]) & _MASK


def _restore_places(session: Session, new: _New) -> None:
    places: dict[str, list[occurrences.Occurrence]] = {}
    for row in new.rows:
        if row.finding.sha256 is not None and row.occurrences:
            places.setdefault(row.finding.sha256, []).extend(row.occurrences)
    renamed = occurrences.restore(session, places)
    added = {finding.sha256 for finding in new.added.values() if finding.sha256 is not None}
    for sha256 in sorted(renamed | occurrences.are_noted(session, added)):
        occurrences.renew_names(session, sha256)


def _keep_evidence(session: Session, rows: list[Row]) -> None:
    said: dict[str, tuple[FileEvidence, datetime]] = {}
    for row in rows:
        if row.file is not None and row.finding.sha256 is not None:
            said.setdefault(row.finding.sha256, (row.file, row.at))
    for sha256 in said.keys() - evidence.read_of(session, said):
        evidence.keep(session, sha256, *said[sha256])


def _correct(session: Session, rows: list[Row]) -> None:
    said = [
        (row.finding.sha256, row.correction, row.said_at)
        for row in rows
        if row.finding.sha256 is not None and row.correction is not None and row.said_at is not None
    ]
    new, last = [], dict[str, datetime | None]()
    for sha256, correction, said_at in said:
        if sha256 not in last:
            last[sha256] = corrections.last_change(session, sha256)
        if (ours := last[sha256]) is None or ours < said_at:
            new.append((sha256, correction, said_at))
            last[sha256] = said_at
    corrections.correct_each(session, new)
