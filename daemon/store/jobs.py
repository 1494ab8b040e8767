"""What waits to be judged. It is in the log, so that it outlives whoever was judging it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from secrets import token_bytes

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from .database import NotThereError, changed
from .ids import Randomness, first_number, new_number, to_number, to_text
from .tables import JobRow, Source, State, table_of

MAX_ATTEMPTS = 3
KILLED = f"This picture has ended the program that judges {MAX_ATTEMPTS} times; it is left alone."


class Priority(IntEnum):
    """Whose turn comes first."""

    PERSON = 0
    FOLDER = 1
    BATCH = 2


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A picture that is to be judged."""

    source: Source
    priority: Priority
    path: str | None = None
    """Where the file lies, as the person knows it; None: it came from nowhere on this disk."""
    copy: str | None = None
    """Where the bytes that were sent wait to be judged; None: the file itself is read."""
    page: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job(NewJob):
    """One on its way to a verdict."""

    id: str
    state: State
    attempts: int
    """How often it was begun."""
    check_id: str | None
    """The check that came of it, once done."""
    error: str | None


def add(
    session: Session,
    new_job: NewJob,
    now: datetime,
    random: Randomness = token_bytes,
    *,
    is_begun: bool = False,
) -> Job:
    """Queue it, or write down that its turn has come already."""
    number = new_number(now, random)
    while session.scalar(_THAT, {"id": number}) is not None:
        number += 1
    state: State = "running" if is_begun else "queued"
    about = {**asdict(new_job), "state": state, "attempts": int(is_begun)}
    session.execute(_INSERT, {"id": number, **about})
    return Job(id=to_text(number), check_id=None, error=None, **about)


def get(session: Session, name: str) -> Job:
    return _job(_row(session, name))


def is_there(session: Session, name: str) -> bool:
    """Not any more, where its picture was forgotten meanwhile."""
    return session.scalar(_THAT, {"id": to_number(name)}) is not None


def take_next(session: Session, lowest: Priority = Priority.BATCH) -> Job | None:
    """Begin the one whose turn it is: people before folders before batches, oldest first.

    Nobody below `lowest` has a turn now.
    """
    row = session.scalars(_NEXT, {"lowest": lowest}).first()
    if row is None:
        return None
    row.state, row.attempts = "running", row.attempts + 1
    session.flush()
    return _job(row)


def finish(session: Session, name: str, check_id: str) -> None:
    session.execute(_FINISH, {"job": to_number(name), "check": to_number(check_id)})


def fail(session: Session, name: str, sentence: str) -> None:
    row = _row(session, name)
    row.state, row.error = "failed", sentence


def put_back(session: Session, name: str) -> None:
    """It was begun and not its fault that it was not finished, as when the daemon stops."""
    row = _row(session, name)
    row.state, row.attempts = "queued", max(0, row.attempts - 1)


def try_again(session: Session, name: str) -> bool:
    """Whoever judged it has died of it, or beside it: queue it again, or give it up as failed."""
    row = _row(session, name)
    if row.attempts >= MAX_ATTEMPTS:
        row.state, row.error = "failed", KILLED
        return False
    row.state = "queued"
    return True


def drop(session: Session, name: str) -> None:
    """There is nothing to judge any more, as where a file has gone again."""
    session.delete(_row(session, name))


def pending(session: Session) -> list[Job]:
    """All that are queued or running."""
    rows = session.scalars(select(JobRow).where(JobRow.state.in_(("queued", "running"))))
    return [_job(row) for row in rows]


def recover(session: Session) -> tuple[int, list[Job]]:
    """After a death of whoever was judging: what was running is queued again.

    Gives how many, and those that were begun MAX_ATTEMPTS times, which are now failed.
    """
    running = JobRow.state == "running"
    rows = session.scalars(select(JobRow).where(running, JobRow.attempts >= MAX_ATTEMPTS)).all()
    for row in rows:
        row.state, row.error = "failed", KILLED
    session.flush()
    queued = changed(session, update(JobRow).where(running).values(state="queued"))
    return queued, [_job(row) for row in rows]


def waiting(session: Session) -> dict[Priority, int]:
    """How many are queued."""
    counted = session.execute(_WAITING)
    return dict.fromkeys(Priority, 0) | {Priority(priority): n for priority, n in counted}


def in_flight(session: Session, sha256: str) -> Job | None:
    """A job for the same bytes that is not over yet, to wait for instead of a second one."""
    row = session.scalars(_IN_FLIGHT, {"sha256": sha256}).first()
    return _job(row) if row else None


def drop_over(session: Session, before: datetime) -> int:
    """Forget jobs that are done or failed and were made before then; gives how many."""
    is_over = JobRow.state.in_(("done", "failed"))
    return changed(session, delete(JobRow).where(is_over, JobRow.id < first_number(before)))


# Put together once: that takes as long as asking. What is written for every picture goes past
# the mapper, which takes as long again.
_INSERT = table_of(JobRow).insert()
_THAT = select(JobRow.id).where(JobRow.id == bindparam("id"))
_FINISH = (
    update(table_of(JobRow))
    .where(JobRow.id == bindparam("job"))
    .values(state="done", check_id=bindparam("check"), error=None)
)
_WAITING = (
    select(JobRow.priority, func.count()).where(JobRow.state == "queued").group_by(JobRow.priority)
)
_IN_FLIGHT = (
    select(JobRow)
    .where(JobRow.sha256 == bindparam("sha256"), JobRow.state.in_(("queued", "running")))
    .order_by(JobRow.id)
    .limit(1)
)
_NEXT = (
    select(JobRow)
    .where(JobRow.state == "queued", JobRow.priority <= bindparam("lowest"))
    .order_by(JobRow.priority, JobRow.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)


def _row(session: Session, name: str) -> JobRow:
    row = session.get(JobRow, to_number(name))
    if row is None:
        raise NotThereError(f"There is no job {name} (any more).")
    return row


def _job(row: JobRow) -> Job:
    return Job(
        id=to_text(row.id),
        state=row.state,
        priority=Priority(row.priority),
        attempts=row.attempts,
        source=row.source,
        path=row.path,
        copy=row.copy,
        page=row.page,
        sha256=row.sha256,
        check_id=None if row.check_id is None else to_text(row.check_id),
        error=row.error,
    )
