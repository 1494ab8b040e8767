"""Queries of the history: page by page, in one of several orders, and counts."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from antifake.core import Label
from antifake.core.evidence.card import Card, ModelTrack, Word
from antifake.core.evidence.file_evidence import FileEvidence

from . import evidence, occurrences, ordering, webp
from .checks import Check, of_row
from .corrections import Correction, corrected, latest, of_near_copies
from .ids import EPOCH, RANDOM_BITS, first_number, to_number, to_text
from .occurrences import Occurrence
from .ordering import Sort
from .tables import CheckRow, OccurrenceRow, Source, ThumbnailRow

MAX_PAGE = 500
_DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which rows are wanted; all conditions must hold."""

    label: Label | Literal["failed"] | None = None
    """The model's label; "failed" means rows without one."""
    source: Source | None = None
    since: datetime | None = None
    until: datetime | None = None
    """From `since` on and before `until`."""
    corrected: bool | None = None
    """Whether the user has corrected the picture."""
    text: str = ""
    """Part of one of the picture's names; case does not matter."""
    folder: str = ""
    """Seen in this folder or below it."""
    model: str = ""
    declared: bool | None = None
    """Whether the file itself says that AI made it, by a signature or a mark."""
    near: str = ""
    """A check: only its group of near-copies."""


@dataclass(frozen=True)
class Entry:
    """A row of the history with what is shown beside it."""

    check: Check
    correction: Correction | None
    """The user's correction of the picture itself."""
    has_thumbnail: bool
    near_copy_correction: Correction | None = None
    """The user's correction of a near-copy, if there is none of the picture itself."""
    thumbnail_size: tuple[int, int] | None = None
    """Its width and height in pixels. None if there is none, or if that cannot be told."""
    places: tuple[Occurrence, ...] = ()
    """Where the same bytes were seen, latest first. Empty if nothing but this check is known."""
    file: FileEvidence | None = None
    """What the file says of itself. None if it was not looked at."""

    @property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """All places where the same bytes were seen, latest first; this check's is among them."""
        return self.places or (_first_sight(self.check),)

    @property
    def times_seen(self) -> int:
        return sum(one.times for one in self.occurrences)

    @cached_property
    def card(self) -> Card:
        """All that is known of the picture, each beside the other."""
        check, own, near = self.check, self.correction, self.near_copy_correction
        model = None
        if check.label is not None and check.p_fake is not None:
            model = ModelTrack(check.label, check.p_fake, check.model, check.prompt)
        return Card(
            file=self.file,
            model=model,
            you=_word(own) if own else None,
            seen=_word(near, is_near_copy=True) if near and not own else None,
        )


def _word(said: Correction, *, is_near_copy: bool = False) -> Word:
    return Word(said.label, said.at.isoformat(timespec="milliseconds"), is_near_copy)


@dataclass(frozen=True)
class Page:
    entries: list[Entry]
    next: str | None
    """Pass it as `after` to get the next page; None if this is the last."""


@dataclass(frozen=True)
class Count:
    day: date
    label: Label | None
    n: int


def page(
    session: Session,
    wanted: Filter | None = None,
    after: str | None = None,
    limit: int = 50,
    sort: Sort = "newest",
) -> Page:
    """Returns at most `limit` (1 .. MAX_PAGE) rows.

    Raises NotThereError or UsageError for a wrong `after`.
    """
    limit = min(max(1, limit), MAX_PAGE)
    rows = ordering.rows(session, partial(conditions, wanted or Filter()), sort, after, limit + 1)
    found = [of_row(row) for row in rows[:limit]]
    following = ordering.cursor_of(found[-1], sort) if len(rows) > limit else None
    return Page(entries(session, found), following)


def neighbours(
    session: Session, check: Check, wanted: Filter, sort: Sort
) -> tuple[str | None, str | None]:
    """Returns the ids of the checks before and after this one in a list."""
    of_list, cursor = partial(conditions, wanted), ordering.cursor_of(check, sort)
    before = ordering.rows(session, of_list, sort, cursor, 1, backwards=True)
    after = ordering.rows(session, of_list, sort, cursor, 1)
    return _first_id(before), _first_id(after)


def _first_id(rows: list[CheckRow]) -> str | None:
    return to_text(rows[0].id) if rows else None


def select_page(
    wanted: Filter, after: str | None, limit: int, sort: Sort = "newest"
) -> Select[CheckRow]:
    """Returns the query that a page begins with."""
    return next(ordering.statements(partial(conditions, wanted), sort, after)).limit(limit)


def count_by_label(session: Session, wanted: Filter) -> dict[Label | None, int]:
    """Counts the rows of each label of the model that meet the other conditions."""
    found = select(CheckRow.label).where(*conditions(replace(wanted, label=None)))
    # Found first, then grouped: otherwise SQLite reads all rows in the order of the labels.
    labels = (
        found.cte("found").prefix_with("MATERIALIZED")
        if found.whereclause is not None
        else found.subquery()
    )
    counted = select(labels.c.label, func.count()).group_by(labels.c.label)
    return {row[0]: row[1] for row in session.execute(counted)}


def models(session: Session) -> list[str]:
    """Returns the models that have judged something. Reads one row of the index for each."""
    found: list[str] = []
    after: str | None = ""
    while (after := session.scalar(_NEXT_MODEL, {"after": after})) is not None:
        found.append(after)
    return found


def folders(session: Session, latest: int = 1_000) -> list[str]:
    """Returns the folders of the latest checks, those with the most of them first."""
    paths = select(CheckRow.path).order_by(CheckRow.id.desc()).limit(latest)
    found = Counter(filter(None, map(folder_of, session.scalars(paths))))
    return [folder for folder, _ in found.most_common()]


