"""The history, asked of the daemon where one runs, and else of the log itself.

Without a daemon its own verbs run in this process, so both ways do and answer the same: checks
as the API has them. Neither needs to know whether another program writes meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote, urlencode

from antifake.core import Label
from antifake.core.errors import UsageError
from antifake.core.terminal import say
from antifake.daemon import client
from antifake.daemon.client import Client, DaemonError
from antifake.daemon.places import Places

Check = dict[str, Any]
"""A check object of the API."""
Query = dict[str, str]
"""What is wanted of the history, as GET /checks takes it."""
MOST = 500
_LONG_S = 3600.0
_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class Book(Protocol):
    """Every method raises AntifakeError."""

    def page(self, query: Query, limit: int) -> tuple[list[Check], str | None]: ...
    def show(self, name: str) -> Check: ...
    def forget(self, names: Sequence[str]) -> int: ...
    def correct(self, names: Sequence[str], label: Label, note: str) -> list[Check]: ...
    def undo(self, names: Sequence[str]) -> list[Check]: ...
    def export(self, out: IO[bytes], form: str, query: Query) -> None: ...
    def take_in(self, file: Path, form: str) -> dict[str, Any]: ...


@contextmanager
def opened(where: Places) -> Iterator[Book]:
    asked = client.find(where)
    if asked is not None:
        yield OverHttp(asked)
        return
    from .offline import at_rest

    with at_rest(where) as (service, notices):
        for notice in notices:
            say(notice, err="yellow")
        yield service


def newest(book: Book, query: Query, limit: int) -> Iterator[Check]:
    """The newest first, page by page."""
    cursor: str | None = None
    while limit > 0:
        more = {"cursor": cursor} if cursor else {}
        found, cursor = book.page({**query, **more}, min(limit, MOST))
        yield from found
        limit -= len(found)
        if cursor is None:
            return


@dataclass(frozen=True)
class OverHttp:
    client: Client

    def page(self, query: Query, limit: int) -> tuple[list[Check], str | None]:
        said = self.client.get("/checks", **query, limit=str(limit))
        return said["checks"], said["next"]

    def show(self, name: str) -> Check:
        return dict(self.client.get(f"/checks/{quote(name, safe='')}"))

    def forget(self, names: Sequence[str]) -> int:
        patient = replace(self.client, timeout_s=_LONG_S)
        return int(patient.post("/checks:forget", {"ids": list(names)})["forgotten"])

    def correct(self, names: Sequence[str], label: Label, note: str) -> list[Check]:
        body = {"ids": list(names), "label": label, **({"note": note} if note else {})}
        return list(self.client.post("/labels:batch", body)["checks"])

    def undo(self, names: Sequence[str]) -> list[Check]:
        return list(self.client.post("/labels:undo", {"ids": list(names)})["checks"])

    def export(self, out: IO[bytes], form: str, query: Query) -> None:
        patient = replace(self.client, timeout_s=_LONG_S)
        for piece in patient.download("/history/export", form=form, **query):
            out.write(piece)

    def take_in(self, file: Path, form: str) -> dict[str, Any]:
        patient = replace(self.client, timeout_s=_LONG_S)
        path = f"/history/import?{urlencode({'form': form})}"
        try:
            said = patient.ask("POST", path, file.read_bytes(), _TYPES[form])
        except DaemonError as error:
            if error.status != 413:
                raise
            raise UsageError(
                "This file is too large for the running daemon: stop it with "
                "`antifake daemon stop`, then import again."
            ) from error
        return dict(said)


def moment(text: str, now: datetime | None = None) -> datetime:
    """A point in time as people type it: 2026-01-31, with a time, or 7d and 12h ago."""
    from datetime import timedelta

    now = now or datetime.now(UTC)
    spans = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
    try:
        if text[-1:] in spans and text[:-1].isdigit():
            return now - int(text[:-1]) * spans[text[-1]]
        # Without a zone it is meant as the clock on the wall has it.
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00, 7d or 12h."
        ) from error
