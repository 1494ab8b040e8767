"""Sends requests to the API: over a socket to the daemon, or to its app in this process."""

import errno
import hashlib
import hmac
import http.client
import json
import math
import os
import secrets
import selectors
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

from antifake.core.errors import is_disk_full
from antifake.core.i18n import _

from .errors import OTHER_FORM, DaemonError, read_answer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

API = "/api/v1"
LOCAL_TOKEN_ID = 0
"""In /hello it means the token of the programs on this computer."""
LARGEST = 32 * 2**20
"""Bytes of an answer that is held in memory. The largest of ours are a few MB."""
_LARGEST_PROOF = 4096
_PIECE = 2**16
_IDLE_S = 10.0
"""How long an idle connection may be used again. The daemon closes it after 20 s."""

Body = bytes | IO[bytes] | None
"""A file needs the header Content-Length."""


class Answer(Protocol):
    """The answer to one request."""

    @property
    def status(self) -> int: ...
    def read(self, size: int = ..., /) -> bytes:
        """Returns at most `size` bytes of the body, or all of it without a size."""


class Transport(Protocol):
    """Sends requests. Can be used from several threads."""

    def send(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> AbstractContextManager[Answer]:
        """Send a request. `path` is relative to /api/v1. Raises DaemonError without an answer."""


def whole(answer: Answer) -> bytes:
    """Returns the body of an answer. Raises DaemonError if it is too large to be one of ours."""
    data = answer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DaemonError(_("What the daemon answers is far too large; it was not read."))
    return data


def save(answer: Answer, out: IO[bytes]) -> None:
    """Writes the body of an answer of any size. Raises DaemonError for a refusal."""
    if answer.status >= 300:
        read_answer(answer.status, whole(answer))
    while piece := answer.read(_PIECE):
        out.write(piece)


@dataclass
class Socket:
    """A transport to a daemon on 127.0.0.1, also after that was started again.

    An answer has to be complete `timeout_s` after its request was sent, however slowly it comes.
    Each connection begins with `POST /hello`. The program that listens there must prove that it
    knows this computer's token before the token is sent to it.
    """

    port: int
    token: str = field(repr=False)
    """If empty, requests are sent without a token."""
    look: Callable[[], tuple[int, str] | None] = field(
        default=lambda: None, repr=False, compare=False
    )
    """Returns the port and the token of the daemon that runs now: both change when it starts."""
    _idle: "deque[tuple[float, _Connection]]" = field(
        default_factory=deque, init=False, repr=False, compare=False
    )
    """Proven connections that can be used again, and since when each is idle."""

    def __post_init__(self) -> None:
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def send(
        self, method: str, path: str, body: Body, headers: Mapping[str, str], timeout_s: float
    ) -> Iterator[Answer]:
        connection: _Connection | None = None
        try:
            connection = self._taken(timeout_s) or self._opened(timeout_s)
            token = connection.token
            sent = {"Authorization": f"Bearer {token}", **headers} if token else headers
            connection.request(method, API + path, body, sent)
            connection.wait_at_most(timeout_s)
            answer = connection.getresponse()
            yield answer
            if answer.isclosed() and connection.sock is not None:
                self._idle.append((time.monotonic(), connection))
                connection = None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and is_disk_full(error):
                raise  # of the file that the answer goes into
            raise DaemonError(
                _(
                    "The antifake daemon on port {port} does not answer ({error}).",
                    port=self.port,
                    error=error,
                )
            ) from error
        finally:
            if connection is not None:
                connection.close()

    def _taken(self, timeout_s: float) -> "_Connection | None":
        """Returns an idle connection, if there is one that the daemon has not closed."""
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _IDLE_S and not _is_readable(connection.sock):
                connection.sock.settimeout(timeout_s)
                return connection
            connection.close()

    def _opened(self, timeout_s: float) -> "_Connection":
        """Returns a new connection to a proven daemon. Raises DaemonError, OSError."""
        asked = self.port, self.token
        try:
            return _proved(*asked, timeout_s)
        except (DaemonError, OSError, http.client.HTTPException):
            now = self.look()
            if now is None or now == asked:
                raise
        self.port, self.token = now
        return _proved(*now, timeout_s)


def _proved(port: int, token: str, timeout_s: float) -> "_Connection":
    """Returns a new connection to the daemon that wrote our token. Raises DaemonError, OSError."""
    connection = _Connection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.connect()
        # Never reconnect: the new connection might lead to another program.
        connection.auto_open = 0
        if token:
            _prove(connection, port, token, timeout_s)
        connection.token = token
    except BaseException:
        connection.close()
        raise
    return connection


def _prove(connection: "_Connection", port: int, token: str, timeout_s: float) -> None:
    """Raises DaemonError if the other side is not the daemon that wrote our token."""
    nonce = secrets.token_hex(16)
    body = json.dumps({"token_id": LOCAL_TOKEN_ID, "nonce": nonce})
    connection.request("POST", f"{API}/hello", body, {"Content-Type": "application/json"})
    connection.wait_at_most(timeout_s)
    answer = connection.getresponse().read(_LARGEST_PROOF)
    # The proof contains the port, so a program that forwards the request to the daemon fails.
    key = hashlib.sha256(token.encode()).hexdigest().encode()
    proof = hmac.digest(key, f"{nonce}:{port}".encode(), "sha256").hex()
    if not hmac.compare_digest(_proof_in(answer), proof.encode()):
        raise DaemonError(
            _(
                "What answers on port {port} cannot prove that it is your antifake daemon, "
                "so it was not asked.",
                port=port,
            ),
            code="unproved",
        )


class _TimedSocket(socket.socket):
    """A socket whose timeout is for all that is received, not for each piece of it."""

    end = math.inf
    """When the last byte has to be there, in the time of time.monotonic()."""

    def recv_into(self, *arguments: Any) -> int:
        left_s = self.end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        self.settimeout(left_s)
        return super().recv_into(*arguments)


class _Response(http.client.HTTPResponse):
    """An answer whose end is missed: http.client does not tell of it where a size is given."""

    def read(self, amt: int | None = None) -> bytes:
        data = super().read(amt)
        if amt is not None and len(data) < amt and self.length:
            raise http.client.IncompleteRead(data, self.length)
        return data


class _Connection(http.client.HTTPConnection):
    response_class = _Response
    token = ""
    """What the program at the other end has proved that it knows."""

    def connect(self) -> None:
        super().connect()
        plain, timeout_s = self.sock, self.sock.gettimeout()
        kind = (plain.family, plain.type, plain.proto)
        self.sock = self._timed = _TimedSocket(*kind, fileno=plain.detach())
        self.sock.settimeout(timeout_s)

    def wait_at_most(self, timeout_s: float) -> None:
        """Set how long from now the answer may take."""
        self._timed.end = time.monotonic() + timeout_s


def _is_readable(sock: socket.socket) -> bool:
    """Returns whether the other side has closed, or sent something unasked."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _close_all(idle: "deque[tuple[float, _Connection]]") -> None:
    while idle:
        idle.pop()[1].close()


def _proof_in(answer: bytes) -> bytes:
    try:
        return str(json.loads(answer)["proof"]).encode()
    except OTHER_FORM:
        return b""


@dataclass(frozen=True)
class InProcess:
    """A transport to the daemon's app in this process, without a daemon and without a token."""

    app: "WSGIApplication"

    @contextmanager
    def send(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Mapping[str, str],
        timeout_s: float,  # noqa: ARG002  # nothing waits here
    ) -> Iterator[Answer]:
        from werkzeug.test import EnvironBuilder, run_wsgi_app  # noqa: PLC0415

        from antifake.daemon.web.guards import IN_PROCESS  # noqa: PLC0415

        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"input_stream": body}
        path, _, query = path.partition("?")
        builder = EnvironBuilder(
            API + path, query_string=query, method=method, headers=list(headers.items()), **sent
        )
        environ = {**builder.get_environ(), IN_PROCESS: True}
        if "Content-Length" in headers:
            environ["CONTENT_LENGTH"] = headers["Content-Length"]
        pieces, status, _ = run_wsgi_app(self.app, environ)
        try:
            yield _Pieces(int(status.split()[0]), iter(pieces))
        finally:
            pieces.close()  # type: ignore[attr-defined]  # werkzeug's iterator has close()
            builder.close()


class _Pieces:
    """An Answer whose body comes in pieces of any size."""

    def __init__(self, status: int, pieces: Iterator[bytes]) -> None:
        self.status, self._pieces, self._left = status, pieces, b""

    def read(self, size: int = -1, /) -> bytes:
        found = [self._left]
        length = len(self._left)
        for piece in () if 0 <= size <= length else self._pieces:
            found.append(piece)
            length += len(piece)
            if 0 <= size <= length:
                break
        data = b"".join(found)
        end = len(data) if size < 0 else size
        self._left = data[end:]
        return data[:end]
