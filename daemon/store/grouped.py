"""The history with near-copies together: each group is one picture that opens.

A group is where the first of its pictures is that meet the filter, whatever page the others would
be on. So every picture is in one group of one page, and a page costs what it costs without groups.
"""

from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from . import history, ordering
from .checks import of_row
from .history import Entry, Filter
from .ordering import Sort
from .tables import CheckRow

MAX_COPIES = 12
"""So many near-copies come with a picture. A filter shows all of them."""


@dataclass(frozen=True)
class Group:
    """A picture with its near-copies that meet the filter, in the order of the list."""

    first: Entry
    copies: tuple[Entry, ...] = ()
    n_copies: int = 0
    """How many there are; no more than MAX_COPIES of them are in `copies`."""


@dataclass(frozen=True)
class GroupedPage:
    groups: list[Group]
    next: str | None
    """Pass it as `after` to get the next page; None if this is the last."""


def page(
    session: Session, wanted: Filter, after: str | None, limit: int, sort: Sort = "newest"
) -> GroupedPage:
    """Returns at most `limit` groups. Raises NotThereError or UsageError for a wrong `after`."""
    wanted_of = partial(history.conditions, wanted)
    rows = ordering.rows(session, wanted_of, sort, after, limit + 1, is_grouped=True)
    firsts = rows[:limit]
    copies = _copies(session, wanted_of, sort, firsts)
    shown = [row for first in firsts for row in (first, *copies.get(first.id, ([], 0))[0])]
    found = iter(history.entries(session, [of_row(row) for row in shown]))
    groups = []
    for first in firsts:
        of_it, n = copies.get(first.id, ([], 0))
        groups.append(Group(next(found), tuple(next(found) for _ in of_it), n))
    following = ordering.cursor_of(of_row(firsts[-1]), sort) if len(rows) > limit else None
    return GroupedPage(groups, following)


def _copies(
    session: Session, wanted: ordering.Conditions, sort: Sort, firsts: list[CheckRow]
) -> dict[int, tuple[list[CheckRow], int]]:
    """Returns, by the id of each first, its near-copies to show, and how many it has."""
    ids = {row.group_phash: row.id for row in firsts if row.group_phash is not None}
    found: dict[int, tuple[list[CheckRow], int]] = {}
    for row, n in ordering.members(session, wanted, sort, set(ids), MAX_COPIES + 1):
        first = ids[row.group_phash] if row.group_phash is not None else row.id
        if row.id != first:
            found.setdefault(first, ([], n - 1))[0].append(row)
    return found
