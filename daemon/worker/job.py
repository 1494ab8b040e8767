"""One picture on its way through the line, and what came of it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.jobs import Job, Priority
from antifake.daemon.store.ledger import Stamp


@dataclass(frozen=True)
class QueuedJob:
    """A picture whose turn it is."""

    job: Job
    """Of a private picture it is made up and in no log."""
    data: bytes | None = None
    """The bytes of a private picture, which are nowhere else."""

    @property
    def is_private(self) -> bool:
        return self.data is not None

    @property
    def source(self) -> Path | bytes:
        """What the decoder is to read."""
        return Path(self.job.copy or self.job.path or "") if self.data is None else self.data

    @property
    def watched(self) -> str | None:
        """Its path, where a folder's file itself is read: the ledger must know of it."""
        return self.job.path if self.job.source == "watch" and self.job.copy is None else None

    def look(self) -> Stamp | None:
        """The watched file as it is now; None where there is none, or nothing that may be read."""
        if self.watched is None:
            return None
        try:
            info = os.lstat(self.watched)
        except (OSError, ValueError):
            return None
        return Stamp.of(self.watched, info) if stat.S_ISREG(info.st_mode) else None

    @property
    def is_person(self) -> bool:
        return self.job.priority == Priority.PERSON


@dataclass(frozen=True)
class JobResult:
    """What came of one work; without a finding its file has gone or is still being written."""

    work: QueuedJob
    finding: Finding | None = None
    known: Check | None = None
    """What the log had of the same bytes by the same model."""
    stamp: Stamp | None = None
    """As the file of a folder looked before and after it was read."""
    thumbnail: bytes | None = None
    """WebP."""
