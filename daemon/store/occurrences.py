"""Where known pictures were seen again.

A check is the first sight of a picture. When the same bytes come again, they are not judged again:
a row here says where that was. There is one row a place, with its last time and how often; a place
is a name, a path and a page together with what the picture came by. Rows live as long as a check of
their picture. Searches by name read `CheckRow.name_key` only, so that they cost what they did
without these rows: each new name is added there.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.orm import Session

from .checks import file_name, name_key
from .database import changed
from .ids import from_ms, time_of, to_ms
from .tables import CheckRow, JobRow, OccurrenceRow, Source, table_of

MOST = 100
"""So many places of one picture are kept, the latest."""


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One place where a picture was seen."""

    at: datetime
    """When it was last seen there, in UTC, to the millisecond."""
    source: Source
    path: str | None = None
    page: str | None = None
    name: str | None = None
    """As in a Finding: as far as the settings allow them to be kept."""
    times: int = 1
    """How often it was seen there."""

    @property
    def shown_name(self) -> str | None:
        """The name that people know it by: of its file, or the one it was sent with."""
        return file_name(self.path) if self.path else self.name

    @property
    def place(self) -> tuple[Source, str | None, str | None, str | None]:
        return self.source, self.path, self.page, self.name


def add(session: Session, sha256: str, seen: Occurrence) -> None:
    """Notes that a picture was seen again. Does nothing if it was forgotten meanwhile."""
    if not _is_there(session, sha256):
        return
    row = _row(session, sha256, seen)
    if row is None:
        _insert(session, sha256, seen)
    else:
        row.at, row.times = max(row.at, to_ms(seen.at)), row.times + seen.times


def add_file(session: Session, sha256: str, seen: Occurrence) -> None:
    """The same for a file of a watched folder, which is seen once a path, however often it comes.

    A file that was touched, or is written anew with the same bytes, has been seen already.
    """
    if seen.path is None or not _is_known_path(session, sha256, seen.path):
        add(session, sha256, seen)


def deliver(session: Session, row: OccurrenceRow) -> None:
    """Adds a row of another database. One that came before with the same time is the same."""
    seen = _of(row, from_ms(row.at), row.times)
    there = _row(session, row.sha256, seen)
    if there is None or there.at != row.at:
        is_file = seen.source == "watch"
        (add_file if is_file else add)(session, row.sha256, seen)


def restore(session: Session, sha256: str, found: Iterable[Occurrence]) -> None:
    """Adds what an export wrote. Adding it twice changes nothing."""
    for seen in found:
        row = _row(session, sha256, seen)
        if row is None:
            _insert(session, sha256, seen)
        else:
            row.at, row.times = max(row.at, to_ms(seen.at)), max(row.times, seen.times)


def moved(session: Session, sha256: str, old: str, new: str) -> bool:
    """Updates the path of a file that was moved. Returns False if the old one is not noted."""
    n = 0
    for table in (CheckRow, OccurrenceRow):
        at_old = (table.sha256 == sha256) & (table.path == old)
        n += changed(session, update(table).where(at_old).values(path=new))
    if n:
        _renew_keys(session, sha256)
    return n > 0


def of_pictures(session: Session, sha256s: Collection[str]) -> dict[str, list[Occurrence]]:
    """Returns all places of these pictures, those of their checks included, latest first."""
    found: dict[str, dict[Any, Occurrence]] = {}
    wanted = {"some": sorted(sha256s)}
    for check in session.execute(_CHECKS, wanted):
        _merge(found, check.sha256, _of(check, time_of(check.id)))
    for row in session.execute(_ROWS, wanted):
        _merge(found, row.sha256, _of(row, from_ms(row.at), row.times))
    return {
        sha256: sorted(places.values(), key=lambda one: one.at, reverse=True)
        for sha256, places in found.items()
    }


def noted(session: Session, sha256s: Collection[str]) -> dict[str, list[Occurrence]]:
    """Returns the places of these pictures that are not those of their checks, latest first."""
    found: dict[str, list[Occurrence]] = {}
    for row in session.execute(_ROWS, {"some": sorted(sha256s)}):
        found.setdefault(row.sha256, []).append(_of(row, from_ms(row.at), row.times))
    return found


