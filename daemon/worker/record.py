"""What was found goes into the log: verdict, ledger, thumbnail and job in one transaction."""

from datetime import datetime

from sqlalchemy.orm import Session

from antifake.daemon.store import checks, jobs, ledger
from antifake.daemon.store.checks import Check
from antifake.daemon.store.ids import to_number

from .job import Outcome


def record(session: Session, outcome: Outcome, now: datetime) -> Check | None:
    """Gives the check that it led to; None where there was nothing to judge any more."""
    job, finding = outcome.work.job, outcome.finding
    if not jobs.is_there(session, job.id):
        return None  # the person had it forgotten while it was judged
    known = outcome.known
    if known is None and finding is None:
        jobs.drop(session, job.id)
        return None
    if known is None and finding is not None:
        known = _already(session, outcome) or _new(session, outcome, now)
    if known is not None:
        if outcome.stamp is not None:
            ledger.note(session, outcome.stamp, sha256=known.sha256, check_id=known.id)
        jobs.finish(session, job.id, known.id)
    return known


def _already(session: Session, outcome: Outcome) -> Check | None:
    """A copy of the same picture may have been judged in the same breath."""
    finding = outcome.finding
    if finding is None or finding.label is None or finding.sha256 is None:
        return None
    return checks.earlier(session, finding.sha256, finding.model, finding.prompt)


def _new(session: Session, outcome: Outcome, now: datetime) -> Check | None:
    """Under the job's own number: who waits for the job has the check's name already."""
    finding = outcome.finding
    if finding is None:
        return None
    number = checks.free_number(session, to_number(outcome.work.job.id))
    check = checks.insert(session, finding, number)
    if outcome.thumbnail is not None and finding.sha256 is not None:
        checks.keep_thumbnail(session, finding.sha256, outcome.thumbnail, now)
    return check
