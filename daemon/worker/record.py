"""Writes a result into the database: check, what its file says, ledger, thumbnail and job.

All of it is written in one transaction.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from antifake.daemon.store import checks, crops, evidence, jobs, ledger, occurrences
from antifake.daemon.store.checks import Check
from antifake.daemon.store.crops import CropFiles
from antifake.daemon.store.ids import to_number
from antifake.daemon.store.occurrences import Occurrence

from .job import JobResult

log = logging.getLogger(__name__)


def record(session: Session, result: JobResult, now: datetime) -> Check | None:
    """Returns the check that the job led to, or None if there was nothing left to judge."""
    job, finding = result.job, result.finding
    if not job.is_in_memory and not jobs.is_there(session, job.id):
        return None  # the person had the picture forgotten while it was judged
    known = result.known
    if known is None and finding is None:
        if not job.is_in_memory:
            jobs.drop(session, job.id)
        return None
    if known is None:
        known = _existing(session, result)
    if known is None:
        known = _insert(session, result, now)
    else:
        _note_place(session, result, known, now)
    if known is not None:
        if result.file is not None and known.sha256 is not None:
            evidence.keep(session, known.sha256, result.file, now)
        if result.stamp is not None:
            ledger.note(session, result.stamp, sha256=known.sha256, check_id=known.id)
        jobs.finish(session, job.id, known.id)
    return known


def _existing(session: Session, result: JobResult) -> Check | None:
    """Returns the check of a copy of the same picture that was judged in the same batch."""
    finding = result.finding
    if finding is None or finding.label is None or finding.sha256 is None:
        return None
    return checks.earlier(session, finding.sha256, finding.model, finding.prompt)


def _note_place(session: Session, result: JobResult, known: Check, now: datetime) -> None:
    """Notes that the picture of a check was seen again."""
    job, stamp = result.job.job, result.stamp
    if known.sha256 is None:
        return
    is_named = result.is_named
    seen = Occurrence(
        at=now,
        source=job.source,
        path=job.path if is_named else None,
        page=job.page,
        name=job.name if is_named else None,
    )
    if result.job.watched is None:
        occurrences.add(session, known.sha256, seen)
        return
    noted = ledger.known(session, stamp.path) if stamp else None
    if noted is None or noted.sha256 != known.sha256:  # not only touched
        occurrences.add_file(session, known.sha256, seen)


def _insert(session: Session, result: JobResult, now: datetime) -> Check | None:
    """Inserts the check under the id of its job, which clients that wait already have."""
    finding = result.finding
    if finding is None:
        return None
    number = checks.free_number(session, to_number(result.job.id))
    check = checks.insert(session, finding, number)
    if finding.sha256 is not None:
        occurrences.include_names(session, finding.sha256)
    if result.thumbnail is not None and finding.sha256 is not None:
        checks.keep_thumbnail(session, finding.sha256, result.thumbnail, now)
    if result.crop is not None and finding.sha256 is not None:
        crops.note(session, finding.sha256, len(result.crop), result.crop_size, now)
    return check


def write_crops(files: CropFiles, results: Sequence[JobResult]) -> list[JobResult]:
    """Writes the files of the crops, before the transaction that records them.

    A crop that cannot be written is left out: the verdict does not need it.
    """
    return [
        result if _has_written(files, result) else replace(result, crop=None) for result in results
    ]


def _has_written(files: CropFiles, result: JobResult) -> bool:
    finding = result.finding
    if result.crop is None or finding is None or finding.sha256 is None or finding.label is None:
        return False
    try:
        files.write(finding.sha256, result.crop)
    except OSError as error:
        log.warning("a crop cannot be kept: %s", error.strerror)
        return False
    return True
