"""Kept crops: the pixels that the model saw, which learning from a correction needs.

They are files beside the database, SHA256.webp, lossless. A row in the table says that a file
counts; files without one are left over from a killed process. A crop is held for a while, and kept
for as long as the user's label of its picture exists.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session

from .checks import last_verdicts
from .corrections import corrected
from .database import in_parts
from .ids import from_ms, to_ms, to_text
from .tables import CheckRow, CropRow

_OURS = re.compile(r"\.?[0-9a-f]{64}(\.webp|\.[0-9a-f]{16})")
_LEFT_OVER_AFTER = timedelta(hours=1)
"""A younger file without a row may belong to a transaction that is not over."""


@dataclass(frozen=True)
class Crop:
    """What is known about one kept crop."""

    sha256: str
    """Of the bytes of the original picture."""
    bytes: int
    """The size of the file."""
    size: int
    """Width and height in pixels."""
    at: datetime
    is_kept: bool
    """The user has labelled the picture, so that it is kept for good."""
    check: str | None
    """The id of the last check of the picture; None for a crop of an imported pack."""


@dataclass(frozen=True)
class CropStats:
    """How many crops there are, and how much room they take."""

    n: int
    bytes: int


@dataclass(frozen=True)
class CropFiles:
    """The folder of the crops. Thread-safe."""

    folder: Path

    def path(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.webp"

    def write(self, sha256: str, webp: bytes) -> None:
        """Writes a crop, readable by this user only. Raises OSError.

        It is not synced, for speed: a file that a power cut has torn does not decode.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f".{sha256}.{token_hex(8)}"
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(webp)
            part.replace(self.path(sha256))
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def remove(self, sha256s: Collection[str]) -> None:
        for sha256 in sha256s:
            self.path(sha256).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Yields the sha256 of each file."""
        for path in self.folder.glob("*.webp"):
            if _OURS.fullmatch(path.name):
                yield path.stem

    def sweep(self, known: Collection[str], now: datetime) -> int:
        """Removes files that no row knows, unless they are new. Returns how many."""
        left_over = [
            path
            for path in (self.folder.iterdir() if self.folder.is_dir() else ())
            if _OURS.fullmatch(path.name) and (path.suffix != ".webp" or path.stem not in known)
        ]
        before = (now - _LEFT_OVER_AFTER).timestamp()
        old = [path for path in left_over if path.lstat().st_mtime < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def note(session: Session, sha256: str, n_bytes: int, size: int, now: datetime) -> None:
    """Records that the file of a crop is there."""
    session.execute(delete(CropRow).where(CropRow.sha256 == sha256))
    session.add(CropRow(sha256=sha256, bytes=n_bytes, size=size, at=to_ms(now)))
    session.flush()


def sizes(session: Session, sha256s: Collection[str]) -> dict[str, int]:
    """Returns the width of each of these crops that there is, by sha256."""
    found: dict[str, int] = {}
    for some in in_parts(sorted(set(sha256s))):
        wanted = select(CropRow.sha256, CropRow.size).where(CropRow.sha256.in_(some))
        rows = session.execute(wanted)
        found |= {sha256: size for sha256, size in rows}  # noqa: C416 - rows are no pairs
    return found


def stats(session: Session) -> tuple[CropStats, CropStats]:
    """Returns those that are held for a while, and those that are kept for good."""
    wanted = select(func.count(), func.coalesce(func.sum(CropRow.bytes), 0)).select_from(CropRow)
    counts = [
        CropStats(int(n), int(n_bytes))
        for condition in (CropRow.sha256.not_in(corrected()), CropRow.sha256.in_(corrected()))
        for n, n_bytes in session.execute(wanted.where(condition))
    ]
    return counts[0], counts[1]


def page(session: Session, after: str | None = None, limit: int = 100) -> Sequence[Crop]:
    """Returns at most `limit` crops in the order of their sha256, those after `after`."""
    last = (
        select(func.max(CheckRow.id))
        .where(CheckRow.sha256 == CropRow.sha256)
        .correlate(CropRow)
        .scalar_subquery()
    )
    wanted = select(CropRow, CropRow.sha256.in_(corrected()), last).order_by(CropRow.sha256)
    if after is not None:
        wanted = wanted.where(CropRow.sha256 > after)
    return [
        Crop(
            row.sha256,
            row.bytes,
            row.size,
            from_ms(row.at),
            bool(is_kept),
            None if number is None else to_text(number),
        )
        for row, is_kept, number in session.execute(wanted.limit(limit))
    ]


def every(session: Session) -> set[str]:
    return set(session.scalars(select(CropRow.sha256)))


def surplus(session: Session, before: datetime, most: int) -> list[str]:
    """Returns which crops need not be held: too old, too many, or without check and label."""
    held = CropRow.sha256.not_in(corrected())
    checked = select(CheckRow.sha256).where(CheckRow.sha256.is_not(None))
    newest = (
        select(CropRow.sha256).where(held).order_by(CropRow.at.desc(), CropRow.sha256).limit(most)
    )
    kept = set(session.scalars(newest))
    too_old = or_(CropRow.at < to_ms(before), CropRow.sha256.not_in(checked))
    found = set(session.scalars(select(CropRow.sha256).where(and_(held, too_old))))
    return sorted(found | (set(session.scalars(select(CropRow.sha256).where(held))) - kept))


def drop(session: Session, sha256s: Collection[str]) -> None:
    for some in in_parts(sorted(set(sha256s))):
        session.execute(delete(CropRow).where(CropRow.sha256.in_(some)))


def last_judged(session: Session, size: int, limit: int) -> list[tuple[str, str]]:
    """Returns id and sha256 of the last verdicts whose crop of that size is there, newest first."""
    last = last_verdicts()
    wanted = (
        select(CheckRow.id, CheckRow.sha256)
        .join(last, CheckRow.id == last.c.number)
        .join(CropRow, CropRow.sha256 == CheckRow.sha256)
        .where(CropRow.size == size)
        .order_by(CheckRow.id.desc())
        .limit(limit)
    )
    return [(to_text(number), sha256) for number, sha256 in session.execute(wanted) if sha256]


def paths(session: Session, sha256: str) -> list[str]:
    """Returns where the files of a picture were, the last first."""
    wanted = select(CheckRow.path).where(CheckRow.sha256 == sha256, CheckRow.path.is_not(None))
    found = session.scalars(wanted.order_by(CheckRow.id.desc()).limit(20))
    return list(dict.fromkeys(path for path in found if path))
