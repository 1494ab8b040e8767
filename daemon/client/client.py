"""Asking the daemon from another program of ours on this computer: command line and tray.

Every failure is one sentence. Each connection begins with `POST /hello`: what listens there has
to prove that it knows this computer's token before it is sent the token.
"""

import hashlib
import hmac
import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from antifake.core.errors import AntifakeError
from antifake.daemon import instance
from antifake.daemon.places import Places

API = "/api/v1"
PIECE = 2**16
LOCAL_TOKEN_ID = 0
"""In /hello: the token of the programs on this computer."""
_LARGEST_PROOF = 4096
_EXIT_CODES = {
    "bad_setting": 2, "bad_request": 2, "invalid": 2, "watched_already": 2, "no_model": 3,
}  # fmt: skip
"""Of what ends a command in the same way as without a daemon."""


class DaemonError(AntifakeError):
    """What the daemon answered instead of what was asked of it, or that it did not answer."""

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


@dataclass(frozen=True)
class Client:
    """A daemon that was running a moment ago."""

    port: int
    token: str = field(repr=False)
    """Empty: ask as a stranger does."""
    timeout_s: float = 30.0

    def get(self, path: str, **query: str) -> Any:
        from urllib.parse import urlencode  # noqa: PLC0415

        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, json.dumps(body).encode(), "application/json")

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """The JSON of an answer, None where it has none; `path` is below /api/v1.

        Raises DaemonError.
        """
        sent = {**(headers or {}), **({"Content-Type": kind} if kind else {})}
        with self._asked(method, path, body, sent) as answer:
            return _read(answer.status, answer.read())

    def download(self, path: str, **query: str) -> Iterator[bytes]:
        """An answer that is a file, piece by piece. Raises DaemonError."""
        from urllib.parse import urlencode  # noqa: PLC0415

        with self._asked("GET", f"{path}?{urlencode(query)}", None, {}) as answer:
            if answer.status >= 400:
                _read(answer.status, answer.read())
            while piece := answer.read(PIECE):
                yield piece

    @contextmanager
    def _asked(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        sent = {"Authorization": f"Bearer {self.token}", **headers} if self.token else headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
        try:
            connection.connect()
            # What follows goes to the program that has proved itself, or nowhere.
            connection.auto_open = 0
            if self.token:
                self._prove(connection)
            connection.request(method, API + path, body, sent)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise DaemonError(
                f"The antifake daemon on port {self.port} does not answer ({error})."
            ) from error
        finally:
            connection.close()

    def _prove(self, connection: http.client.HTTPConnection) -> None:
        """Raises DaemonError where this is not the daemon that has given us the token."""
        nonce = secrets.token_hex(16)
        body = json.dumps({"token_id": LOCAL_TOKEN_ID, "nonce": nonce})
        connection.request("POST", f"{API}/hello", body, {"Content-Type": "application/json"})
        answer = connection.getresponse().read(_LARGEST_PROOF)
        # The port is part of it: a program that passes the question on to the daemon fails.
        key = hashlib.sha256(self.token.encode()).hexdigest().encode()
        proof = hmac.digest(key, f"{nonce}:{self.port}".encode(), "sha256").hex()
        if not hmac.compare_digest(_proof_in(answer), proof.encode()):
            raise DaemonError(
                f"What answers on port {self.port} cannot prove that it is your antifake daemon, "
                "so it was not asked.",
                code="unproved",
            )


def _proof_in(answer: bytes) -> bytes:
    try:
        return str(json.loads(answer)["proof"]).encode()
    except (ValueError, KeyError, TypeError):
        return b""


def _read(status: int, body: bytes) -> Any:
    try:
        said = json.loads(body) if body else None
    except ValueError:
        raise DaemonError(
            "Whoever answers on the daemon's port is not antifake.", status, "not_antifake"
        ) from None
    if status < 400:
        return said
    about = said if isinstance(said, dict) else {}
    sentence = str(about.get("detail") or about.get("title") or f"The daemon refused ({status}).")
    raise DaemonError(sentence, status, str(about.get("code", "refused")), about)


def find(where: Places) -> Client | None:
    """The daemon, where one is running and ready."""
    found = instance.find(where)
    try:
        token = where.local_token.read_text("ascii").strip() if found else ""
    except (OSError, ValueError):
        return None
    return Client(found.port, token) if found and token else None


def need(where: Places) -> Client:
    """As `find`. Raises DaemonError where there is none."""
    client = find(where)
    if client is None:
        raise DaemonError(
            "The antifake daemon is not running: start it with `antifake daemon start`."
        )
    return client
