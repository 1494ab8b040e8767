"""A small daemon for the tests of its clients.

It has real HTTP on 127.0.0.1, the real lock and the real file with its port. The test sets the
answers.
"""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self, TypedDict
from urllib.parse import parse_qs, urlsplit

from antifake.daemon import instance
from antifake.daemon.places import Places

TOKEN = "of-this-computer"  # noqa: S105
HELLO = "/api/v1/hello"

Json = dict[str, object]
Answer = tuple[int, object]
"""A status, and what is sent: bytes as they are, all else as JSON; None: an empty body."""

READY: Json = {
    "mode": "ready",
    "model": {"phase": "ready"},
    "waiting": {},
    "paused_until": None,
    "notices": [],
    "version": "0",
}


def proof(body: bytes, token: str, port: int) -> dict[str, str]:
    """Returns the answer to a POST /hello."""
    key = hashlib.sha256(token.encode()).hexdigest().encode()
    message = f"{json.loads(body)['nonce']}:{port}".encode()
    return {"proof": hmac.digest(key, message, "sha256").hex()}


class Event(TypedDict):
    number: int
    kind: str
    data: Json


class StandIn:
    """A context manager. It answers the few requests that the tray sends."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.state = dict(READY)
        self.checks: list[Json] = []
        self.settings: Json = {"notifications.level": "all"}
        self.pairings: list[Json] = []
        self.to_review: list[Json] | None = []
        """Today's pictures; None: the daemon refuses to say."""
        self.answer_to_check: Answer = (201, {})
        self.thumbnails: dict[str, bytes] = {}
        """Small pictures by the id of their check."""
        self.asked: list[tuple[str, str, bytes]] = []
        """Each request as (method, path with query, body), in order, without long polls."""
        self.hangs_up_after_hello = False
        self.connections: list[socket.socket] = []
        self.hellos = 0
        """The number of proofs that were asked for."""
        self._events: list[Event] = []
        self._first = 1000
        self._changed = threading.Condition()
        self._is_closed = False

    def __enter__(self) -> Self:
        self.places.make()
        self._parts = ExitStack()
        self._parts.enter_context(instance.single_instance(self.places))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.places.local_token.write_text(TOKEN)
        instance.announce(self.places, self.port, "0", datetime.now(UTC))
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for one in self.connections:
            with suppress(OSError):  # it has ended already
                one.shutdown(socket.SHUT_RDWR)
        self._parts.close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def last(self) -> int:
        return self._first + len(self._events) - 1

    def tell(self, kind: str, **data: object) -> None:
        with self._changed:
            self._events.append({"number": self.last + 1, "kind": kind, "data": data})
            self._changed.notify_all()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is told in the block comes with one answer."""
        with self._changed:
            yield

    def set_state(self, **changes: object) -> None:
        self.state = {**self.state, **changes}
        self.tell("state")

    def asked_for(self, method: str, path: str) -> list[bytes]:
        """Returns the bodies that were sent to this path."""
        return [body for how, where, body in self.asked if (how, where) == (method, path)]

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        if path == "/events":
            return self._news(int(query["after"]), float(query["wait"]))
        self.asked.append((method, path, body))
        nothing: Answer = (
            404,
            {"title": "Not found", "detail": "There is no such thing.", "code": "none"},
        )
        answers: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/state"): lambda: (200, {**self.state, "last_event": self.last}),
            ("GET", "/checks"): lambda: (200, self._page(int(query["limit"]))),
            ("GET", "/settings"): lambda: (200, self.settings),
            ("GET", "/pairings"): lambda: (200, {"pairings": self.pairings}),
            ("GET", "/learning/review"): lambda: self._review() or nothing,
            ("POST", "/logins"): lambda: (201, {"url": self.link}),
            ("POST", "/checks"): lambda: self.answer_to_check,
            ("POST", "/watches:pause"): lambda: (200, self._paused(json.loads(body)["minutes"])),
            ("POST", "/daemon:stop"): lambda: (202, None),
            ("POST", "/labels:batch"): lambda: (200, {"checks": self.checks[:1]}),
            ("POST", "/labels:undo"): lambda: (200, {"checks": self.checks[:1]}),
        }
        for one in self.checks:
            answers["GET", f"/checks/{one['id']}"] = partial(_json, one)
        for name, data in self.thumbnails.items():
            answers["GET", f"/checks/{name}/thumbnail"] = partial(_bytes, data)
        return answers.get((method, path), lambda: nothing)()

    def _page(self, limit: int) -> Json:
        return {"checks": self.checks[:limit], "next": None}

    def _review(self) -> Answer | None:
        items = self.to_review
        return None if items is None else (200, {"items": items, "done_today": 0})

    @property
    def link(self) -> str:
        return f"http://127.0.0.1:{self.port}/open?code=once"

    def _paused(self, minutes: float | None) -> Json:
        until = minutes and (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        self.set_state(mode="paused" if until else "ready", paused_until=until)
        return {"paused_until": until}

    def _news(self, after: int, wait_s: float) -> Answer:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self.last > after, wait_s)
            is_known = self._first - 1 <= after <= self.last
            events = [one for one in self._events if one["number"] > after]
            return 200, {"events": events, "last": self.last, "reset": not is_known}


def _bytes(data: bytes) -> Answer:
    return 200, data


def _json(said: Json) -> Answer:
    return 200, said


def _handler_of(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            standin.connections.append(self.request)
            super().setup()

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == HELLO:
                standin.hellos += 1
                self.close_connection = standin.hangs_up_after_hello
                self._send(200, proof(body, TOKEN, standin.port))
                return
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._send(401, {"detail": "Who are you?", "code": "no_token"})
                return
            path = parts.path.removeprefix("/api/v1")
            self._send(*standin.answer(self.command, path, query, body))

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  # the library's names

        def _send(self, status: int, said: object) -> None:
            data = said if isinstance(said, bytes) else b""
            if said is not None and not isinstance(said, bytes):
                data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if self.close_connection:
                self.send_header("Connection", "close")
            with suppress(OSError):  # the client may quit during a long poll
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
