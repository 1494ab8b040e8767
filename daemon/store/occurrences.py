"""Where known pictures were seen again.

A check is the first sight of a picture. When the same bytes come again, they are not judged again:
a row here says where that was. There is one row a place, with its last time and how often; a place
is a name, a path and a page together with what the picture came by. Rows live as long as a check of
their picture. Searches by name read `CheckRow.name_key` only, so that they cost what they did
without these rows: each new name is added there, to the latest `MOST` checks of the picture.

What is done for one more sight or check of a picture must not cost more with each: a broken picture
is checked as often as it is met.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from .checks import file_name, name_key
from .database import changed
from .ids import from_ms, time_of, to_ms
from .tables import CheckRow, JobRow, OccurrenceRow, Source, table_of

MOST = 100
"""So many places of one picture are kept, the latest, and so many of its checks count as places."""


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


def restore(session: Session, found: Mapping[str, Iterable[Occurrence]]) -> set[str]:
    """Adds what an export wrote, by picture. Adding it twice changes nothing.

    Returns the pictures that have other names than before: call `renew_names` for them.
    """
    there: dict[str, list[OccurrenceRow]] = {}
    for row in session.scalars(_WHOLE_ROWS, {"some": sorted(found)}):
        there.setdefault(row.sha256, []).append(row)
    return {
        sha256
        for sha256, seen in found.items()
        if _restore(session, sha256, seen, there.get(sha256, []))
    }


def _restore(
    session: Session, sha256: str, found: Iterable[Occurrence], there: list[OccurrenceRow]
) -> bool:
    """Returns whether there are other places than before."""
    rows = {(row.source, row.path, row.page, row.name): row for row in there}
    new: dict[Any, Occurrence] = {}
    for seen in found:
        if (row := rows.get(seen.place)) is not None:
            row.at, row.times = max(row.at, to_ms(seen.at)), max(row.times, seen.times)
        else:
            known = new.setdefault(seen.place, seen)
            at, times = max(known.at, seen.at), max(known.times, seen.times)
            new[seen.place] = replace(known, at=at, times=times)
    # At the same time, what is there stays. The latest of an export is its first.
    every: list[OccurrenceRow | Occurrence] = [*reversed(new.values()), *there]
    every.sort(key=lambda one: one.at if isinstance(one, OccurrenceRow) else to_ms(one.at))
    surplus, kept = every[: max(0, len(every) - MOST)], every[-MOST:]
    for one in surplus:
        if isinstance(one, OccurrenceRow):
            session.delete(one)
    values = [_values(sha256, one) for one in kept if isinstance(one, Occurrence)]
    if values:
        session.execute(_INSERT, values)
    session.flush()
    return bool(values)


def moved(session: Session, sha256: str, old: str, new: str) -> bool:
    """Updates the path of a file that was moved. Returns False if the old one is not noted."""
    n = 0
    named = {"name_key": name_key(file_name(new))}
    for table, more in ((CheckRow, named), (OccurrenceRow, {})):
        at_old = (table.sha256 == sha256) & (table.path == old)
        n += changed(session, update(table).where(at_old).values(path=new, **more))
    if n:
        renew_names(session, sha256)
    return n > 0


def of_pictures(session: Session, sha256s: Collection[str]) -> dict[str, list[Occurrence]]:
    """Returns the places of these pictures, those of their checks included, latest first."""
    found: dict[str, dict[Any, Occurrence]] = {}
    for check in _latest_checks(session, sha256s):
        _merge(found, check.sha256, _of(check, time_of(check.id)))
    for row in session.execute(_ROWS, {"some": sorted(sha256s)}):
        _merge(found, row.sha256, _of(row, from_ms(row.at), row.times))
    return {
        sha256: sorted(places.values(), key=lambda one: one.at, reverse=True)
        for sha256, places in found.items()
    }


def _latest_checks(session: Session, sha256s: Collection[str]) -> Iterator[Any]:
    """Yields at most MOST checks of each picture."""
    counted = session.execute(_COUNTED, {"some": sorted(sha256s)})
    many = [sha256 for sha256, n in counted if n > MOST]
    yield from session.execute(_CHECKS, {"some": sorted(set(sha256s).difference(many))})
    for sha256 in many:
        yield from session.execute(_LATEST_CHECKS, {"some": [sha256]})


def noted(session: Session, sha256s: Collection[str]) -> dict[str, list[Occurrence]]:
    """Returns the places of these pictures that are not those of their checks, latest first."""
    found: dict[str, list[Occurrence]] = {}
    for row in session.execute(_ROWS, {"some": sorted(sha256s)}):
        found.setdefault(row.sha256, []).append(_of(row, from_ms(row.at), row.times))
    return found


def are_noted(session: Session, sha256s: Collection[str]) -> set[str]:
    """Returns those of these pictures that were seen again."""
    here = OccurrenceRow.sha256
    return set(session.scalars(select(here).where(here.in_(sha256s)).distinct()))


def drop_of_unchecked(session: Session) -> None:
    """Deletes the places of pictures that have no check any more and wait for none."""
    checked = select(CheckRow.sha256).where(CheckRow.sha256.is_not(None))
    waiting = select(JobRow.sha256).where(JobRow.sha256.is_not(None))
    here = OccurrenceRow.sha256
    session.execute(delete(OccurrenceRow).where(here.not_in(checked), here.not_in(waiting)))


def _insert(session: Session, sha256: str, seen: Occurrence) -> None:
    session.execute(_INSERT, _values(sha256, seen))
    latest = (OccurrenceRow.at.desc(), OccurrenceRow.id.desc())
    of_it = select(OccurrenceRow.id).where(OccurrenceRow.sha256 == sha256)
    surplus = list(session.scalars(of_it.order_by(*latest).offset(MOST)))
    if surplus:
        session.execute(delete(OccurrenceRow).where(OccurrenceRow.id.in_(surplus)))
    renew_names(session, sha256)


def include_names(session: Session, sha256: str) -> None:
    """Makes a new check of a picture that was seen before findable by its other names, too."""
    if noted(session, [sha256]):
        renew_names(session, sha256)


def renew_names(session: Session, sha256: str) -> None:
    """Makes the latest checks of a picture findable by each of its names."""
    again = noted(session, [sha256]).get(sha256, [])
    names = [seen.shown_name for seen in again]
    of_it = select(CheckRow).where(CheckRow.sha256 == sha256)
    for row in session.scalars(of_it.order_by(CheckRow.id.desc()).limit(MOST)):
        row.name_key = name_key(file_name(row.path) if row.path else row.name, *names)


def _row(session: Session, sha256: str, seen: Occurrence) -> OccurrenceRow | None:
    return session.scalars(_AT_PLACE, {"sha256": sha256, **_place(seen)}).first()


def _place(seen: Occurrence) -> dict[str, str | None]:
    return dict(zip(_PLACE, seen.place, strict=True))


def _values(sha256: str, seen: Occurrence) -> dict[str, Any]:
    return {"sha256": sha256, "at": to_ms(seen.at), "times": seen.times, **_place(seen)}


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
_LATEST_CHECKS = _CHECKS.order_by(CheckRow.id.desc()).limit(MOST)
_COUNTED = (
    select(CheckRow.sha256, func.count())
    .where(CheckRow.sha256.in_(bindparam("some", expanding=True)))
    .group_by(CheckRow.sha256)
)
_ROWS = (
    _selected(OccurrenceRow)
    .add_columns(OccurrenceRow.at, OccurrenceRow.times)
    .order_by(OccurrenceRow.at.desc(), OccurrenceRow.id.desc())
)
_WHOLE_ROWS = (
    select(OccurrenceRow)
    .where(OccurrenceRow.sha256.in_(bindparam("some", expanding=True)))
    .order_by(OccurrenceRow.at, OccurrenceRow.id)
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
