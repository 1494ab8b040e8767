"""Turns each failed request to the daemon into one sentence."""

import json
from collections.abc import Mapping
from typing import Any

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _

_EXIT_CODES = {
    "bad_setting": 2,
    "bad_request": 2,
    "invalid": 2,
    "watched_already": 2,
    "no_model": 3,
    "store": 1,
}
"""Exit codes of errors that end a command in the same way with and without a daemon."""


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
    except ValueError:
        raise DaemonError(
            _("What answers on the daemon's port is not antifake."), status, "not_antifake"
        ) from None
    if status < 400:
        return found
    about = found if isinstance(found, dict) else {}
    sentence = str(
        about.get("detail")
        or about.get("title")
        or _("The daemon refused ({status}).", status=status)
    )
    raise DaemonError(sentence, status, str(about.get("code", "refused")), about)
