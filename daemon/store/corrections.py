"""Corrections: the user's label of a picture overrides the model's, also for near-copies.

Rows are only ever added: the last one counts, and undo adds a row that repeats the one before.
Write with `durable`, because corrections are the user's own work.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from antifake.core import AntifakeError, Label
from antifake.core.i18n import _

from . import similarity
from .database import NotThereError, in_parts
from .ids import from_ms, to_ms
from .tables import CheckRow, CorrectionRow, LikenessRow, Source


@dataclass(frozen=True)
class NewCorrection:
    """A correction to be stored. Without a label it removes the correction that is there."""

    label: Label | None
    source: Source
    note: str = ""


@dataclass(frozen=True)
class Correction:
    """The user's label of one picture."""

    sha256: str
    label: Label
    note: str
    source: Source
    """Which client or page it was made with."""
    at: datetime


@dataclass(frozen=True)
class Word:
    """What the user says that a picture is: an example to learn from."""

    sha256: str
    label: Label
    phash: int | None


def correct(
    session: Session, sha256s: Collection[str], correction: NewCorrection, now: datetime
) -> None:
    """Records the user's label of these pictures.

    Raises NotThereError if one of them was never checked.
    """
    for sha256 in sha256s:
        row = CorrectionRow(
            sha256=sha256,
            phash=_phash(session, sha256),
            label=correction.label,
            note=correction.note,
            source=correction.source,
            at=to_ms(now),
            said_at=to_ms(now),
        )
        session.add(row)
        _note_likeness(session, sha256, row.phash)
    session.flush()


def _note_likeness(session: Session, sha256: str, phash: int | None) -> None:
    if phash is not None and similarity.is_telling(phash):
        for key in similarity.keys(phash):
            session.merge(LikenessRow(key=key, sha256=sha256))


def _phash(session: Session, sha256: str) -> int | None:
    checks = select(CheckRow.phash).where(CheckRow.sha256 == sha256)
    found = session.execute(checks.order_by(CheckRow.phash.is_(None), CheckRow.id)).first()
    if found is None:
        raise NotThereError(_("There is no check of this picture."))
    phash: int | None = found[0]
    return phash


@dataclass(frozen=True)
class NewWord(Word):
    """A word and when it was said."""

    said_at: datetime


def said(session: Session) -> list[NewWord]:
    """Returns all words, the last one first."""
    wanted = _current().where(CorrectionRow.label.in_(("real", "fake")))
    rows = session.scalars(wanted.order_by(CorrectionRow.seq.desc()))
    return [
        NewWord(row.sha256, row.label, row.phash, from_ms(row.said_at)) for row in rows if row.label
    ]


def put(session: Session, words_: Collection[NewWord], now: datetime) -> None:
    """Records words that were said elsewhere, also of pictures that were never checked here."""
    for word in words_:
        row = CorrectionRow(
            sha256=word.sha256,
            phash=word.phash,
            label=word.label,
            note="",
            source="import",
            at=to_ms(now),
            said_at=to_ms(word.said_at),
        )
        session.add(row)
        _note_likeness(session, word.sha256, word.phash)
    session.flush()


def last_changes(session: Session, sha256s: Collection[str]) -> dict[str, datetime]:
    """Returns when the user last changed the word on each picture, for those that had one."""
    found: dict[str, datetime] = {}
    newest = select(CorrectionRow.sha256, func.max(CorrectionRow.at))
    for some in in_parts(sorted(set(sha256s))):
        wanted = newest.where(CorrectionRow.sha256.in_(some)).group_by(CorrectionRow.sha256)
        rows = session.execute(wanted)
        found |= {sha256: from_ms(at) for sha256, at in rows}
    return found


def undo(session: Session, sha256: str, source: Source, now: datetime) -> Correction | None:
    """Undoes the last correction. Returns the one before it, with its note and time, or None."""
    wanted = select(CorrectionRow).where(CorrectionRow.sha256 == sha256)
    rows = session.scalars(wanted.order_by(CorrectionRow.seq)).all()
    undone = {row.undoes for row in rows}
    active = [row for row in rows if row.undoes is None and row.seq not in undone]
    if not active:
        raise AntifakeError(_("There is nothing to undo for this picture."))
    former = active[-2] if len(active) > 1 else None
    restored = CorrectionRow(
        sha256=sha256,
        phash=active[-1].phash,
        label=former.label if former else None,
        note=former.note if former else "",
        source=former.source if former else source,
        at=to_ms(now),
        said_at=former.said_at if former else to_ms(now),
        undoes=active[-1].seq,
    )
    session.add(restored)
    session.flush()
    return _correction(restored)


