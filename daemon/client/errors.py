"""Turns each failed request to the daemon into one sentence."""

from collections.abc import Mapping
from typing import Any

from antifake.core.errors import AntifakeError

_EXIT_CODES = {
    "bad_setting": 2,
    "bad_request": 2,
    "invalid": 2,
    "watched_already": 2,
    "no_model": 3,
    "store": 1,
}
"""Of what ends a command in the same way with and without a daemon."""


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
        """Of HTTP, 0 where there was no answer; and the API's own word for it."""
        self.about = about or {}
        """The whole problem as it was answered."""
        if status:
            self.exit_code = _EXIT_CODES.get(code, 4 if status in (401, 403, 503) else 1)
