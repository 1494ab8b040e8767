"""What was found goes into the log: verdict, ledger, thumbnail and job in one transaction."""

from datetime import datetime

from sqlalchemy.orm import Session

from antifake.daemon.store import checks, jobs, ledger
from antifake.daemon.store.checks import Check
from antifake.daemon.store.ids import to_number

from .job import JobResult


def record(session: Session, result: JobResult, now: datetime) -> Check | None:
    """Gives the check that it led to; None where there was nothing to judge any more."""
    job, finding = result.work.job, result.finding
    if not jobs.is_there(session, job.id):
        return None  # the person had it forgotten while it was judged
    known = result.known
    if known is None and finding is None:
        jobs.drop(session, job.id)
        return None
    if known is None and finding is not None:
        known = _already(session, result) or _new(session, result, now)
    if known is not None:
        if result.stamp is not None:
            ledger.note(session, result.stamp, sha256=known.sha256, check_id=known.id)
        jobs.finish(session, job.id, known.id)
    return known


def _already(session: Session, result: JobResult) -> Check | None:
    """A copy of the same picture may have been judged in the same breath."""
    finding = result.finding
    if finding is None or finding.label is None or finding.sha256 is None:
        return None
    return checks.earlier(session, finding.sha256, finding.model, finding.prompt)


def _new(session: Session, result: JobResult, now: datetime) -> Check | None:
    """Under the job's own number: who waits for the job has the check's name already."""
    finding = result.finding
    if finding is None:
        return None
    number = checks.free_number(session, to_number(result.work.job.id))
    check = checks.insert(session, finding, number)
    if result.thumbnail is not None and finding.sha256 is not None:
        checks.keep_thumbnail(session, finding.sha256, result.thumbnail, now)
    return check
