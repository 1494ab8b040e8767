"""Exports the history to a file and imports it again.

An exported file that is imported gives the same rows; imported twice, it adds them once. The file
holds the last correction of each picture. If there are two, the later one counts.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal

from antifake.core.errors import UsageError
from antifake.core.i18n import _

from . import history, occurrences
from .importing import Imported, import_all
from .rows import FIELDS, from_cell, to_cell, to_values
from .store import Store

Form = Literal["csv", "jsonl"]
_AT_ONCE = 100
"""Rows of an export that are read and written at once."""


def export(store: Store, form: Form, wanted: history.Filter | None = None) -> Iterator[str]:
    """Yields the matching rows, newest first, some at a time. Raises StoreError.

    Each part is read by itself, so nobody waits for a slow reader: checks that are added meanwhile
    are not in it, and what is forgotten meanwhile is not either. Write it as UTF-8, and keep its
    line ends. Names that are not valid text are escaped.
    """
    after = None
    if form == "csv":
        yield _csv([dict(zip(FIELDS, FIELDS, strict=True))])
    while True:
        with store.reading() as session:
            page = history.page(session, wanted, after, _AT_ONCE)
            pictures = {entry.check.sha256 for entry in page.entries if entry.check.sha256}
            seen_again = occurrences.noted(session, pictures)
        rows = [
            to_values(entry, seen_again.get(entry.check.sha256 or "", ())) for entry in page.entries
        ]
        yield _csv(rows) if form == "csv" else "".join(f"{json.dumps(row)}\n" for row in rows)
        if (after := page.next) is None:
            return


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    # Keep its line terminator, \r\n: it also decides which cells are quoted.
    writer = csv.writer(out)
    writer.writerows([to_cell(row[name]) for name in FIELDS] for row in rows)
    return out.getvalue()


def import_rows(  # noqa: PLR0913 - what is imported, and for whom
    store: Store,
    lines: Iterable[str],
    form: Form,
    now: datetime,
    *,
    before: int = 0,
    is_unwanted: Callable[[], bool] = lambda: False,
) -> Imported:
    """Imports what `export` wrote, or other rows with such columns. Open files with newline="".

    Invalid rows are left out and reported. `before`: so many rows of the file came earlier. See
    import_all. Raises UsageError if the file is not a history at all.
    """
    rows = enumerate(_csv_rows(lines) if form == "csv" else _json_rows(lines), start=before + 1)
    return import_all(store, rows, now, is_unwanted)


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
