"""The tables. A change needs a migration for existing files: see daemon/migrations.

Times are whole milliseconds since 1970 in UTC. Rows do not leave the package: callers get frozen
dataclasses.
"""

from typing import Literal, cast

from sqlalchemy import Index, LargeBinary, String, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from antifake.core import Label
from antifake.core.evidence.file_evidence import FileBasis
from antifake.core.parts import JudgedPart

from .columns import NUMBER, AnyText, JudgedParts, Sha256, Unsigned64

APPLICATION_ID = 0x616E7466
"""Marks the file as ours in its header: "antf"."""


Source = Literal["watch", "extension", "tray", "cli", "api", "page", "import"]
"""The client, or the part of antifake, that something came from."""
State = Literal["queued", "running", "done", "failed"]
"""The state of a job."""
TrainingState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ExistingState = Literal["counting", "counted", "left", "checking", "paused", "done"]
"""Of the files that a watched folder held already: "counted" awaits the user's answer, "left" are
not to be checked."""
Trigger = Literal["nightly", "words", "cli", "page", "tray", "api"]
"""What started a training: the schedule, enough new corrections, or a person by one of these."""


class Base(DeclarativeBase):
    type_annotation_map = {str: AnyText}  # noqa: RUF012  # as SQLAlchemy requires


def table_of(row: type[Base]) -> Table:
    """Returns the table, for statements that bypass the ORM."""
    return cast(Table, row.__table__)


class CheckRow(Base):
    """One picture judged once, or why it could not be."""

    __tablename__ = "checks"
    __table_args__ = (
        Index("checks_by_picture", "sha256", "id"),
        Index("checks_by_label", "label", "id"),
        Index("checks_by_source", "source", "id"),
        Index("checks_by_certainty", "certainty", "id"),
        Index("checks_by_model", "model", "id"),
        Index("checks_by_group", "group_phash", "id"),
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    source: Mapped[Source] = mapped_column(String)
    label: Mapped[Label | None] = mapped_column(String)
    p_fake: Mapped[float | None]
    model: Mapped[str]
    prompt: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(Sha256)
    phash: Mapped[int | None] = mapped_column(Unsigned64)
    group_phash: Mapped[int | None] = mapped_column(Unsigned64)
    """Of the picture that its group of near-copies began with. None if it can have none."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    format: Mapped[str | None]
    path: Mapped[str | None]
    page: Mapped[str | None]
    name: Mapped[str | None]
    """The name of a picture that came as bytes. The name of a file is in its path."""
    name_key: Mapped[str | None]
    """For searches: the name, or the last part of the path, case-folded, and below it, a line each,
    the other names under which the same bytes were seen."""
    ms: Mapped[float]
    error: Mapped[str | None]
    code: Mapped[str | None]
    certainty: Mapped[float | None]
    """0 (an even chance) .. 0.5, to sort by. None where there is no verdict."""
    parts: Mapped[tuple[JudgedPart, ...] | None] = mapped_column(JudgedParts)
    """None for a row of before version 0.2, when only the middle of a picture was judged."""
    note: Mapped[str | None]


class GroupBandRow(Base):
    """The bands of the hashes that groups of near-copies began with."""

    __tablename__ = "group_bands"
    __table_args__ = ({"sqlite_with_rowid": False},)

    band: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    phash: Mapped[int] = mapped_column(Unsigned64, primary_key=True, index=True)


class OccurrenceRow(Base):
    """A place where a picture was seen that had been checked before."""

    __tablename__ = "occurrences"
    __table_args__ = (
        Index("occurrences_by_picture", "sha256", "at"),
        Index("occurrences_by_path", "path"),
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    sha256: Mapped[str] = mapped_column(Sha256)
    at: Mapped[int] = mapped_column(NUMBER)
    """When it was last seen there."""
    times: Mapped[int]
    source: Mapped[Source] = mapped_column(String)
    path: Mapped[str | None]
    page: Mapped[str | None]
    name: Mapped[str | None]


class ThumbnailRow(Base):
    __tablename__ = "thumbnails"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    at: Mapped[int] = mapped_column(NUMBER, index=True)
    webp: Mapped[bytes] = mapped_column(LargeBinary)


class EvidenceRow(Base):
    """What a file says of itself. It is the same whichever model judged it."""

    __tablename__ = "evidence"
    __table_args__ = (Index("evidence_by_basis", "basis", "sha256"),)

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    version: Mapped[int]
    """Of what was looked for; -1 if some of it could not be read."""
    basis: Mapped[FileBasis] = mapped_column(String)
    file: Mapped[str] = mapped_column(Text)
    """A FileEvidence as JSON."""
    at: Mapped[int] = mapped_column(NUMBER)


class CorrectionRow(Base):
    """The user's label of a picture. Rows are only added; the last one of a picture counts."""

    __tablename__ = "corrections"
    __table_args__ = (Index("corrections_by_picture", "sha256", "seq"),)

    seq: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    sha256: Mapped[str] = mapped_column(Sha256)
    phash: Mapped[int | None] = mapped_column(Unsigned64)
    label: Mapped[Label | None] = mapped_column(String)
    """None if the correction was removed."""
    note: Mapped[str]
    source: Mapped[Source] = mapped_column(String)
    at: Mapped[int] = mapped_column(NUMBER)
    said_at: Mapped[int] = mapped_column(NUMBER)
    """When the user first made the correction; older than `at` in a row that undoes another."""
    undoes: Mapped[int | None] = mapped_column(NUMBER)


class LikenessRow(Base):
    """Which corrected pictures share a quarter of their perceptual hash."""

    __tablename__ = "likenesses"
    __table_args__ = ({"sqlite_with_rowid": False},)

    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True, index=True)


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_in_turn", "state", "priority", "id"),
        Index("jobs_by_picture", "sha256"),
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    state: Mapped[State] = mapped_column(String)
    priority: Mapped[int]
    attempts: Mapped[int]
    source: Mapped[Source] = mapped_column(String)
    path: Mapped[str | None]
    copy: Mapped[str | None]
    page: Mapped[str | None]
    name: Mapped[str | None]
    sha256: Mapped[str | None] = mapped_column(Sha256)
    check_id: Mapped[int | None] = mapped_column(NUMBER, index=True)
    """The check may be gone, or be in the history of another database."""
    error: Mapped[str | None]


