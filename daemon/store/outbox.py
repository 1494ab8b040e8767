"""What this computer has found and a shared history does not have yet.

With a history on a database server, checks are written to `Store.machine` first, with what belongs
to them, in the transaction that ends their job. `deliver` takes them from there to the server. A
kill at any moment loses nothing: what has arrived is known by its id, and is not sent twice. Where
the two stores are one, nothing here has anything to do.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.i18n import ngettext

from . import checks, evidence, groups, history, occurrences
from .checks import Check
from .database import NotThereError, StoreError
from .history import Entry
from .ids import from_ms
from .server import SharedStore
from .store import Store
from .tables import CheckRow, EvidenceRow, JobRow, OccurrenceRow, ThumbnailRow

_Row = TypeVar("_Row", OccurrenceRow, ThumbnailRow, EvidenceRow)

AT_ONCE = 100
"""So many checks are sent in one transaction."""


# --- Sending --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parcel:
    """Checks with what belongs to them; or what is left, once all checks are sent."""

    checks: list[CheckRow]
    places: list[OccurrenceRow]
    thumbnails: list[ThumbnailRow]
    files: list[EvidenceRow]
    read: dict[str, FileEvidence]

    @property
    def is_empty(self) -> bool:
        return not (self.checks or self.places or self.thumbnails or self.files)


def waiting(store: Store) -> int:
    """Returns how many checks the shared history does not have yet. Raises StoreError."""
    if store.machine is store:
        return 0
    with store.machine.reading() as session:
        return session.scalar(select(func.count()).select_from(CheckRow)) or 0


def trouble(store: Store) -> str | None:
    """Returns why checks wait, and how many, in sentences. None if there is no need to wait.

    Raises StoreError.
    """
    why = (store.trouble or store.undelivered) if isinstance(store, SharedStore) else None
    if why is None:
        return None
    n = waiting(store)
    told = ngettext(
        "Pictures are judged all the same. {n:,} check waits here to be sent.",
        "Pictures are judged all the same. {n:,} checks wait here to be sent.",
        n,
    )
    return f"{why} {told}"


def deliver(store: Store) -> int:
    """Sends all that waits. Returns how many checks.

    Raises StoreError. What has not arrived then still waits.
    """
    if not isinstance(store, SharedStore):
        return 0
    with store.delivering:
        try:
            n = _deliver(store)
        except StoreError as error:
            store.undelivered = str(error)
            raise
        store.undelivered = None
    return n


def _deliver(store: SharedStore) -> int:
    n = 0
    while True:
        with store.machine.reading() as session:
            parcel = _next(session)
        if parcel.is_empty:
            return n
        with store.writing() as session:
            _put(session, parcel)
        with store.machine.writing() as session:
            _drop(session, parcel)
        n += len(parcel.checks)


def _next(session: Session) -> _Parcel:
    sent = list(session.scalars(select(CheckRow).order_by(CheckRow.id).limit(AT_ONCE)))
    pictures = {row.sha256 for row in sent if row.sha256}
    unjudged = select(JobRow.sha256).where(
        JobRow.sha256.is_not(None), JobRow.state.in_(("queued", "running"))
    )

    def of_them(table: type[_Row]) -> list[_Row]:
        wanted = select(table)
        if sent:
            return list(session.scalars(wanted.where(table.sha256.in_(pictures))))
        # A place of a picture that is not judged yet waits for its check.
        left = wanted.where(table.sha256.not_in(unjudged)).limit(AT_ONCE)
        return list(session.scalars(left))

    files = of_them(EvidenceRow)
    read = evidence.of_pictures(session, [row.sha256 for row in files])
    return _Parcel(sent, of_them(OccurrenceRow), of_them(ThumbnailRow), files, read)


def _put(session: Session, parcel: _Parcel) -> None:
    for row in parcel.checks:
        check = checks.of_row(row)
        if not _has_arrived(session, row.id, check):
            checks.insert(session, check, checks.free_number(session, row.id))
            if check.sha256 is not None:
                occurrences.include_names(session, check.sha256)
    for thumbnail in parcel.thumbnails:
        checks.keep_thumbnail(session, thumbnail.sha256, thumbnail.webp, from_ms(thumbnail.at))
    for file in parcel.files:
        if file.sha256 in parcel.read:
            evidence.keep(session, file.sha256, parcel.read[file.sha256], from_ms(file.at))
    for place in parcel.places:
        occurrences.deliver(session, place)


def _has_arrived(session: Session, number: int, check: Check) -> bool:
    """Whether an earlier attempt was written, and only its answer was lost."""
    there = session.get(CheckRow, number)
    if there is None:
        return False
    # Another computer may have drawn the same number. A path can have changed since.
    same = ("sha256", "source", "model", "p_fake", "ms", "code")
    return all(getattr(there, name) == getattr(check, name) for name in same)


def _drop(session: Session, parcel: _Parcel) -> None:
    """Deletes what was sent, as it was then."""
    numbers = [row.id for row in parcel.checks]
    session.execute(delete(CheckRow).where(CheckRow.id.in_(numbers)))
    groups.drop_empty(session)
    for thumbnail_ in parcel.thumbnails:
        is_it = (ThumbnailRow.sha256 == thumbnail_.sha256) & (ThumbnailRow.at == thumbnail_.at)
        session.execute(delete(ThumbnailRow).where(is_it))
    for file in parcel.files:
        is_that = (EvidenceRow.sha256 == file.sha256) & (EvidenceRow.at == file.at)
        session.execute(delete(EvidenceRow).where(is_that))
    for place in parcel.places:
        that = OccurrenceRow.id == place.id
        less = OccurrenceRow.times - place.times  # it may have been seen there again meanwhile
        session.execute(update(OccurrenceRow).where(that).values(times=less))
        session.execute(delete(OccurrenceRow).where(that, OccurrenceRow.times <= 0))


# --- Reading from both ------------------------------------------------------------------------


def earlier(store: Store, sha256s: Collection[str], model: str, prompt: str) -> dict[str, Check]:
    """Returns the last verdicts of a model on these pictures. See checks.earlier.

    A database that does not answer is passed over: a verdict need not wait for it.
    """
    found: dict[str, Check] = {}
    for place in store.places:
        left = [sha256 for sha256 in sha256s if sha256 not in found]
        if left:
            with suppress(StoreError), place.reading() as session:
                for sha256 in left:
                    check = checks.earlier(session, sha256, model, prompt)
                    if check is not None:
                        found[sha256] = check
    return found


def get(store: Store, name: str) -> Check:
    """Returns a check, wherever it is. Raises NotThereError, StoreError."""
    *before, last = store.places
    for place in before:
        with suppress(NotThereError), place.reading() as session:
            return checks.get(session, name)
    with last.reading() as session:
        return checks.get(session, name)


def entry(store: Store, name: str) -> Entry:
    """Returns a check as the history shows it. Raises NotThereError, StoreError."""
    if store.machine is store:
        with store.reading() as session:
            return history.entry(session, checks.get(session, name))
    check = get(store, name)
    with store.machine.reading() as session:
        here = history.entry(session, check)
    return with_shared(store, [here])[0]


def thumbnail(store: Store, name: str) -> bytes | None:
    """Returns WebP, or None if none is kept. Raises NotThereError, StoreError."""
    sha256 = get(store, name).sha256
    for place in store.places:
        with place.reading() as session:
            found = checks.thumbnail(session, sha256) if sha256 else None
        if found is not None:
            return found
    return None


def with_shared(store: Store, here: list[Entry]) -> list[Entry]:
    """Adds to what `machine` shows of checks what the shared history knows of their pictures.

    Above all that is what people have said. If the server does not answer, nothing is added.
    """
    if store.machine is store or not here:
        return here
    try:
        with store.reading() as session:
            there = history.entries(session, [one.check for one in here])
    except StoreError:
        return here
    return [_merged(*pair) for pair in zip(there, here, strict=True)]


def _merged(there: Entry, here: Entry) -> Entry:
    places = {(one.place, one.at): one for one in (*there.places, *here.places)}
    return replace(
        there,
        has_thumbnail=there.has_thumbnail or here.has_thumbnail,
        thumbnail_size=there.thumbnail_size or here.thumbnail_size,
        places=tuple(sorted(places.values(), key=lambda one: one.at, reverse=True)),
        file=there.file or here.file,
    )
