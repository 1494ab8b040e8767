"""What the watcher asks and reports: the sink of the files that it finds."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from antifake.core.images import MAX_BYTES
from antifake.daemon.store import Store, StoreError, checks, ledger, occurrences
from antifake.daemon.store.ledger import Known, Stamp
from antifake.daemon.store.occurrences import Occurrence
from antifake.daemon.watcher.tree import names_below

from .file_hashes import hash_of


@dataclass(frozen=True)
class Intake:
    """Usable from many threads. It is the `Sink` of the watcher."""

    store: Store
    put_file: Callable[[Stamp], bool]
    """Queues a file. Returns False if it cannot be queued now."""
    clock: Callable[[], datetime]
    keeps_paths: Callable[[], bool]
    """Whether the settings allow names and places of files to be kept."""

    def unknown(self, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
        """Yields the stamps of files that are new or changed since they were last dealt with."""
        some = list(stamps)
        with self.store.machine.reading() as session:
            unknown = list(ledger.unknown(session, some))
            renewed = ledger.with_new_ctime(session, some)
        if renewed:
            # If it cannot be written, the next walk comes.
            with suppress(StoreError), self.store.machine.writing() as session:
                ledger.note_ctimes(session, renewed)
        are_as_before = set(renewed)
        yield from (stamp for stamp in unknown if stamp not in are_as_before)

    def found(self, stamp: Stamp) -> bool:
        """Takes a file that is complete. Returns False if it must be offered again later."""
        with self.store.machine.reading() as session:
            noted = ledger.known(session, stamp.path)
            moved = ledger.known_elsewhere(session, stamp)
        if noted is not None and stamp.is_as(noted.stamp):
            return True
        if noted is not None and stamp.is_alike(noted.stamp):
            same: Known | None = noted
        else:
            same = None if moved is None or _has_left(moved, stamp) else moved
        if same is None or not _has_its_bytes(same, stamp):
            return self.put_file(stamp)
        is_told = same is noted or self._tell_of_move(same, stamp.path)
        with self.store.machine.writing() as session:
            ledger.note(
                session,
                stamp,
                sha256=same.sha256,
                check_id=same.check_id,
                waits_in=same.waits_in,
            )
            if not is_told:
                self._note_place(session, same, stamp.path)
        self.store.post()
        return True

    def _tell_of_move(self, old: Known, path: str) -> bool:
        """Changes the path in a shared history. Returns False if it is to be noted here.

        That is so, too, if the server is away: the file was then seen in both places.
        """
        if self.store.machine is self.store or os.path.lexists(old.stamp.path):
            return False
        with suppress(StoreError), self.store.writing() as session:
            if old.sha256 is not None:
                return occurrences.moved(session, old.sha256, old.stamp.path, path)
            if old.check_id is not None:
                checks.moved(session, old.check_id, path)
        return False

    def _note_place(self, session: Session, old: Known, path: str) -> None:
        """Notes where a known file is now, or is too if it has a second name on the disk."""
        is_moved = not os.path.lexists(old.stamp.path)
        if old.sha256 is None:
            if old.check_id is not None and is_moved:
                checks.moved(session, old.check_id, path)
            return
        if is_moved and occurrences.moved(session, old.sha256, old.stamp.path, path):
            return
        seen = Occurrence(
            at=self.clock(), source="watch", path=path if self.keeps_paths() else None
        )
        occurrences.add_file(session, old.sha256, seen)

    def noted(self, folder: str) -> Iterator[str]:
        """Yields the path of every file below a folder that the ledger knows."""
        with self.store.machine.reading() as session:
            yield from ledger.paths_in(session, folder)

    def gone(self, paths: Collection[str]) -> None:
        """These files do not exist any more. Their history stays."""
        with self.store.machine.writing() as session:
            ledger.drop(session, paths)


def _has_its_bytes(known: Known, stamp: Stamp) -> bool:
    """Whether a file that looks like a known one is that one, so that its verdict is for it."""
    if known.waits_in is not None:
        return True  # there is no verdict that it could take over
    if known.sha256 is None:
        return stamp.size > MAX_BYTES  # it was not read, and is as large now
    return hash_of(stamp) == known.sha256


def _has_left(moved: Known, stamp: Stamp) -> bool:
    """Whether a file that nobody wanted checked was moved out of the folder that held it."""
    if moved.waits_in is None:
        return False
    return names_below(os.path.realpath(moved.waits_in), stamp.path) is None
