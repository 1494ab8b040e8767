"""Kept crops: the pixels that the model saw, which learning from a correction needs.

They are files beside the database, SHA256.webp, lossless. A row in the table says that a file
counts; files without one are left over from a killed process. A crop is held for a while, and kept
for as long as the user's label of its picture exists.

The files are on this computer, and so are the rows: in `Store.machine`. What is said of a picture
is in the history, which may be shared. So some functions take a session of each.
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from .checks import last_of
from .corrections import corrected, labelled, latest
from .database import in_parts
from .ids import from_ms, to_ms, to_text
from .tables import CheckRow, CorrectionRow, CropRow

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


def stats(session: Session, of_labelled: Collection[str]) -> tuple[CropStats, CropStats]:
    """Returns those that are held for a while, and those of labelled pictures, kept for good."""
    held: list[int] = []
    kept: list[int] = []
    for sha256, n_bytes in session.execute(select(CropRow.sha256, CropRow.bytes)):
        (kept if sha256 in of_labelled else held).append(n_bytes)
    return CropStats(len(held), sum(held)), CropStats(len(kept), sum(kept))


def page(
    session: Session, of_history: Session, after: str | None = None, limit: int = 100
) -> list[Crop]:
    """Returns at most `limit` crops in the order of their sha256, those after `after`."""
    wanted = select(CropRow).order_by(CropRow.sha256)
    if after is not None:
        wanted = wanted.where(CropRow.sha256 > after)
    rows = session.scalars(wanted.limit(limit)).all()
    pictures = [row.sha256 for row in rows]
    said = latest(of_history, pictures)
    last = {check.sha256: check.id for check in last_of(of_history, pictures)}
    return [
        Crop(
            row.sha256,
            row.bytes,
            row.size,
            from_ms(row.at),
            row.sha256 in said,
            last.get(row.sha256),
        )
        for row in rows
    ]


def every(session: Session) -> set[str]:
    return set(session.scalars(select(CropRow.sha256)))


def surplus(session: Session, of_history: Session, before: datetime, most: int) -> list[str]:
    """Returns which crops need not be held: too old, too many, or without check and label."""
    wanted = select(CropRow.sha256, CropRow.at).order_by(CropRow.at.desc(), CropRow.sha256)
    kept = labelled(of_history)
    held = [(sha256, at) for sha256, at in session.execute(wanted) if sha256 not in kept]
    pictures = [sha256 for sha256, _ in held]
    # What waits to be sent is checked, too.
    checked = {sha256 for one in {of_history, session} for sha256 in _checked(one, pictures)}
    unwanted = {sha256 for sha256, at in held if at < to_ms(before) or sha256 not in checked}
    return sorted({*unwanted, *pictures[most:]})


def _checked(session: Session, sha256s: Collection[str]) -> Iterator[str]:
    for some in in_parts(sha256s):
        found = select(CheckRow.sha256).where(CheckRow.sha256.in_(some)).distinct()
        yield from filter(None, session.scalars(found))


def drop(session: Session, sha256s: Collection[str]) -> None:
    for some in in_parts(sorted(set(sha256s))):
        session.execute(delete(CropRow).where(CropRow.sha256.in_(some)))


def last_judged(
    session: Session, of_history: Session, size: int, limit: int
) -> list[tuple[str, str]]:
    """Returns id and sha256 of the last verdicts whose crop of that size is there, newest first."""
    last = func.max(CheckRow.id)
    judged = select(last, CheckRow.sha256).where(CheckRow.label.is_not(None))
    found: list[tuple[int, str]] = []
    for some in in_parts(session.scalars(select(CropRow.sha256).where(CropRow.size == size))):
        of_them = judged.where(CheckRow.sha256.in_(some)).group_by(CheckRow.sha256)
        found += [(number, sha256) for number, sha256 in of_history.execute(of_them) if sha256]
    return [(to_text(number), sha256) for number, sha256 in sorted(found, reverse=True)[:limit]]


def labelled_with_paths(session: Session) -> set[str]:
    """Returns the sha256 of every picture that the user has labelled and that has `paths`."""
    is_there = (CheckRow.sha256 == CorrectionRow.sha256, CheckRow.path.is_not(None))
    return set(session.scalars(corrected().where(exists().where(*is_there))))


def paths(session: Session, sha256: str) -> list[str]:
    """Returns where the files of a picture were, the last first."""
    wanted = select(CheckRow.path).where(CheckRow.sha256 == sha256, CheckRow.path.is_not(None))
    found = session.scalars(wanted.order_by(CheckRow.id.desc()).limit(20))
    return list(dict.fromkeys(path for path in found if path))