class FileRow(Base):
    """The ledger: a file of a watched folder as it was when it was last handled."""

    __tablename__ = "files"
    __table_args__ = (
        Index("files_by_picture", "sha256"),
        Index("files_by_identity", "identity"),
        Index("files_that_wait", "waits_in", "path"),
    )

    path: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(NUMBER)
    mtime_ns: Mapped[int] = mapped_column(NUMBER)
    ctime_ns: Mapped[int | None] = mapped_column(NUMBER)
    """None: it was noted before this was kept, or on Windows."""
    identity: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(Sha256)
    check_id: Mapped[int | None] = mapped_column(NUMBER, index=True)
    """The check may be gone, or be in the history of another database."""
    waits_in: Mapped[str | None]
    """The watched folder that held this file before it was watched. None once it was handled."""


class ExistingRow(Base):
    """How far the files have come that a folder held before it was watched."""

    __tablename__ = "existing"

    folder: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int] = mapped_column(NUMBER)
    """When it was added. What was created or changed since is new."""
    state: Mapped[ExistingState] = mapped_column(String)
    wish: Mapped[ExistingState] = mapped_column(String)
    """The state that follows the counting."""
    total: Mapped[int]
    others: Mapped[int]
    """Files that were passed over, because by their names they are not pictures."""


class TokenRow(Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    name: Mapped[str]
    scopes: Mapped[str]
    origin: Mapped[str | None]
    hash: Mapped[str] = mapped_column(Sha256, unique=True)
    created: Mapped[int] = mapped_column(NUMBER)
    last_used: Mapped[int | None] = mapped_column(NUMBER)
    revoked: Mapped[int | None] = mapped_column(NUMBER)


class CropRow(Base):
    """A kept crop. The pixels are in a file beside the database."""

    __tablename__ = "crops"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    bytes: Mapped[int]
    size: Mapped[int]
    """Width and height in pixels."""
    at: Mapped[int] = mapped_column(NUMBER, index=True)


class TrainingRow(Base):
    """One attempt to learn from the corrections."""

    __tablename__ = "trainings"

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    state: Mapped[TrainingState] = mapped_column(String)
    trigger: Mapped[Trigger] = mapped_column(String)
    model: Mapped[str]
    words: Mapped[str] = mapped_column(Sha256)
    """A hash of what it learned from, to notice that nothing has changed since."""
    at: Mapped[int] = mapped_column(NUMBER)
    ended: Mapped[int | None] = mapped_column(NUMBER)
    reason: Mapped[str | None]
    report: Mapped[str | None] = mapped_column(Text)
    """The trainer's report as JSON."""
    candidate: Mapped[str | None]
    promoted: Mapped[bool]


class ReviewRow(Base):
    """A picture that the user skipped in the review."""

    __tablename__ = "reviews"

    sha256: Mapped[str] = mapped_column(Sha256, primary_key=True)
    skipped: Mapped[int] = mapped_column(NUMBER, index=True)


class SavedFilterRow(Base):
    """A filter of the history that the user has given a name."""

    __tablename__ = "saved_filters"

    name: Mapped[str] = mapped_column(primary_key=True)
    query: Mapped[str]
    at: Mapped[int] = mapped_column(NUMBER)
