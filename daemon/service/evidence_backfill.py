"""Reads what files say of themselves for pictures that were judged before that was read.

Only when a person asks for it, and only from files that still are where the history says, with the
bytes that were judged. What is read is stored as it comes, so a run that is stopped goes on where
it was.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from antifake.core.decoder import Decoder
from antifake.core.errors import AntifakeError
from antifake.core.evidence.file_evidence import FileEvidence
from antifake.core.evidence.reading import EvidenceReader
from antifake.core.i18n import _, ngettext
from antifake.daemon.store import Store, StoreError, evidence
from antifake.daemon.store.evidence import Wanting

from .originals import Original

log = logging.getLogger(__name__)

AT_ONCE = 16
"""So many pictures are stored in one transaction."""


@dataclass(frozen=True)
class BackfillState:
    """How far it is."""

    is_running: bool = False
    left: int = 0
    """Pictures of the history whose file was not looked at yet."""
    total: int = 0
    """Pictures of the last run."""
    read: int = 0
    """Of these, those that were read."""
    missing: int = 0
    """Of these, those whose file is not there any more, is another one now, or cannot be read."""

    @property
    def done(self) -> int:
        return self.read + self.missing

    @property
    def summary(self) -> str:
        """Returns it in a sentence or two; "" if there is nothing to say."""
        if self.is_running:
            return _(
                "Reading what files say: {done:,} of {total:,}.", done=self.done, total=self.total
            )
        if not self.total:
            return ""
        read = ngettext(
            "The file of {n:,} picture was read.",
            "The files of {n:,} pictures were read.",
            self.read,
        )
        gone = ngettext(
            "That of {n:,} is not there any more, has changed, or cannot be read.",
            "Those of {n:,} are not there any more, have changed, or cannot be read.",
            self.missing,
        )
        return f"{read} {gone}" if self.missing else read


class EvidenceBackfill:
    """Thread-safe. It has a thread of its own while it runs."""

    def __init__(
        self,
        store: Store,
        original: Callable[[str], Original],
        clock: Callable[[], datetime],
        tell: Callable[[], None],
    ) -> None:
        """`original` finds the file of a check. `tell` is called when the state is another."""
        self._store, self._original, self._clock, self._tell = store, original, clock, tell
        self._lock = threading.Lock()
        self._state: BackfillState | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def state(self) -> BackfillState:
        """Raises StoreError."""
        with self._lock:
            if self._state is None:  # later checks have what their files say
                self._state = BackfillState(left=self._count())
            return self._state

    def start(self) -> None:
        """Starts, unless it runs already. Raises StoreError."""
        with self._lock:
            if self._state and self._state.is_running:
                return
            self._stop.clear()
            total = self._count(again=True)
            self._state = BackfillState(is_running=True, left=self._count(), total=total)
            self._thread = threading.Thread(target=self._run, name="evidence-backfill", daemon=True)
            self._thread.start()
        self._tell()

    def stop(self) -> None:
        """Ends a run. What has been read is kept, and the next run does not read it again."""
        self._stop.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(10)

    close = stop

    def _count(self, *, again: bool = False) -> int:
        with self._store.reading() as session:
            return evidence.count_wanting(session, again=again)

    def _run(self) -> None:
        try:
            with Decoder(view="marks") as decoder, EvidenceReader() as reader:
                self._read_all(decoder, reader)
        except StoreError as error:
            log.warning("what files say cannot be stored: %s", error)
        finally:
            with self._lock:
                if self._state is not None:
                    self._state = replace(self._state, is_running=False)
            self._tell()

    def _read_all(self, decoder: Decoder, reader: EvidenceReader) -> None:
        after = ""
        while not self._stop.is_set():
            with self._store.reading() as session:
                some = evidence.wanting(session, after, AT_ONCE)
            if not some:
                return
            after = some[-1].sha256
            found = {
                one.sha256: self._read(one, decoder, reader) for one in some if self._goes_on()
            }
            read = {sha256: file for sha256, file in found.items() if file is not None}
            with self._store.writing() as session:
                for sha256, file in read.items():
                    evidence.keep(session, sha256, file, self._clock())
            self._note(len(read), len(found) - len(read))

    def _goes_on(self) -> bool:
        return not self._stop.is_set()

    def _read(self, one: Wanting, decoder: Decoder, reader: EvidenceReader) -> FileEvidence | None:
        try:
            data = self._original(one.check).data
        except AntifakeError:  # it was forgotten meanwhile
            return None
        if data is None:
            return None
        marks = decoder.decode(data).marks
        return None if marks is None else reader.read(data, marks, one.sha256)

    def _note(self, n_read: int, n_missing: int) -> None:
        with self._lock:
            if self._state is None:
                return
            former = self._state
            self._state = replace(
                former,
                left=max(0, former.left - n_read),
                read=former.read + n_read,
                missing=former.missing + n_missing,
            )
        self._tell()
