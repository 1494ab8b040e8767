"""Real web sites for the browser: pages and pictures on 127.0.0.1, under several host names.

The browser is told that `*.test` is this computer. Every request is recorded.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from kit.waiting import eventually

SITE, CDN, OTHER = "site.test", "cdn.test", "other.test"
"""The page's host, one for its pictures, and one that has nothing to do with them."""


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    """Without its port."""
    path: str
    """With its query."""
    headers: Message


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces_s: float = 0.0
    """Above 0: the body is sent in 16 pieces, with this pause before each."""


Reply = Answer | Callable[[Request], Answer]


class Sites:
    """A context manager. What is put at a path is served under every host name."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, Reply] = {}
        self._ended = threading.Event()

    def __enter__(self) -> "Sites":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = SITE) -> str:
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, reply: Reply) -> str:
        """Serves this at a path. Returns its address at the site."""
        self._answers[path] = reply
        return self.url(path)

    def page(self, path: str, html: str, **headers: str) -> str:
        """Serves a page. Names in `headers` are written with _ instead of -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        text = html.replace("{cdn}", self.url("", CDN)).replace("{other}", self.url("", OTHER))
        return self.put(path, Answer(f"<!doctype html>{text}".encode(), headers=named))

    def picture(self, path: str, data: bytes, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.put(path, Answer(data, kind_of(data), headers=named))

    def private_picture(self, path: str, data: bytes) -> str:
        """Serves a picture to a browser that has the cookie `who=me` only."""
        return self.put(
            path,
            lambda asked: (
                Answer(data, kind_of(data))
                if "who=me" in (asked.headers["Cookie"] or "")
                else Answer(status=403)
            ),
        )

    def linked_picture(self, path: str, data: bytes) -> str:
        """Serves a picture only where a page of the site shows it."""
        return self.put(
            path,
            lambda asked: (
                Answer(data, kind_of(data), headers={"Cache-Control": "no-store"})
                if urlsplit(asked.headers["Referer"] or "").hostname == SITE
                else Answer(status=403)
            ),
        )

    def picture_once(self, path: str, data: bytes) -> str:
        """Serves a picture to the first request only."""
        left = [Answer(data, kind_of(data), headers={"Cache-Control": "no-store"})]
        return self.put(path, lambda _: left.pop() if left else Answer(status=410))

    def changing_picture(self, path: str, *versions: bytes) -> str:
        """Serves another version to each request, and the last one from then on."""
        left = list(versions)

        def next_one(_: Request) -> Answer:
            data = left.pop(0) if len(left) > 1 else left[0]
            return Answer(data, kind_of(data), headers={"Cache-Control": "no-store"})

        return self.put(path, next_one)

    def held_picture(self, path: str, data: bytes, free: int = 0) -> "Held":
        """Serves a picture only after it is let go. The first requests do not wait."""
        held = Held(self, path, threading.Event())

        def when_let_go(_: Request) -> Answer:
            while len(self.asked(path)) > free and not held.gate.wait(0.05):
                if self._ended.is_set():
                    return Answer(status=503)
            return Answer(data, kind_of(data), headers={"Cache-Control": "no-store"})

        self.put(path, when_let_go)
        return held

    def asked(self, path: str, host: str | None = None) -> list[Request]:
        """Returns the requests for a path, without its query."""
        return [
            one
            for one in list(self.requests)
            if urlsplit(one.path).path == path and host in (None, one.host)
        ]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        found = self._answers.get(urlsplit(request.path).path, Answer(b"nothing here", status=404))
        return found if isinstance(found, Answer) else found(request)

    def pause(self, seconds: float) -> None:
        self._ended.wait(seconds)


@dataclass(frozen=True)
class Held:
    """A picture whose answer waits."""

    sites: Sites
    path: str
    gate: threading.Event

    @property
    def url(self) -> str:
        return self.sites.url(self.path)

    def wait_until_asked(self, count: int = 1) -> None:
        eventually(lambda: len(self.sites.asked(self.path)) >= count)

    def let_go(self) -> None:
        self.gate.set()


def kind_of(data: bytes) -> str:
    starts = {
        b"\x89PNG": "image/png",
        b"\xff\xd8": "image/jpeg",
        b"GIF8": "image/gif",
        b"RIFF": "image/webp",
        b"<svg": "image/svg+xml",
        b"\x1aE\xdf\xa3": "video/webm",
    }
    return next((kind for start, kind in starts.items() if data.startswith(start)), "text/plain")


def _handler_of(sites: Sites) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            host = (self.headers["Host"] or "").partition(":")[0]
            answer = sites.answer(Request(self.command, host, self.path, self.headers))
            try:
                self._send(answer)
            except ConnectionError:
                self.close_connection = True  # the browser no longer wants it

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            size = max(1, len(answer.body) // 16 + 1 if answer.pieces_s else len(answer.body))
            for start in range(0, len(answer.body), size):
                if answer.pieces_s:
                    sites.pause(answer.pieces_s)
                self.wfile.write(answer.body[start : start + size])

        do_GET = do_POST = do_OPTIONS = _serve  # noqa: N815  # the standard library's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler
