"""The HTTP server: waitress in its own thread, on this computer's loopback addresses only.

Clients use 127.0.0.1. Browsers take the name antifake.localhost for ::1, too, so ::1 has the same
port; if another program has it there, the name is not used (see Context.has_name).

It reads a whole request before a thread handles it, so slow clients hold no thread. A large body is
received only from a client that may send it (see bodies). Requests that are refused here get the
same JSON and security headers as all errors of the app.
"""

import errno
import logging
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from flask import Flask, Response
from waitress.buffers import (  # type: ignore[import-untyped]
    OverflowableBuffer,
    TempfileBasedBuffer,
)
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.receiver import FixedStreamReceiver  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer, create_server  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]
from waitress.utilities import BadRequest  # type: ignore[import-untyped]
from waitress.wasyncore import close_all, dispatcher, loop  # type: ignore[import-untyped]

from antifake.core import AntifakeError
from antifake.core.i18n import _

from .bodies import BodyBudget, is_large, refusal
from .context import NAME
from .errors import Problem, no_room, problem_json
from .guards import MAX_BODY_BYTES, MAX_FILE_BYTES, SECURITY_HEADERS

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
HOST_V6 = "::1"
MORE_PORTS = 20
THREADS = 24
"""Streams hold up to 16 of them, and requests that wait for a verdict 6 (see context). Two are left
for all others."""
DRAIN_S = 8.0
RECEIVE_S = 60.0
"""In this time a request must have come. 50 MB take less than a second on this computer."""
_SETTINGS: dict[str, Any] = {
    "threads": THREADS,
    "connection_limit": 512,
    "channel_timeout": 20,
    "cleanup_interval": 5,
    "max_request_header_size": 16_384,
    "max_request_body_size": MAX_BODY_BYTES,
    "ident": None,
    "expose_tracebacks": False,
    "clear_untrusted_proxy_headers": True,
    # So that it notices when a waiting client has gone.
    "channel_request_lookahead": 1,
    # An answer waits in memory, never on the disk, and a long one is not made faster than it is
    # read.
    "outbuf_overflow": 2 * MAX_FILE_BYTES,
    "outbuf_high_watermark": 2**20,
}


class NoPortError(AntifakeError):
    """No port was free to listen on."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request. What could be read in two ways is refused."""

    refusal: Response | None = None
    """The answer of the app, if it refuses the request by its headers."""
    error: Any
    body_rcv: Any
    expect_continue: bool

    def __init__(self, adjustments: Any, admit: "Callable[[_Parser], Response | None]") -> None:
        super().__init__(adjustments)
        self._admit = admit
        self.give_back: Callable[[], object] = lambda: None
        """Returns what the body has taken of the budget."""

    def parse_header(self, header_plus: bytes) -> None:
        """Also refuse a body whose length is not known, or that is not wanted."""
        try:
            super().parse_header(header_plus)
        except ValueError:
            # Python cannot parse an address or a number. Waitress would close the connection
            # without an answer, and log the whole request.
            raise ParsingError("this cannot be read") from None
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("another protocol")
        if self.proxy_netloc and self.proxy_netloc != self.headers.get("HOST"):
            raise ParsingError("two hosts")
        says_length = "CONTENT_LENGTH" in self.headers
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and says_length):
            raise ParsingError("Content-Length beside Transfer-Encoding")
        if self.chunked:  # by which programs disagree about where a request ends
            self.body_rcv, self.error = None, _LengthRequired("")
        if is_large(self.content_length):
            self.refusal = self._admit(self)
        if self.refusal is not None:
            self._refuse_body()
        elif self.body_rcv is not None:
            self.body_rcv.buf = _Body(self.adj.inbuf_overflow)

    def _refuse_body(self) -> None:
        """Receive a body without keeping it: most clients read no answer before they sent all."""
        if self.expect_continue:
            self.body_rcv, self.content_length, self.expect_continue = None, 0, False
        else:
            self.body_rcv = _Discarded(self.content_length)

    def received(self, data: bytes) -> int:
        try:
            consumed: int = super().received(data)
        except OSError as error:
            log.warning("a body was refused: %s", error.strerror)
            self._lose_body()
            consumed = super().received(data)
        if self.completed and self.refusal is not None:
            self.error = self.error or BadRequest("refused by the app")
        return consumed

    def _lose_body(self) -> None:
        """Refuse a body for which the disk has no room, and give back what it has taken of it."""
        self.refusal = _refused(no_room())
        receiver = self.body_rcv
        self.body_rcv = _Discarded(receiver.remain)
        with suppress(OSError):
            receiver.buf.close()

    def close(self) -> None:
        super().close()
        self.give_back()


def _refused(problem: Problem) -> Response:
    answer = problem_json(problem)
    answer.headers.update(SECURITY_HEADERS)
    return answer


class _Body(OverflowableBuffer):  # type: ignore[misc]
    """A body: in memory while it is small, in a temporary file otherwise."""

    buf: Any

    def _set_large_buffer(self) -> None:
        """Know the file before anything is written to it, so that it can be closed."""
        small, self.buf, self.overflowed = self.buf, TempfileBasedBuffer(), True
        if small is not None:
            self.buf.append(small.get(skip=True))


class _LengthRequired(BadRequest):  # type: ignore[misc]
    code, reason = 411, "Length Required"


class _Discarded(FixedStreamReceiver):  # type: ignore[misc]
    """Counts the bytes of a body and keeps none."""

    def __init__(self, length: int) -> None:
        super().__init__(length, OverflowableBuffer(0))

    def received(self, data: bytes) -> int:
        consumed: int = min(self.remain, len(data))
        self.remain -= consumed
        self.completed = self.remain == 0
        return consumed


