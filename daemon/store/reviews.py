"""The review queue: what may be asked about, and what the user skipped."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .checks import Check, last_verdicts, of_row
from .corrections import corrected
from .ids import to_ms
from .tables import CheckRow, CorrectionRow, ReviewRow


def candidates(session: Session, skipped_after: datetime, limit: int) -> list[Check]:
    """Returns the last verdict on each picture that the user has not labelled, newest first.

    Leaves out what was skipped after a moment.
    """
    last = last_verdicts()
    skipped = select(ReviewRow.sha256).where(ReviewRow.skipped > to_ms(skipped_after))
    wanted = (
        select(CheckRow)
        .join(last, CheckRow.id == last.c.number)
        .where(CheckRow.sha256.not_in(corrected()), CheckRow.sha256.not_in(skipped))
        .order_by(CheckRow.id.desc())
        .limit(limit)
    )
    return [of_row(row) for row in session.scalars(wanted)]


def labelled(session: Session, limit: int) -> list[Check]:
    """Returns checks of pictures that the user has labelled, newest first."""
    wanted = select(CheckRow).where(CheckRow.sha256.in_(corrected()))
    rows = session.scalars(wanted.order_by(CheckRow.id.desc()).limit(limit))
    return [of_row(row) for row in rows]


def done_since(session: Session, since: datetime) -> int:
    """Returns how many pictures were labelled or skipped since then, in the review or elsewhere.

    A label that was taken back does not count.
    """
    labelled_ = select(CorrectionRow.sha256).where(
        CorrectionRow.at >= to_ms(since),
        CorrectionRow.label.is_not(None),
        CorrectionRow.undoes.is_(None),
        CorrectionRow.source != "import",
        CorrectionRow.sha256.in_(corrected()),
    )
    skipped = select(ReviewRow.sha256).where(ReviewRow.skipped >= to_ms(since))
    both = labelled_.union(skipped).subquery()
    return session.scalar(select(func.count()).select_from(both)) or 0


def skip(session: Session, sha256s: Collection[str], now: datetime) -> None:
    """The user has no word on these pictures."""
    for sha256 in sha256s:
        session.merge(ReviewRow(sha256=sha256, skipped=to_ms(now)))
    session.flush()
