"""Deletes from the history: a picture without a trace, or everything that is old."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from . import groups, jobs, occurrences, trainings
from .checks import count_thumbnails
from .corrections import corrected
from .crops import CropFiles
from .database import changed, in_parts
from .ids import first_number, time_of, to_number, to_text
from .store import Store
from .tables import (
    CheckRow,
    CorrectionRow,
    CropRow,
    EvidenceRow,
    FileRow,
    JobRow,
    LikenessRow,
    OccurrenceRow,
    ReviewRow,
    ThumbnailRow,
)


def forget(
    store: Store, names: Collection[str], now: datetime, crop_files: CropFiles | None = None
) -> int:
    """Deletes every trace of the pictures of these checks. Returns the number of deleted checks.

    This includes other checks of the same bytes, every name and place, corrections, thumbnails,
    crops, jobs and rows of the ledger; then the contents of free pages, and all backups but a new
    one, because they still contain the pictures. A file that is still in a watched folder will be
    found again.
    """
    gone, pictures = 0, set[str]()
    with store.writing_both(durable=True) as (session, work):
        for some in in_parts(map(to_number, names)):
            found = _found(session, some)
            _forget_work(work, found)
            if work is not session:
                _forget(work, found)
            gone, pictures = gone + _forget(session, found), pictures | found.pictures
    if crop_files is not None:
        crop_files.remove(pictures)
    store.machine.scrub(now)
    return gone


def to_forget(store: Store, names: Collection[str]) -> list[str]:
    """Returns the ids of all checks that `forget` would delete."""
    with store.reading() as session:
        found = [_found(session, some).numbers for some in in_parts(map(to_number, names))]
    return [to_text(number) for number in sorted({n for some in found for n in some})]


@dataclass(frozen=True)
class _Found:
    """Checks that are to be forgotten, with others of the same bytes."""

    numbers: list[int]
    pictures: set[str]
    paths: set[str]


def _found(session: Session, numbers: list[int]) -> _Found:
    named = CheckRow.id.in_(numbers)
    pictures = set(filter(None, session.scalars(select(CheckRow.sha256).where(named))))
    wanted = select(CheckRow.id, CheckRow.path).where(or_(named, CheckRow.sha256.in_(pictures)))
    rows = session.execute(wanted).all()
    return _Found([row.id for row in rows], pictures, {row.path for row in rows if row.path})


def _forget_work(session: Session, found: _Found) -> None:
    """Deletes crops, jobs and rows of the ledger, and takes the pictures out of reports."""
    trainings.forget(session, found.pictures, [to_text(number) for number in found.numbers])
    session.execute(delete(CropRow).where(CropRow.sha256.in_(found.pictures)))
    for table in (JobRow, FileRow):
        session.execute(delete(table).where(table.sha256.in_(found.pictures)))
        for some in in_parts(found.numbers):
            session.execute(delete(table).where(table.check_id.in_(some)))
        for paths in in_parts(found.paths):
            # A picture that was never read has no hash, only its path.
            at_them = table.path.in_(paths) & table.sha256.is_(None)
            session.execute(delete(table).where(at_them))


def _forget(session: Session, found: _Found) -> int:
    """Returns how many checks were deleted."""
    pictures = found.pictures
    same = or_(CheckRow.id.in_(found.numbers), CheckRow.sha256.in_(pictures))
    for table_ in (
        OccurrenceRow,
        ThumbnailRow,
        CorrectionRow,
        LikenessRow,
        ReviewRow,
        EvidenceRow,
    ):
        session.execute(delete(table_).where(table_.sha256.in_(pictures)))
    of_groups = session.scalars(select(CheckRow.group_phash).where(same).distinct())
    near = [group for group in of_groups if group is not None]
    gone = changed(session, delete(CheckRow).where(same))
    groups.forget_first(session, near)
    return gone


def retire(store: Store, before: datetime) -> int:
    """Deletes checks older than `before`, and old jobs. Returns how many checks.

    Its thumbnail, what its file says and the places where it was seen go with the last check of a
    picture. Corrected pictures stay, because correcting was work. The ledger stays, too: without it
    every old file would be judged again.
    """
    with store.reading() as session:
        numbers = list(session.scalars(_old(before)))
    # In batches, so that other writers need not wait for all of it.
    for some in in_parts(numbers):
        with store.writing_both() as (session, work):
            session.execute(delete(CheckRow).where(CheckRow.id.in_(some)))
            for table in (JobRow, FileRow):
                of_it = update(table).where(table.check_id.in_(some))
                work.execute(of_it.values(check_id=None))
    with store.writing_both() as (session, work):
        jobs.drop_over(work, before)
        shown = select(CheckRow.sha256).where(CheckRow.sha256.is_not(None))
        for table_ in (ThumbnailRow, EvidenceRow):
            session.execute(delete(table_).where(table_.sha256.not_in(shown)))
        groups.drop_empty(session)
        occurrences.drop_of_unchecked(session)
    return len(numbers)


def count_old(session: Session, before: datetime) -> int:
    """Returns how many checks `retire` would delete."""
    return session.scalar(select(func.count()).select_from(_old(before).subquery())) or 0


def _old(before: datetime) -> Select[int]:
    kept = CheckRow.sha256.in_(corrected())
    is_old = CheckRow.id < first_number(before)
    return select(CheckRow.id).where(is_old, or_(CheckRow.sha256.is_(None), ~kept))


def older_than_newest(session: Session, keep: int) -> datetime | None:
    """Returns the time before which `retire` must delete to keep `keep` checks, or None."""
    newest = select(CheckRow.id).order_by(CheckRow.id.desc()).offset(keep - 1).limit(1)
    number = session.scalar(newest)
    return None if number is None else time_of(number)


def trim_thumbnails(session: Session, keep: int) -> int:
    """Deletes the oldest thumbnails beyond `keep`. Returns how many."""
    surplus = count_thumbnails(session) - keep
    if surplus <= 0:
        return 0
    oldest = select(ThumbnailRow.sha256).order_by(ThumbnailRow.at).limit(surplus)
    return changed(session, delete(ThumbnailRow).where(ThumbnailRow.sha256.in_(oldest)))
