"""The orders in which the history can be read, page by page, in both directions.

A page begins after the last row of the one before (keyset pagination), so page 2000 costs what
page 1 does, and nothing shifts while new rows arrive. A cursor is the id of that row, and where the
order is not by time, its certainty, too, so that it stays good when the row is deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import Session

from antifake.core.errors import UsageError
from antifake.core.i18n import _

from .checks import Check, certainty
from .ids import to_number
from .tables import CheckRow, table_of

Sort = Literal["newest", "oldest", "surest", "unsure"]


@dataclass(frozen=True)
class _Run:
    """Rows that are in the order of some columns. `is_judged`: only those with a verdict."""

    keys: tuple[ColumnElement[Any], ...]
    is_descending: bool
    is_judged: bool | None = None

    def holds(self, cursor: "_Cursor") -> bool:
        return self.is_judged in (None, cursor.certainty is not None)

    def select(self, conditions: Sequence[ColumnElement[bool]]) -> Select[CheckRow]:
        found = select(CheckRow).where(*conditions)
        if self.is_judged is not None:
            is_none = _CERTAINTY.is_(None)
            found = found.where(~is_none if self.is_judged else is_none)
        keys = [key.desc() if self.is_descending else key.asc() for key in self.keys]
        return found.order_by(*keys)

    def after(self, cursor: "_Cursor") -> ColumnElement[bool]:
        values = (cursor.certainty, cursor.number)[-len(self.keys) :]
        here: Any = tuple_(*self.keys) if len(self.keys) > 1 else self.keys[0]
        there: Any = tuple_(*values) if len(self.keys) > 1 else values[0]
        result: ColumnElement[bool] = here < there if self.is_descending else here > there
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
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
    after: str | None,
    limit: int,
    *,
    backwards: bool = False,
) -> list[CheckRow]:
    """Returns at most `limit` rows after (backwards: before, the nearest first) a cursor."""
    found: list[CheckRow] = []
    for statement in statements(conditions, sort, after, backwards=backwards):
        found += session.scalars(statement.limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


def statements(
    conditions: Sequence[ColumnElement[bool]],
    sort: Sort,
    after: str | None,
    *,
    backwards: bool = False,
) -> Iterator[Select[CheckRow]]:
    """Yields queries whose rows, one after another, are those after a cursor."""
    runs = _RUNS[sort]
    if backwards:
        runs = [replace(run, is_descending=not run.is_descending) for run in reversed(runs)]
    cursor = None if after is None else _parsed(after)
    if cursor is not None:
        first = next(n for n, run in enumerate(runs) if run.holds(cursor))
        yield runs[first].select(conditions).where(runs[first].after(cursor))
        runs = runs[first + 1 :]
    for run in runs:
        yield run.select(conditions)


def _parsed(text: str) -> _Cursor:
    name, _mark, certainty = text.partition("~")
    try:
        return _Cursor(to_number(name), float(certainty) if certainty else None)
    except ValueError:
        raise UsageError(_("{text} is no place in the history.", text=text[:40])) from None
