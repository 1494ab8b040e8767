"""A history on a database server that several computers share.

The server may be away at any time: whoever asks is told so at once, and is not kept waiting. What
belongs to this computer alone is in `machine`, a file, with what the server does not have yet: see
outbox.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from .database import BUSY_S, Database, StoreAwayError, StoreError, StoreNewerError
from .store import Store

RETRY_S = 60.0
"""How long a server that is away is not asked again, unless somebody calls `connect`."""


class SharedStore(Store):
    """Thread-safe. A context manager that closes both databases."""

    def __init__(
        self, database: Database, machine: Store, prepare: Callable[[Database], object]
    ) -> None:
        """`prepare` migrates the database, once it is there."""
        super().__init__(database, notices=machine.notices)
        self._machine, self._prepare = machine, prepare
        self._is_prepared = False
        self._preparing = threading.Lock()
        self._why_not: StoreError | None = None
        self._asked_at = 0.0
        self.delivering = threading.Lock()
        """Held by who delivers what waits in `machine`."""
        self.undelivered: str | None = None
        """Why the last attempt to deliver failed."""
        self.has_more = threading.Event()
        """Set when there is more to deliver."""

    @property
    def machine(self) -> Store:
        return self._machine

    @property
    def trouble(self) -> str | None:
        """Why the server could not be used when it was last asked. None: it could."""
        return None if self._why_not is None else str(self._why_not)

    def connect(self) -> None:
        """Asks the server, also if it was away a moment ago. Raises StoreError."""
        with self._using(even_if_away=True), super().reading() as session:
            session.connection()

    def post(self) -> None:
        self.has_more.set()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._using(), super().reading() as session:
            yield session

    @contextmanager
    def writing(self, *, durable: bool = False, within_s: float = BUSY_S) -> Iterator[Session]:
        with self._using(), super().writing(durable=durable, within_s=within_s) as session:
            yield session

    @contextmanager
    def reading_both(self) -> Iterator[tuple[Session, Session]]:
        with self.reading() as session, self._machine.reading() as work:
            yield session, work

    @contextmanager
    def writing_both(self, *, durable: bool = False) -> Iterator[tuple[Session, Session]]:
        with (
            self.writing(durable=durable) as session,
            self._machine.writing(durable=durable) as work,
        ):
            yield session, work

    @contextmanager
    def _using(self, *, even_if_away: bool = False) -> Iterator[None]:
        why = self._why_not
        if why and not even_if_away and time.monotonic() - self._asked_at < RETRY_S:
            raise type(why)(str(why))
        try:
            self._prepare_once()
            yield
        except (StoreAwayError, StoreNewerError) as error:
            # Another version may have changed its tables when it is back.
            self._is_prepared = False
            self._why_not, self._asked_at = error, time.monotonic()
            self.post()
            raise
        except StoreError:
            # A newer version may have changed the tables while this one ran: look again.
            self._is_prepared = False
            raise
        self._why_not = None

    def _prepare_once(self) -> None:
        with self._preparing:
            if not self._is_prepared:
                self._prepare(self.database)
                self._is_prepared = True

    def close(self) -> None:
        super().close()
        self._machine.close()