def last_change(session: Session, sha256: str) -> datetime | None:
    """Returns when the user last corrected a picture or undid a correction."""
    at = session.scalar(select(func.max(CorrectionRow.at)).where(CorrectionRow.sha256 == sha256))
    return None if at is None else from_ms(at)


def latest(session: Session, sha256s: Collection[str]) -> dict[str, Correction]:
    """Returns the current correction by sha256, for those pictures that have one."""
    found = {}
    for some in in_parts(sorted(set(sha256s))):
        for row in session.scalars(_LATEST, {"some": some}):
            if (correction := _correction(row)) is not None:
                found[row.sha256] = correction
    return found


def of_near_copies(
    session: Session, phashes: Collection[int], at_most: int = similarity.ALIKE
) -> dict[int, Correction]:
    """Returns, by perceptual hash, the correction of the most similar picture that has one.

    At most `at_most` bits may differ, 0 .. 7. Among equally similar pictures the last correction
    counts.
    """
    if at_most > similarity.MAX_DISTANCE:
        raise ValueError(f"the index finds what differs in {similarity.MAX_DISTANCE} bits")
    telling = [phash for phash in set(phashes) if similarity.is_telling(phash)]
    rows = _sharing(session, {key for phash in telling for key in similarity.keys_nearby(phash)})
    corrections = [
        (row.phash, -row.seq, correction)
        for row in rows
        if row.phash is not None and (correction := _correction(row)) is not None
    ]
    found = {}
    for phash in telling:
        alike = [
            (similarity.distance(other, phash), seq, correction)
            for other, seq, correction in corrections
        ]
        best = min(alike, default=None, key=lambda one: one[:2])
        if best and best[0] <= at_most:
            found[phash] = best[2]
    return found


def _sharing(session: Session, keys: Collection[int]) -> Iterator[CorrectionRow]:
    """Yields the last row of each corrected picture that has one of these keys."""
    seen: set[int] = set()
    for some in in_parts(sorted(keys)):
        for row in session.scalars(_SHARING, {"keys": some}):
            if row.seq not in seen:
                seen.add(row.seq)
                yield row


def words(session: Session) -> list[Word]:
    """Returns what the user says of each picture that is real or AI-made, in order of sha256."""
    wanted = _current().where(CorrectionRow.label.in_(("real", "fake")))
    rows = session.scalars(wanted.order_by(CorrectionRow.sha256))
    return [Word(row.sha256, row.label, row.phash) for row in rows if row.label]


def labelled(session: Session) -> set[str]:
    """Returns the sha256 of every picture that the user has corrected."""
    return set(session.scalars(corrected()))


def corrected() -> Select[str]:
    """Selects the sha256 of every picture that the user has corrected."""
    return select(CorrectionRow.sha256).where(
        CorrectionRow.seq.in_(_last_seqs()), CorrectionRow.label.is_not(None)
    )


def _current() -> Select[CorrectionRow]:
    """Selects the last row of each picture."""
    newer = CorrectionRow.__table__.alias("newer")
    return select(CorrectionRow).where(
        ~select(newer.c.seq)
        .where(newer.c.sha256 == CorrectionRow.sha256, newer.c.seq > CorrectionRow.seq)
        .exists()
    )


def _last_seqs() -> Select[int]:
    return select(func.max(CorrectionRow.seq)).group_by(CorrectionRow.sha256)


# Built once, because building a statement takes as long as running it.
_LATEST = _current().where(CorrectionRow.sha256.in_(bindparam("some", expanding=True)))
_SHARING = _current().where(
    CorrectionRow.sha256.in_(
        select(LikenessRow.sha256).where(LikenessRow.key.in_(bindparam("keys", expanding=True)))
    )
)


def _correction(row: CorrectionRow) -> Correction | None:
    if row.label is None:
        return None
    return Correction(row.sha256, row.label, row.note, row.source, from_ms(row.said_at))