def count(session: Session, wanted: Filter | None = None) -> int:
    """Returns the number of matching rows."""
    found = select(func.count(CheckRow.id)).where(*conditions(wanted or Filter()))
    return session.scalar(found) or 0


def entry(session: Session, check: Check) -> Entry:
    """Adds to a check what the history shows beside it."""
    return entries(session, [check])[0]


def count_by_day(
    session: Session, since: datetime, until: datetime, utc_offset: timedelta = timedelta()
) -> list[Count]:
    """Counts labels by day. Days begin at midnight of `utc_offset`."""
    offset_ms = utc_offset // timedelta(milliseconds=1)
    # The number of a check contains its time, so the index on label and number suffices.
    day = (CheckRow.id // 2**RANDOM_BITS + offset_ms) // _DAY_MS
    found = (
        select(day.label("day"), CheckRow.label, func.count())
        .where(*conditions(Filter(since=since, until=until)))
        .group_by("day", CheckRow.label)
        .order_by("day", CheckRow.label)
    )
    return [
        Count(EPOCH.date() + timedelta(days=int(day)), label, n)
        for day, label, n in session.execute(found)
    ]


def entries(session: Session, found: list[Check]) -> list[Entry]:
    """Returns the checks as the history shows them, in the same order."""
    shown = {check.sha256 for check in found if check.sha256 is not None}
    corrections = latest(session, shown)
    heads = {row[0]: row[1] for row in session.execute(_THUMBNAILS, {"some": sorted(shown)})}
    uncorrected = (check for check in found if check.sha256 not in corrections)
    near = of_near_copies(session, [one.phash for one in uncorrected if one.phash is not None])
    places = occurrences.of_pictures(session, shown)
    files = evidence.of_pictures(session, shown)
    made = (_entry(check, corrections, near, heads, places) for check in found)
    return [replace(one, file=files.get(one.check.sha256 or "")) for one in made]


def _entry(
    check: Check,
    corrections: dict[str, Correction],
    near_copies: dict[int, Correction],
    thumbnails: dict[str, bytes],
    places: dict[str, list[Occurrence]],
) -> Entry:
    own = corrections.get(check.sha256 or "")
    near = None if own or check.phash is None else near_copies.get(check.phash)
    seen = tuple(places.get(check.sha256 or "", ()))
    head = thumbnails.get(check.sha256 or "")
    size = None if head is None else webp.size_of(head)
    return Entry(check, own, head is not None, near, size, seen)


def _first_sight(check: Check) -> Occurrence:
    return Occurrence(
        at=check.at, source=check.source, path=check.path, page=check.page, name=check.name
    )


_NEXT_MODEL = select(func.min(CheckRow.model)).where(CheckRow.model > bindparam("after"))
_THUMBNAILS = select(ThumbnailRow.sha256, func.substr(ThumbnailRow.webp, 1, webp.HEAD_BYTES)).where(
    ThumbnailRow.sha256.in_(bindparam("some", expanding=True))
)


def conditions(wanted: Filter, row: Any = CheckRow) -> list[ColumnElement[bool]]:
    """Returns what must hold of a row of the checks, or of an alias of it."""
    found = _between(row, wanted.since, wanted.until)
    if wanted.label is not None:
        found.append(_has_label(row, wanted.label))
    if wanted.source is not None:
        found.append(row.source == wanted.source)
    for pictures, is_among in ((corrected, wanted.corrected), (evidence.says_ai, wanted.declared)):
        if is_among is not None:
            found.append(_is_among(row, pictures(), wanted=is_among))
    if wanted.model:
        found.append(row.model == wanted.model)
    if wanted.text:
        found.append(row.name_key.contains(wanted.text.casefold(), autoescape=True))
    if wanted.folder:
        there = select(OccurrenceRow.sha256).where(in_folder(OccurrenceRow.path, wanted.folder))
        found.append(or_(in_folder(row.path, wanted.folder), row.sha256.in_(there)))
    if wanted.near:
        that = select(CheckRow.group_phash).where(CheckRow.id == to_number(wanted.near))
        found.append(row.group_phash == that.scalar_subquery())
    return found


def _between(row: Any, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(row.id >= first_number(since))
    if until is not None:
        found.append(row.id < first_number(until))
    return found


def _has_label(row: Any, label: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = row.label.is_(None) if label == "failed" else row.label == label
    return found


def _is_among(row: Any, pictures: Select[str], *, wanted: bool) -> ColumnElement[bool]:
    """Whether a picture is one of these, or is not. One that was never read is none of them."""
    found: ColumnElement[bool] = row.sha256.in_(pictures)
    return found if wanted else or_(row.sha256.is_(None), row.sha256.not_in(pictures))


def folder_of(path: str | None) -> str | None:
    """Returns the folder of a path of any operating system."""
    if not path:
        return None
    whole = path[: max(path.rfind("/"), path.rfind("\\")) + 1]
    folder = whole.rstrip("/\\")
    # The root of a disk needs its slash.
    return whole if folder == "" or folder.endswith(":") else folder


def in_folder(path: Any, folder: str) -> ColumnElement[bool]:
    """Whether a path is in a folder, as comparisons that can use an index."""
    separator = "\\" if "\\" in folder else "/"
    start = folder.rstrip(separator) + separator
    result: ColumnElement[bool] = (path >= start) & (path < start[:-1] + chr(ord(separator) + 1))
    return result
