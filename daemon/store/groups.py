"""Groups of near-copies: the history shows each as one picture.

A group is named by the perceptual hash that it began with. A picture joins the nearest group when
its check is added, so that a page of the history only looks for equal numbers.
"""

from collections.abc import Collection

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from . import similarity
from .tables import CheckRow, GroupBandRow, table_of


def join(session: Session, phash: int | None) -> int | None:
    """Returns the group of a hash, which begins one if it is near none.

    None if a picture with this hash can have no near-copies.
    """
    if phash is None or not similarity.is_telling(phash):
        return None
    some = similarity.bands(phash)
    near = [
        (similarity.distance(phash, other), other)
        for other in session.scalars(_SHARING, {"bands": some})
    ]
    distance, group = min(near, default=(similarity.BITS, phash))
    if distance <= similarity.ALIKE:
        return group
    _begin(session, phash)
    return phash


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
                _begin(session, heir)
            session.execute(update(CheckRow).where(in_it).values(group_phash=heir))


def drop_empty(session: Session) -> None:
    """Deletes the groups that no check is in any more."""
    used = select(CheckRow.group_phash).where(CheckRow.group_phash.is_not(None))
    session.execute(delete(GroupBandRow).where(GroupBandRow.phash.not_in(used)))


def _begin(session: Session, phash: int) -> None:
    session.execute(_INSERT, [{"band": band, "phash": phash} for band in similarity.bands(phash)])


# Built once, because building a statement takes as long as running it.
_SHARING = select(GroupBandRow.phash).where(
    GroupBandRow.band.in_(bindparam("bands", expanding=True))
)
_INSERT = table_of(GroupBandRow).insert()
