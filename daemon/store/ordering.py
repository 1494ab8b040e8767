"""The orders in which the history can be read, page by page, in both directions.

A page begins after the last row of the one before (keyset pagination), so page 2000 costs what
page 1 does, and nothing shifts while new rows arrive.
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from .ids import to_number
from .tables import CheckRow

Sort = Literal["newest", "oldest"]


def rows(  # noqa: PLR0913 - which rows, from where, how many
    session: Session,
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
    after: str | None,
    limit: int,
    *,
    backwards: bool = False,
) -> list[CheckRow]:
    """Returns at most `limit` rows after (backwards: before, the nearest first) a check."""
    wanted = statement(conditions, sort, after, backwards=backwards)
    return list(session.scalars(wanted.limit(limit)))


def statement(
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
    after: str | None,
    *,
    backwards: bool = False,
) -> Select[CheckRow]:
    """Returns the query of the rows after (backwards: before) a check."""
    found = select(CheckRow).where(*conditions)
    is_descending = (sort == "newest") != backwards
    if after is not None:
        number = to_number(after)
        found = found.where(CheckRow.id < number if is_descending else CheckRow.id > number)
    return found.order_by(CheckRow.id.desc() if is_descending else CheckRow.id.asc())
