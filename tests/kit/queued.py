"""Takes jobs out of a store, in the order in which a queue with one client does."""

from sqlalchemy.orm import Session

from antifake.daemon.store import jobs
from antifake.daemon.store.jobs import Job


def take_next(session: Session) -> Job | None:
    """Starts the next job. Returns None if none waits."""
    first = jobs.in_order(session)[:1]
    return jobs.take(session, first[0][0]) if first else None
