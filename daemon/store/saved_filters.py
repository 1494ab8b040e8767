"""Filters of the history that the user has given names."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from antifake.core.errors import UsageError
from antifake.core.i18n import ngettext

from .ids import to_ms
from .tables import SavedFilterRow

MOST = 50
LONGEST_NAME = 60


def every(session: Session) -> dict[str, str]:
    """Returns the filters, as the query of an address, by name and in the order of names."""
    found = session.scalars(select(SavedFilterRow).order_by(SavedFilterRow.name))
    return {row.name: row.query for row in found}


def save(session: Session, name: str, query: str, now: datetime) -> None:
    """Saves a filter; one of the same name is replaced. Raises UsageError."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        sentence = ngettext(
            "Give it a name of at most {n} letter.",
            "Give it a name of at most {n} letters.",
            LONGEST_NAME,
        )
        raise UsageError(sentence)
    others = select(func.count()).select_from(SavedFilterRow).where(SavedFilterRow.name != name)
    if (session.scalar(others) or 0) >= MOST:
        sentence = ngettext(
            "At most {n} filter is kept. Delete it first.",
            "At most {n} filters are kept. Delete one first.",
            MOST,
        )
        raise UsageError(sentence)
    session.merge(SavedFilterRow(name=name, query=query, at=to_ms(now)))
    session.flush()


def drop(session: Session, name: str) -> None:
    session.execute(delete(SavedFilterRow).where(SavedFilterRow.name == name))
