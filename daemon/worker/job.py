"""A picture that is to be judged, and what came of it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from antifake.core.evidence.file_evidence import FileEvidence
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.jobs import Job, Priority
from antifake.daemon.store.ledger import Stamp


@dataclass(frozen=True)
class QueuedJob:
    """A job that was taken from the queue."""

    job: Job
    """For a private picture it is in memory only, not in the database."""
    data: bytes | None = None
    """The bytes of a private picture, which are stored nowhere else."""

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def is_private(self) -> bool:
        return self.data is not None

    @property
    def is_person(self) -> bool:
        return self.job.priority == Priority.PERSON

    @property
    def source(self) -> Path | bytes:
        """What the decoder reads."""
        return Path(self.job.copy or self.job.path or "") if self.data is None else self.data

    @property
    def watched(self) -> str | None:
        """The path, if a file of a watched folder is read: the ledger must know about it."""
        return self.job.path if self.job.source == "watch" and self.job.copy is None else None

    def stamp(self) -> Stamp | None:
        """The watched file as it is now. None if it is missing or is no regular file."""
        if self.watched is None:
            return None
        try:
            info = os.lstat(self.watched)
        except (OSError, ValueError):
            return None
        return Stamp.of(self.watched, info) if stat.S_ISREG(info.st_mode) else None


@dataclass(frozen=True)
class JobResult:
    """The result of one job. It has no finding if the file is missing or still being written."""

    job: QueuedJob
    finding: Finding | None = None
    known: Check | None = None
    """The check in the history of the same bytes by the same model."""
    is_named: bool = True
    """Whether the settings allow name and place of a known picture to be kept."""
    stamp: Stamp | None = None
    """How the watched file looked both before and after it was read."""
    thumbnail: bytes | None = None
    """WebP."""
    crop: bytes | None = None
    """What the model saw, as lossless WebP."""
    crop_size: int = 0
    """Its width and height in pixels."""
    file: FileEvidence | None = None
    """What the file says of itself; None if it could not be looked at."""
