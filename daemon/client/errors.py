"""Turns each failed request to the daemon into one sentence."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.daemon.instance import OTHER_VERSION

_EXIT_CODES = {
    "bad_setting": 2,
    "bad_request": 2,
    "invalid": 2,
    "watched_already": 2,
    "no_model": 3,
    "store": 1,
}
"""Exit codes of errors that end a command in the same way with and without a daemon."""

OTHER_FORM = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What happens to code that reads an answer of another form than it expects."""
_LONGEST_SENTENCE = 1000


class DaemonError(AntifakeError):
    """The daemon answered with an error, or did not answer."""

    exit_code = 4

    def __init__(
        self,
        sentence: str,
        status: int = 0,
        code: str = "unreachable",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code
        """The status of HTTP, 0 without an answer, and the error code of the API."""
        self.about = about or {}
        """The whole problem (RFC 9457) that the daemon answered with."""
        if status:
            self.exit_code = _EXIT_CODES.get(code, 4 if status in (401, 403, 503) else 1)


def read_answer(status: int, body: bytes) -> Any:
    """Returns the JSON of an answer, None if it has none. Raises DaemonError."""
    try:
        found = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise DaemonError(
            _("What answers on the daemon's port is not antifake."), status, "not_antifake"
        ) from None
    # Nothing of ours redirects a program, and no redirect is followed.
    if status < 300:
        return found
    about = found if isinstance(found, dict) else {}
    sentence = str(
        about.get("detail")
        or about.get("title")
        or _("The daemon refused ({status}).", status=status)
    )
    code = str(about.get("code", "refused"))
    raise DaemonError(sentence[:_LONGEST_SENTENCE], status, code, about)


@contextmanager
def understood() -> Iterator[None]:
    """Raises DaemonError if an answer has another form than the code inside expects."""
    try:
        yield
    except OTHER_FORM as error:
        raise DaemonError(OTHER_VERSION, 200, "not_antifake") from error