class _Refusal(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        answer = self.request.refusal or self._of_parser()
        body = answer.get_data()
        self.status = answer.status
        self.response_headers += answer.headers.to_wsgi_list()
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def _of_parser(self) -> Response:
        """The answer repeats nothing of the request."""
        code = self.request.error.code
        words = {
            400: "bad_request",
            411: "length_required",
            413: "too_large",
            431: "too_large",
            500: "internal_error",
        }
        problem = Problem(code, words.get(code, "refused"), _("This request is refused."))
        answer = _refused(problem)
        answer.status = f"{code} {self.request.error.reason}"
        return answer


class _Channel(HTTPChannel):  # type: ignore[misc]
    error_task_class = _Refusal
    began = 0.0
    """When the first bytes of the request came that is being received."""

    def parser_class(self, adjustments: Any) -> _Parser:
        self.began = time.monotonic()
        return _Parser(adjustments, self._refusal_of)

    def _refusal_of(self, parser: _Parser) -> Response | None:
        """Returns why a large body is refused. If it is not, it takes its part of the budget."""
        environ = WSGITask(self, parser).get_environment()

        def admit(client: str) -> None:
            parser.give_back = self.server.budget.take(parser, client, parser.content_length)

        return refusal(self.server.app, environ, admit)

    def handle_close(self) -> None:
        """Also close an incomplete body, whose temporary file would stay for a while."""
        super().handle_close()
        if self.request is not None:
            self.request.close()


class Server:
    """A context manager. Inside it, the app is served on `port` or one of the next ports."""

    def __init__(self, app: Flask, port: int, temporary: Path | None = None) -> None:
        """`temporary` is a folder that only this user can read, for large request bodies."""
        self._app, self._wanted, self._temporary = app, port, temporary
        self._map: dict[int, Any] = {}
        self._is_stopping = threading.Event()
        self._look_again = 0.0
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self.port = 0
        self.budget = BodyBudget()

    def __enter__(self) -> Self:
        """Start serving. Raises NoPortError."""
        listening = [listen(self._wanted)]
        context = self._app.extensions[NAME]
        self.port = context.port = listening[0].getsockname()[1]
        try:
            listening += listen_v6(self.port)
            context.has_name = True
        except OSError as error:
            log.warning("antifake.localhost is not used: %s", error.strerror)
        self._former_tempdir = tempfile.tempdir
        if self._temporary is not None:
            tempfile.tempdir = str(self._temporary)
        create_server(self._app, map=self._map, sockets=listening, **_SETTINGS)
        self._servers = [one for one in self._map.values() if isinstance(one, TcpWSGIServer)]
        for server in self._servers:
            server.channel_class, server.app, server.budget = _Channel, self._app, self.budget
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop accepting requests, and wait DRAIN_S for those that are being handled."""
        self._is_stopping.set()
        self._servers[0].pull_trigger()
        self._thread.join(DRAIN_S + 2)
        # Not in the thread itself: other threads may still write to the pipe that wakes it.
        close_all(self._map, ignore_all=True)
        tempfile.tempdir = self._former_tempdir

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._turn(1.0)
            self._end_slow(time.monotonic())
        self._drain()

    def _end_slow(self, now: float) -> None:
        """Close connections whose request, sent byte by byte, does not come to its end."""
        if now < self._look_again:
            return
        self._look_again = now + 1.0
        for channel in self._channels():
            if channel.request is not None and now - channel.began > RECEIVE_S:
                channel.will_close = True

    def _channels(self) -> list[_Channel]:
        return [one for server in self._servers for one in server.active_channels.values()]

    def _turn(self, timeout_s: float) -> None:
        # Not select(), which cannot handle file numbers from 1,024 on.
        loop(timeout=timeout_s, map=self._map, count=1, use_poll=True)

    def _drain(self) -> None:
        end = time.monotonic() + DRAIN_S
        for server in self._servers:
            dispatcher.close(server)  # the listening socket only
        while time.monotonic() < end and self._busy():
            self._turn(0.05)
        self._servers[0].task_dispatcher.shutdown(  # all servers have the same
            cancel_pending=True, timeout=max(0.0, end - time.monotonic())
        )

    def _busy(self) -> bool:
        """Close idle connections. Returns whether a request is still being answered."""
        channels = self._channels()
        for channel in channels:
            if not channel.requests and not channel.total_outbufs_len:
                channel.will_close = True
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def listen(wanted: int) -> socket.socket:
    """Returns a socket that listens on `wanted` or the next free port; any port for 0.

    Raises NoPortError.
    """
    for port in range(wanted, wanted + (MORE_PORTS + 1 if wanted else 1)):
        if port > 65_535:
            break
        try:
            return _listening(socket.AF_INET, HOST, port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise NoPortError(
                    _(
                        "antifake cannot listen on {host}: {reason}.",
                        host=HOST,
                        reason=error.strerror,
                    )
                ) from error
    raise NoPortError(
        _("Port {port} and the {more} after it are in use.", port=wanted, more=MORE_PORTS)
    )


def listen_v6(port: int) -> list[socket.socket]:
    """Returns a socket that listens on the IPv6 loopback; none if this computer has no IPv6.

    Raises OSError if another program listens there.
    """
    try:
        return [_listening(socket.AF_INET6, HOST_V6, port)]
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return []
        raise


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Returns a socket that listens there. Raises OSError."""
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        _claim_alone(listening)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening


def _claim_alone(listening: socket.socket) -> None:
    """Let no other program listen on the same port.

    On Windows SO_REUSEADDR would allow that. Elsewhere it only frees the port of the last run.
    """
    if sys.platform == "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