def drop_of_unchecked(session: Session) -> None:
    """Deletes the places of pictures that have no check any more and wait for none."""
    checked = select(CheckRow.sha256).where(CheckRow.sha256.is_not(None))
    waiting = select(JobRow.sha256).where(JobRow.sha256.is_not(None))
    here = OccurrenceRow.sha256
    session.execute(delete(OccurrenceRow).where(here.not_in(checked), here.not_in(waiting)))


def _insert(session: Session, sha256: str, seen: Occurrence) -> None:
    values = {"sha256": sha256, "at": to_ms(seen.at), "times": seen.times}
    session.execute(_INSERT, values | _place(seen))
    latest = (OccurrenceRow.at.desc(), OccurrenceRow.id.desc())
    of_it = select(OccurrenceRow.id).where(OccurrenceRow.sha256 == sha256)
    surplus = list(session.scalars(of_it.order_by(*latest).offset(MOST)))
    if surplus:
        session.execute(delete(OccurrenceRow).where(OccurrenceRow.id.in_(surplus)))
    _renew_keys(session, sha256)


def include_names(session: Session, sha256: str) -> None:
    """Makes a new check of a picture that was seen before findable by its other names, too."""
    if noted(session, [sha256]):
        _renew_keys(session, sha256)


def _renew_keys(session: Session, sha256: str) -> None:
    """Makes the checks of a picture findable by each of its names."""
    again = noted(session, [sha256]).get(sha256, [])
    names = [seen.shown_name for seen in again]
    for row in session.scalars(select(CheckRow).where(CheckRow.sha256 == sha256)):
        row.name_key = name_key(file_name(row.path) if row.path else row.name, *names)


def _row(session: Session, sha256: str, seen: Occurrence) -> OccurrenceRow | None:
    return session.scalars(_AT_PLACE, {"sha256": sha256, **_place(seen)}).first()


def _place(seen: Occurrence) -> dict[str, str | None]:
    return dict(zip(_PLACE, seen.place, strict=True))


def _is_there(session: Session, sha256: str) -> bool:
    """Whether the picture has a check, or a job that will lead to one.

    In an outbox it counts as there: that is found out where it is delivered.
    """
    if session.info.get("is_outbox"):
        return True
    wanted = {"sha256": sha256}
    return any(session.scalar(query, wanted) is not None for query in _THERE)


def _is_known_path(session: Session, sha256: str, path: str) -> bool:
    wanted = {"sha256": sha256, "path": path}
    return any(session.scalar(query, wanted) is not None for query in _AT_PATH)


def _of(row: Any, at: datetime, times: int = 1) -> Occurrence:
    return Occurrence(at=at, times=times, **{name: getattr(row, name) for name in _PLACE})


def _merge(found: dict[str, dict[Any, Occurrence]], sha256: str, seen: Occurrence) -> None:
    """Adds a place, or a later time at one that is there."""
    places = found.setdefault(sha256, {})
    there = places.setdefault(seen.place, seen)
    if there is not seen:
        # A file that was judged by two models is one file, seen once.
        is_file = seen.source == "watch" and seen.path is not None
        times = 1 if is_file else there.times + seen.times
        places[seen.place] = replace(there, at=max(there.at, seen.at), times=times)


_PLACE = ("source", "path", "page", "name")


# Built once, because building a statement takes as long as running it.
def _selected(table: type[CheckRow] | type[OccurrenceRow]) -> Select[Any]:
    columns: list[Any] = [getattr(table, name) for name in ("id", "sha256", *_PLACE)]
    return select(*columns).where(table.sha256.in_(bindparam("some", expanding=True)))


_INSERT = table_of(OccurrenceRow).insert()
_CHECKS = _selected(CheckRow)
_ROWS = (
    _selected(OccurrenceRow)
    .add_columns(OccurrenceRow.at, OccurrenceRow.times)
    .order_by(OccurrenceRow.at.desc(), OccurrenceRow.id.desc())
)
_AT_PLACE = select(OccurrenceRow).where(
    OccurrenceRow.sha256 == bindparam("sha256"),
    *(getattr(OccurrenceRow, name).is_not_distinct_from(bindparam(name)) for name in _PLACE),
)
_THERE = [
    select(table.id).where(table.sha256 == bindparam("sha256")).limit(1)
    for table in (CheckRow, JobRow)
]
_AT_PATH = [
    select(table.id)
    .where(table.sha256 == bindparam("sha256"), table.path == bindparam("path"))
    .limit(1)
    for table in (CheckRow, OccurrenceRow)
]
