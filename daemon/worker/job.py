"""A picture that is to be judged, and what came of it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.files import PlainFile
from antifake.daemon.store.checks import Check, Finding
from antifake.daemon.store.jobs import Job, Priority
from antifake.daemon.store.ledger import Stamp


@dataclass(frozen=True)
class QueuedJob:
    """A job that was taken from the queue."""

    job: Job
    """In the database, unless the picture is in memory only."""
    data: bytes | None = None
    """The bytes of a picture that is in memory only: of a private one, or one that could not be
    written down when it came."""
    is_private: bool = False
    """Nothing about it may be stored."""
    client: str = ""
    """Who sent it, see Turns."""

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def is_in_memory(self) -> bool:
        return self.data is not None

    @property
    def is_person(self) -> bool:
        return self.job.priority == Priority.PERSON

    @property
    def source(self) -> Path | PlainFile | bytes:
        """What the decoder reads. A file of a watched folder must not be replaced by a link."""
        if self.data is not None:
            return self.data
        path = Path(self.job.copy or self.job.path or "")
        return path if self.watched is None else PlainFile(path)

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
    decode_s: float = 0.0
    """How long its picture took to decode."""
