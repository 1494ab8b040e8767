"""Bodies of requests: who may send a large one, and how much is received at once.

Both are decided once the headers are there. So nobody without a token can fill memory or disk, and
nobody with one can do so alone.
"""

import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from antifake.core import AntifakeError
from antifake.core.i18n import _

from .errors import Problem
from .guards import LARGE_BYTES, MAX_BODY_BYTES, check_before_body

BUDGET_BYTES = 256_000_000
"""For all bodies that are received or handled at a time."""
CLIENT_BYTES = BUDGET_BYTES // 2
"""For those of one client."""
_RETRY_AFTER_S = "2"


class BodyBudget:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many bytes are taken, of all clients."""
        with self._lock:
            return self._taken.total()

    def take(self, owner: Any, client: str, n_bytes: int) -> Callable[[], object]:
        """Take bytes until what is returned is called, or until `owner` is gone. Raises Problem."""
        with self._lock:
            if self._taken[client] + n_bytes > CLIENT_BYTES:
                raise _busy(429, _("You are sending too much at once; try again in a moment."))
            if self._taken.total() + n_bytes > BUDGET_BYTES:
                raise _busy(503, _("Too much is being sent at once; try again in a moment."))
            self._taken[client] += n_bytes
        return weakref.finalize(owner, self._give_back, client, n_bytes)

    def _give_back(self, client: str, n_bytes: int) -> None:
        with self._lock:
            self._taken[client] -= n_bytes
            self._taken += Counter()  # drops clients that have taken nothing


def _busy(status: int, sentence: str) -> Problem:
    # The code of a full queue, as a client has to do the same.
    return Problem(status, "queue_full", sentence, {"Retry-After": _RETRY_AFTER_S})


def refusal(app: Flask, environ: dict[str, Any], admit: Callable[[str], object]) -> Response | None:
    """Returns the answer to a request that is refused by its headers, None for all others.

    `admit` is called with the client of a request that is not, and may raise Problem.
    """
    with app.request_context(environ):
        try:
            admit(check_before_body())
        except (Problem, HTTPException, AntifakeError) as error:
            answer = app.make_response(app.handle_user_exception(error))
            return app.process_response(answer)
    return None


def is_large(n_bytes: int) -> bool:
    return LARGE_BYTES < n_bytes <= MAX_BODY_BYTES
