"""Groups of near-copies: the history shows each as one picture.

A group is named by the perceptual hash that it began with. A picture joins the nearest group when
its check is added, so that a page of the history only looks for equal numbers.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from sqlalchemy import BigInteger, Text, bindparam, cast, delete, func, select, type_coerce, update
from sqlalchemy.orm import Session

from . import similarity
from .database import in_parts
from .tables import CheckRow, GroupBandRow, table_of


def join(session: Session, phashes: Sequence[int | None]) -> list[int | None]:
    """Returns the group of each hash, which begins one if it is near none.

    None for those that can have no near-copies.
    """
    bands = {
        phash: similarity.bands(phash)
        for phash in phashes
        if phash is not None and similarity.is_telling(phash)
    }
    sharing: dict[int, list[int]] = {}
    for some in in_parts(sorted(set(chain.from_iterable(bands.values())))):
        for band, others in session.execute(_SHARING, {"bands": some}):
            sharing[band] = [int(other) & _ALL_BITS for other in others.split(",")]
    groups: dict[int, int] = {}
    new: list[int] = []
    for phash, of_it in bands.items():
        near = list(chain.from_iterable(sharing.get(band, ()) for band in of_it))
        _position, least = similarity.nearest(phash, near)
        if least > similarity.ALIKE:
            groups[phash] = phash
            new.append(phash)
            for band in of_it:
                sharing.setdefault(band, []).append(phash)
        else:
            groups[phash] = min(one for one in near if similarity.distance(phash, one) == least)
    _begin(session, new)
    return [None if phash is None else groups.get(phash) for phash in phashes]


def forget_first(session: Session, groups: Collection[int]) -> None:
    """Call it after pictures were deleted: no group keeps the hash of one that is gone.

    The picture that was most like it gives its hash then. A group without pictures is deleted.
    """
    for group in groups:
        in_it = CheckRow.group_phash == group
        hashes = session.scalars(select(CheckRow.phash).where(in_it).distinct())
        members = {phash for phash in hashes if phash is not None}
        if group in members:
            continue
        session.execute(delete(GroupBandRow).where(GroupBandRow.phash == group))
        if members:
            heir = min(members, key=lambda one: (similarity.distance(one, group), one))
            if session.scalar(select(GroupBandRow.phash).where(GroupBandRow.phash == heir)) is None:
                _begin(session, [heir])
            session.execute(update(CheckRow).where(in_it).values(group_phash=heir))


def drop_empty(session: Session) -> None:
    """Deletes the groups that no check is in any more."""
    used = select(CheckRow.group_phash).where(CheckRow.group_phash.is_not(None))
    session.execute(delete(GroupBandRow).where(GroupBandRow.phash.not_in(used)))


def _begin(session: Session, phashes: Iterable[int]) -> None:
    rows = [{"band": band, "phash": phash} for phash in phashes for band in similarity.bands(phash)]
    if rows:
        session.execute(_INSERT, rows)


# Built once, because building a statement takes as long as running it.
# A text for each band, since among a million pictures each of them is compared with hundreds: rows
# of single numbers take several times as long.
_SHARING = (
    select(
        GroupBandRow.band,
        func.aggregate_strings(cast(type_coerce(GroupBandRow.phash, BigInteger), Text), ","),
    )
    .where(GroupBandRow.band.in_(bindparam("bands", expanding=True)))
    .group_by(GroupBandRow.band)
)
_ALL_BITS = 2**similarity.BITS - 1
_INSERT = table_of(GroupBandRow).insert()
