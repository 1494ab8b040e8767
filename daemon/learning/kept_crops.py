"""The crops that are kept of the user's pictures: listed, deleted, and trimmed to the settings."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from antifake.daemon.config import Config
from antifake.daemon.store import Store, corrections, crops
from antifake.daemon.store.crops import Crop, CropFiles, CropStats


@dataclass(frozen=True)
class KeptCrops:
    """Thread-safe."""

    store: Store
    files: CropFiles
    config: Callable[[], Config]
    clock: Callable[[], datetime]
    tell: Callable[..., None]

    def page(self, after: str | None = None, limit: int = 100) -> list[Crop]:
        """Returns at most `limit` crops by sha256, those after `after`."""
        with self.store.reading_both() as (of_history, session):
            return crops.page(session, of_history, after, limit)

    def stats(self) -> tuple[CropStats, CropStats]:
        """Returns those that are held for a while, and those that are kept for good."""
        with self.store.reading() as session:
            labelled = corrections.labelled(session)
        with self.store.machine.reading() as session:
            return crops.stats(session, labelled)

    def delete(self, sha256s: Collection[str] | None = None) -> int:
        """Deletes these crops, or all. Returns how many. What was said of the pictures stays."""
        with self.store.machine.writing(durable=True) as session:
            there = crops.every(session)
            gone = there if sha256s is None else there & set(sha256s)
            crops.drop(session, gone)
        self.files.remove(gone)
        if sha256s is None:
            self.files.remove(list(self.files.names()))
        self.tell(crops=len(there) - len(gone))
        return len(gone)

    def trim(self) -> int:
        """Deletes crops that need not be held any longer. Returns how many."""
        learning = self.config().learning
        before = self.clock() - timedelta(days=learning.hold_days)
        with self.store.reading_both() as (of_history, session):
            gone = crops.surplus(session, of_history, before, learning.hold_crops)
        if gone:
            with self.store.machine.writing() as session:
                crops.drop(session, gone)
            self.files.remove(gone)
        return len(gone)

    def tidy(self) -> None:
        """Deletes crops that need not be held, and files that no row knows."""
        self.trim()
        with self.store.machine.reading() as session:
            known = crops.every(session)
        self.files.sweep(known, self.clock())
