"""Daemons that prove themselves and then lie: in what they say, and in how they say it."""

import json
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import parse_headers
from io import BufferedReader
from typing import Any, Self
from urllib.parse import urlencode

from antifake.daemon.client import DaemonError, InProcess
from antifake.daemon.places import Places

from .standin import HELLO, TOKEN, Answer, StandIn, proof

TEXT = "\x1b]0;owned\x07\x1b[2J\u202e<b onclick=x>&\r\n\x00\x9b31m\ud800 {n} %s"
"""Commands for a terminal, a change of direction, markup, line ends, half a letter, formats."""
LEAVES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    0.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    TEXT,
    "x" * 100_000,
    "9999-12-31T23:59:59+14:00",
    "0001-01-01T00:00:00-14:00",
    [],
    {},
    [[]],
    [TEXT] * 3,
    {"text": TEXT},
)
BODIES = (
    b"",
    b"null",
    b"[]",
    b"7",
    b'"x"',
    b"NaN",
    b"\xff\xfe",
    b"<!doctype html><script>alert(1)</script>",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 10_000,
    json.dumps(TEXT).encode(),
)
STATUSES = (200, 200, 204, 302, 401, 403, 404, 409, 422, 500, 503, 599)


class Liar(StandIn):
    """Answers what an honest app would, changed at random."""

    def __init__(self, places: Places, honest: InProcess | None, seed: int) -> None:
        super().__init__(places)
        self.honest, self.random = honest, random.Random(seed)  # noqa: S311

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        said: Answer = (404, None)
        if self.honest is not None:
            said = self._honest(f"{path}?{urlencode(query)}" if query else path, method, body)
        if said[0] >= 400:
            said = super().answer(method, path, {"limit": "5", "after": "0", **query}, body)
        status, content = said
        if self.random.random() < 0.1:
            return self.random.choice(STATUSES), self.random.choice(BODIES)
        if self.random.random() < 0.1:
            return self.random.choice(STATUSES), {"detail": TEXT, "code": TEXT, "check": TEXT}
        for _ in range(self.random.choice((0, 1, 1, 2, 8))):
            content = self._distorted(content)
        return status, content

    def _honest(self, path: str, method: str, body: bytes) -> Answer:
        assert self.honest is not None
        kind = {"Content-Type": "application/json"} if body else {}
        try:
            with self.honest.send(method, path, body or None, kind, 5) as answer:
                data = answer.read()
                with suppress(ValueError):
                    return answer.status, json.loads(data)
                return answer.status, data
        except DaemonError:
            return 500, None

    def _distorted(self, said: Any) -> Any:
        """Returns a value with one leaf or branch of it replaced, or one key left out."""
        if not isinstance(said, dict | list) or not said or self.random.random() < 0.05:
            return self.random.choice(LEAVES)
        if isinstance(said, list):
            place = self.random.randrange(len(said))
            return [self._distorted(one) if n == place else one for n, one in enumerate(said)]
        name = self.random.choice(list(said))
        if self.random.random() < 0.1:
            return {key: one for key, one in said.items() if key != name}
        return {key: self._distorted(one) if key == name else one for key, one in said.items()}


Send = Callable[[bytes], None]


class RawDaemon:
    """A context manager. Proves itself, then sends bytes as they are: `script` gets what sends."""

    def __init__(self, script: Callable[[Send], None], *, proves: bool = True) -> None:
        self.script, self.proves = script, proves
        self.sent = 0
        """How many bytes were sent."""
        self.heads: list[dict[str, str]] = []
        """The headers of each request."""

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits in accept() is not woken by close() alone.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):  # the server was closed
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        def send(data: bytes) -> None:
            connection.sendall(data)
            self.sent += len(data)

        port = int(connection.getsockname()[1])
        with connection, connection.makefile("rb") as asked, suppress(OSError):
            while line := asked.readline():
                body = self._read(asked)
                if self.proves and HELLO in line.decode():
                    send(json_of(proof(body, TOKEN, port)))
                else:
                    self.script(send)

    def _read(self, asked: BufferedReader) -> bytes:
        head = parse_headers(asked)
        self.heads.append(dict(head.items()))
        return asked.read(int(head["Content-Length"] or 0))


def json_of(said: object) -> bytes:
    """Returns a whole answer with this JSON."""
    body = json.dumps(said).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
