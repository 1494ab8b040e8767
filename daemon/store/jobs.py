"""Pictures that wait to be judged. They are in the database, so that they survive a crash."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from secrets import token_bytes

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from antifake.core.i18n import _, ngettext

from .database import NotThereError, changed
from .ids import Randomness, first_number, new_number, to_number, to_text
from .tables import JobRow, Source, State, table_of

MAX_ATTEMPTS = 3
KILLED = ngettext(
    "The program that judges pictures crashed {n} time on this picture; it is left alone.",
    "The program that judges pictures crashed {n} times on this picture; it is left alone.",
    MAX_ATTEMPTS,
)


class Priority(IntEnum):
    """Which jobs are taken first."""

    PERSON = 0
    FOLDER = 1
    BATCH = 2


Queued = tuple[str, Priority, Source]
"""The id of a job that waits, its priority, and where it is from."""
_LOOKED_AT = 512
"""Of those that wait. Without folders there are seldom more than 64."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A picture to be judged."""

    source: Source
    priority: Priority
    path: str | None = None
    """The path of the file for the user; None if it is not a file of this computer."""
    copy: str | None = None
    """The path of the uploaded bytes; None if the file itself is to be read."""
    page: str | None = None
    name: str | None = None
    """What the picture is called, if it has no path."""
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job(NewJob):
    """A job that is queued, running or over."""

    id: str
    state: State
    attempts: int
    """How often it was started."""
    check_id: str | None
    """The resulting check, once it is done."""
    error: str | None


def add(
    session: Session,
    new_job: NewJob,
    now: datetime,
    random: Randomness = token_bytes,
    *,
    is_begun: bool = False,
) -> Job:
    """Adds a job: queued, or running if it `is_begun`."""
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
    """Returns whether it exists: its picture may have been forgotten meanwhile."""
    return session.scalar(_THAT, {"id": to_number(name)}) is not None


def in_order(session: Session, lowest: Priority = Priority.BATCH) -> list[Queued]:
    """Returns the next jobs that wait: people before folders before batches, oldest first.

    Jobs with a priority below `lowest` are left out.
    """
    found = session.execute(_QUEUED, {"lowest": lowest})
    return [(to_text(number), Priority(at), source) for number, at, source in found]


def take(session: Session, name: str) -> Job | None:
    """Starts a job. Returns None if it does not wait any more."""
    row = session.scalars(_CHOSEN, {"id": to_number(name)}).first()
    if row is None:
        return None
    row.state, row.attempts = "running", row.attempts + 1
    session.flush()
    return _job(row)


def queued(session: Session, priority: Priority, limit: int) -> list[Job]:
    """Returns the next jobs of a priority without starting them, oldest first."""
    wanted = select(JobRow).where(JobRow.state == "queued", JobRow.priority == priority)
    return [_job(row) for row in session.scalars(wanted.order_by(JobRow.id).limit(limit))]


def begin(session: Session, name: str) -> None:
    """Starts a job that was begun while that could not be written. Does nothing if it is over."""
    is_that = (JobRow.id == to_number(name)) & (JobRow.state == "queued")
    session.execute(
        update(JobRow).where(is_that).values(state="running", attempts=JobRow.attempts + 1)
    )


def finish(session: Session, name: str, check_id: str) -> None:
    session.execute(_FINISH, {"job": to_number(name), "check": to_number(check_id)})


def fail(session: Session, name: str, sentence: str) -> None:
    row = _row(session, name)
    row.state, row.error = "failed", sentence


def put_back(session: Session, name: str) -> None:
    """Queues it again without counting the attempt, for example when the daemon stops."""
    row = _row(session, name)
    row.state, row.attempts = "queued", max(0, row.attempts - 1)


def try_again(session: Session, name: str) -> bool:
    """After a crash: queues it again and returns True, or marks it as failed after too many."""
    row = _row(session, name)
    if row.attempts >= MAX_ATTEMPTS:
        row.state, row.error = "failed", KILLED
        return False
    row.state = "queued"
    return True


def drop(session: Session, name: str) -> None:
    """Deletes a job with nothing left to judge, for example if its file is gone."""
    session.delete(_row(session, name))


def pending(session: Session) -> list[Job]:
    """Returns all jobs that are queued or running."""
    rows = session.scalars(select(JobRow).where(JobRow.state.in_(("queued", "running"))))
    return [_job(row) for row in rows]


def recover(session: Session) -> tuple[int, list[Job]]:
    """After a crash of the daemon: queues running jobs again.

    Returns how many, and those that were started MAX_ATTEMPTS times and have now failed.
    """
    running = JobRow.state == "running"
    rows = session.scalars(select(JobRow).where(running, JobRow.attempts >= MAX_ATTEMPTS)).all()
    for row in rows:
        row.state, row.error = "failed", KILLED
    session.flush()
    queued = changed(session, update(JobRow).where(running).values(state="queued"))
    return queued, [_job(row) for row in rows]


def waiting(session: Session) -> dict[Priority, int]:
    """Returns how many jobs are queued, by priority."""
    counted = session.execute(_WAITING)
    return dict.fromkeys(Priority, 0) | {Priority(priority): n for priority, n in counted}


def running(session: Session) -> int:
    """Returns how many jobs have been begun and are not over."""
    return session.scalar(_RUNNING) or 0


def ahead(session: Session, name: str) -> int:
    """Returns how many jobs are judged before this one. Raises NotThereError."""
    row = _row(session, name)
    if row.state != "queued":
        return 0
    queued = session.scalar(_AHEAD, {"priority": row.priority, "id": row.id}) or 0
    return queued + running(session)


def in_flight(session: Session, sha256: str) -> Job | None:
    """Returns an unfinished job for the same bytes, to wait for instead of adding a second."""
    row = session.scalars(_IN_FLIGHT, {"sha256": sha256}).first()
    return _job(row) if row else None


def drop_over(session: Session, before: datetime) -> int:
    """Deletes jobs that are done or failed and older than `before`. Returns how many."""
    is_over = JobRow.state.in_(("done", "failed"))
    return changed(session, delete(JobRow).where(is_over, JobRow.id < first_number(before)))


# Built once, because building a statement takes as long as running it. Statements that run for
# every picture bypass the ORM's mapper, which takes as long again.
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
_RUNNING = select(func.count()).select_from(JobRow).where(JobRow.state == "running")
_AHEAD = (
    select(func.count())
    .select_from(JobRow)
    .where(JobRow.state == "queued")
    .where(tuple_(JobRow.priority, JobRow.id) < tuple_(bindparam("priority"), bindparam("id")))
)
_IN_FLIGHT = (
    select(JobRow)
    .where(JobRow.sha256 == bindparam("sha256"), JobRow.state.in_(("queued", "running")))
    .order_by(JobRow.id)
    .limit(1)
)
_QUEUED = (
    select(JobRow.id, JobRow.priority, JobRow.source)
    .where(JobRow.state == "queued", JobRow.priority <= bindparam("lowest"))
    .order_by(JobRow.priority, JobRow.id)
    .limit(_LOOKED_AT)
)
_CHOSEN = (
    select(JobRow)
    .where(JobRow.id == bindparam("id"), JobRow.state == "queued")
    .with_for_update(skip_locked=True)
)


def _row(session: Session, name: str) -> JobRow:
    row = session.get(JobRow, to_number(name))
    if row is None:
        raise NotThereError(_("There is no job {name}.", name=name))
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
        name=row.name,
        sha256=row.sha256,
        check_id=None if row.check_id is None else to_text(row.check_id),
        error=row.error,
    )
