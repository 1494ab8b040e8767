"""Corrections: the user's label of a picture overrides the model's, also for near-copies.

Rows are only ever added: the last one counts, and undo adds a row that repeats the one before.
Write with `durable`, because corrections are the user's own work.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select
from sqlalchemy.orm import Session

from antifake.core import AntifakeError, Label
from antifake.core.i18n import _

from . import similarity
from .database import NotThereError, in_parts
from .ids import from_ms, to_ms
from .tables import CheckRow, CorrectionRow, LikenessRow, Source, table_of


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
    correct_each(session, [(sha256, correction, now) for sha256 in sha256s])


def correct_each(session: Session, said_: Collection[tuple[str, NewCorrection, datetime]]) -> None:
    """Records what was said of pictures and when, in this order.

    Raises NotThereError if one of them was never checked.
    """
    phashes = {sha256: _phash(session, sha256) for sha256 in {one[0] for one in said_}}
    _add(
        session,
        [
            {
                "sha256": sha256,
                "phash": phashes[sha256],
                "label": correction.label,
                "note": correction.note,
                "source": correction.source,
                "at": to_ms(at),
                "said_at": to_ms(at),
            }
            for sha256, correction, at in said_
        ],
    )


def _add(session: Session, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(_INSERT, rows)
        _note_likeness(session, [(row["sha256"], row["phash"]) for row in rows])


def _note_likeness(session: Session, phashes: Iterable[tuple[str, int | None]]) -> None:
    wanted = {
        (sha256, key)
        for sha256, phash in phashes
        if phash is not None and similarity.is_telling(phash)
        for key in similarity.keys(phash)
    }
    for some in in_parts(sorted({sha256 for sha256, _key in wanted})):
        wanted.difference_update(map(tuple, session.execute(_KEYS, {"some": some})))
    if wanted:
        new = [{"key": key, "sha256": sha256} for sha256, key in sorted(wanted)]
        session.execute(_INSERT_KEYS, new)


def _phash(session: Session, sha256: str) -> int | None:
    wanted = {"picture": sha256}
    phash: int | None = session.scalar(_FIRST_PHASH, wanted)
    if phash is None and session.scalar(_IS_CHECKED, wanted) is None:
        raise NotThereError(_("There is no check of this picture."))
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
    _add(
        session,
        [
            {
                "sha256": word.sha256,
                "phash": word.phash,
                "label": word.label,
                "note": "",
                "source": "import",
                "at": to_ms(now),
                "said_at": to_ms(word.said_at),
            }
            for word in words_
        ],
    )


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
    active = session.scalars(_LAST_ACTIVE, {"picture": sha256}).all()
    if not active:
        raise AntifakeError(_("There is nothing to undo for this picture."))
    former = active[1] if len(active) > 1 else None
    restored = CorrectionRow(
        sha256=sha256,
        phash=active[0].phash,
        label=former.label if former else None,
        note=former.note if former else "",
        source=former.source if former else source,
        at=to_ms(now),
        said_at=former.said_at if former else to_ms(now),
        undoes=active[0].seq,
    )
    session.add(restored)
    session.flush()
    return _correction(restored)


def last_change(session: Session, sha256: str) -> datetime | None:
    """Returns when what is said of a picture last changed."""
    at = session.scalar(_LAST_AT, {"picture": sha256})
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
    hashes = [row.phash for row in rows]
    found = {}
    for phash in telling:
        nearest, distance = similarity.nearest(phash, hashes)
        if distance <= at_most:
            found[phash] = _said(rows[nearest], rows[nearest].label)
    return found


def _sharing(session: Session, keys: Collection[int]) -> list[Row[Any]]:
    """Returns the correction of each picture that has one of these keys, the last said first."""
    rows = {
        row.seq: row
        for some in in_parts(sorted(keys))
        for row in session.execute(_SHARING, {"keys": some})
    }
    return [rows[seq] for seq in sorted(rows, reverse=True)]


def words(session: Session) -> list[Word]:
    """Returns what the user says of each picture that is real or AI-made, in order of sha256."""
    # Columns, not rows: there may be very many.
    columns = CorrectionRow.sha256, CorrectionRow.label, CorrectionRow.phash
    wanted = select(*columns).where(
        CorrectionRow.seq.in_(_last_seqs()), CorrectionRow.label.in_(("real", "fake"))
    )
    rows = session.execute(wanted.order_by(CorrectionRow.sha256))
    return [Word(sha256, label, phash) for sha256, label, phash in rows if label]


def labelled(session: Session) -> set[str]:
    """Returns the sha256 of every picture that the user has corrected."""
    return set(session.scalars(corrected()))


def corrected() -> Select[str]:
    """Selects the sha256 of every picture that the user has corrected."""
    return select(CorrectionRow.sha256).where(
        CorrectionRow.seq.in_(_last_seqs()), CorrectionRow.label.is_not(None)
    )


def _current(*among: ColumnElement[bool]) -> Select[CorrectionRow]:
    """Selects the last row of each picture that meets these conditions."""
    return select(CorrectionRow).where(CorrectionRow.seq.in_(_last_seqs(*among)))


def _last_seqs(*among: ColumnElement[bool]) -> Select[int]:
    return select(func.max(CorrectionRow.seq)).where(*among).group_by(CorrectionRow.sha256)


# Built once, because building a statement takes as long as running it.
_OF_PICTURE = CorrectionRow.sha256 == bindparam("picture")
_LAST_AT = select(CorrectionRow.at).where(_OF_PICTURE).order_by(CorrectionRow.seq.desc()).limit(1)
_LAST_ACTIVE = (
    select(CorrectionRow)
    .where(_OF_PICTURE, CorrectionRow.undoes.is_(None))
    .where(
        CorrectionRow.seq.not_in(
            select(CorrectionRow.undoes).where(_OF_PICTURE, CorrectionRow.undoes.is_not(None))
        )
    )
    .order_by(CorrectionRow.seq.desc())
    .limit(2)
)
"""The corrections that are neither undone nor undo another: the one that counts, and the one before
it."""
_IS_CHECKED = select(CheckRow.id).where(CheckRow.sha256 == bindparam("picture")).limit(1)
_FIRST_PHASH = (
    select(CheckRow.phash)
    .where(CheckRow.sha256 == bindparam("picture"), CheckRow.phash.is_not(None))
    .order_by(CheckRow.id)
    .limit(1)
)
_KEYS = select(LikenessRow.sha256, LikenessRow.key).where(
    LikenessRow.sha256.in_(bindparam("some", expanding=True))
)
_INSERT = table_of(CorrectionRow).insert()
_INSERT_KEYS = table_of(LikenessRow).insert()
_LATEST = _current(CorrectionRow.sha256.in_(bindparam("some", expanding=True)))
# Columns, not rows: pictures that are all alike may have thousands.
_SHARING = select(*table_of(CorrectionRow).columns).where(
    CorrectionRow.seq.in_(
        _last_seqs(
            CorrectionRow.sha256.in_(
                select(LikenessRow.sha256).where(
                    LikenessRow.key.in_(bindparam("keys", expanding=True))
                )
            )
        )
    ),
    CorrectionRow.label.is_not(None),
    CorrectionRow.phash.is_not(None),
)


def _correction(row: CorrectionRow) -> Correction | None:
    return None if row.label is None else _said(row, row.label)


def _said(row: CorrectionRow | Row[Any], label: Label) -> Correction:
    return Correction(row.sha256, label, row.note, row.source, from_ms(row.said_at))
