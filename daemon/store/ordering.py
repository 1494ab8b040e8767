"""The orders in which the history can be read, page by page, in both directions.

A page begins after the last row of the one before (keyset pagination), so page 2000 costs what
page 1 does, and nothing shifts while new rows arrive. A cursor is the id of that row, and where the
order is not by time, its certainty, too, so that it stays good when the row is deleted.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from antifake.core.errors import UsageError
from antifake.core.i18n import _

from .checks import Check, certainty
from .ids import to_number
from .tables import CheckRow, table_of

Sort = Literal["newest", "oldest", "surest", "unsure"]
Conditions = Callable[[Any], list[ColumnElement[bool]]]
"""CheckRow, or an alias of it -> which of its rows are wanted."""


@dataclass(frozen=True)
class _Run:
    """Rows that are in the order of some columns. `is_judged`: only those with a verdict."""

    keys: tuple[ColumnElement[Any], ...]
    is_descending: bool
    is_judged: bool | None = None

    def holds(self, cursor: "_Cursor") -> bool:
        return self.is_judged in (None, cursor.certainty is not None)

    def select(self, conditions: Conditions, *, is_grouped: bool) -> Select[CheckRow]:
        found = select(CheckRow).where(*conditions(CheckRow))
        if is_grouped:
            other = aliased(CheckRow)
            of_group = other.group_phash == CheckRow.group_phash
            before = select(other.id).where(of_group, self._is_before(other), *conditions(other))
            found = found.where(~before.exists())
        if self.is_judged is not None:
            is_none = _CERTAINTY.is_(None)
            found = found.where(~is_none if self.is_judged else is_none)
        return found.order_by(*self.order())

    def order(self) -> list[ColumnElement[Any]]:
        return [key.desc() if self.is_descending else key.asc() for key in self.keys]

    def after(self, cursor: "_Cursor") -> ColumnElement[bool]:
        return self._follows(self.keys, (cursor.certainty, cursor.number)[-len(self.keys) :])

    def _is_before(self, other: Any) -> ColumnElement[bool]:
        """Whether another row of the table is before a row of this run in the order of all."""
        here = self._follows(self.keys, [getattr(other, key.name) for key in self.keys])
        # What has no verdict is after all that has one.
        return or_(other.certainty.is_not(None), here) if self.is_judged is False else here

    def _follows(self, here: Sequence[Any], there: Sequence[Any]) -> ColumnElement[bool]:
        left: Any = tuple_(*here) if len(here) > 1 else here[0]
        right: Any = tuple_(*there) if len(here) > 1 else there[0]
        result: ColumnElement[bool] = left < right if self.is_descending else left > right
        return result


_ID, _CERTAINTY = (table_of(CheckRow).c[name] for name in ("id", "certainty"))
_BY_CERTAINTY = (_CERTAINTY, _ID)
_UNJUDGED = _Run((_ID,), is_descending=True, is_judged=False)
_RUNS: dict[Sort, list[_Run]] = {
    "newest": [_Run((_ID,), is_descending=True)],
    "oldest": [_Run((_ID,), is_descending=False)],
    "surest": [_Run(_BY_CERTAINTY, is_descending=True, is_judged=True), _UNJUDGED],
    "unsure": [_Run(_BY_CERTAINTY, is_descending=False, is_judged=True), _UNJUDGED],
}
"""What has no verdict comes last, whether the surest or the least sure come first."""


@dataclass(frozen=True)
class _Cursor:
    number: int
    certainty: float | None


def cursor_of(check: Check, sort: Sort) -> str:
    """Returns what names the place of a row in this order."""
    if sort in ("newest", "oldest"):
        return check.id
    certain = certainty(check.p_fake)
    return f"{check.id}~{'' if certain is None else repr(certain)}"


def rows(  # noqa: PLR0913 - which rows, from where, how many
    session: Session,
    conditions: Conditions,
    sort: Sort,
    after: str | None,
    limit: int,
    *,
    backwards: bool = False,
    is_grouped: bool = False,
) -> list[CheckRow]:
    """Returns at most `limit` rows after (backwards: before, the nearest first) a cursor.

    `is_grouped`: of each group of near-copies only the first of all in this order that are wanted.
    """
    found: list[CheckRow] = []
    for statement in statements(
        conditions, sort, after, backwards=backwards, is_grouped=is_grouped
    ):
        found += session.scalars(statement.limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


def members(
    session: Session, conditions: Conditions, sort: Sort, groups: Collection[int], most: int
) -> list[tuple[CheckRow, int]]:
    """Returns the first `most` wanted rows of each of these groups of near-copies, in this order.

    With each is how many its group has.
    """
    in_group: Any = {"partition_by": CheckRow.group_phash}
    first, *rest = _RUNS[sort]
    order = [
        *([_CERTAINTY.is_(None), case((_CERTAINTY.is_(None), -_ID))] if rest else []),
        *first.order(),
    ]
    numbered = (
        select(
            CheckRow.id,
            func.row_number().over(**in_group, order_by=order).label("place"),
            func.count().over(**in_group).label("n"),
        )
        .where(CheckRow.group_phash.in_(groups), *conditions(CheckRow))
        .subquery()
    )
    wanted = select(CheckRow, numbered.c.n).join(numbered, numbered.c.id == CheckRow.id)
    wanted = wanted.where(numbered.c.place <= most).order_by(numbered.c.place)
    return [(row, n) for row, n in session.execute(wanted)]


def statements(
    conditions: Conditions,
    sort: Sort,
    after: str | None,
    *,
    backwards: bool = False,
    is_grouped: bool = False,
) -> Iterator[Select[CheckRow]]:
    """Yields queries whose rows, one after another, are those after a cursor."""
    runs = _RUNS[sort]
    if backwards:
        runs = [replace(run, is_descending=not run.is_descending) for run in reversed(runs)]
    cursor = None if after is None else _parsed(after)
    if cursor is not None:
        first = next(n for n, run in enumerate(runs) if run.holds(cursor))
        yield runs[first].select(conditions, is_grouped=is_grouped).where(runs[first].after(cursor))
        runs = runs[first + 1 :]
    for run in runs:
        yield run.select(conditions, is_grouped=is_grouped)


def _parsed(text: str) -> _Cursor:
    name, _mark, certainty = text.partition("~")
    try:
        return _Cursor(to_number(name), float(certainty) if certainty else None)
    except ValueError:
        raise UsageError(_("{text} is no place in the history.", text=text[:40])) from None
