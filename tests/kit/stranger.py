"""Another program on the daemon's port. It records the requests that it gets."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stranger:
    """A context manager. It answers 200 to everything, or forwards it to another port."""

    def __init__(
        self,
        port: int = 0,
        *,
        relay_to: int | None = None,
        body: bytes = b"{}",
        kind: str = "application/json",
    ) -> None:
        self.relay_to, self.body, self.kind = relay_to, body, kind
        self.asked: list[str] = []
        """The path of each request."""
        self.tokens: list[str] = []
        """Each Authorization header that it got."""
        self.cookies: list[str] = []
        """The Cookie header of each request; empty if it had none."""
        self._wanted = port

    def __enter__(self) -> "Stranger":
        self._server = ThreadingHTTPServer(("127.0.0.1", self._wanted), _handler_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.relay_to is None:
            return 200, self.body
        connection = http.client.HTTPConnection("127.0.0.1", self.relay_to, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _handler_of(stranger: Stranger) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stranger.asked.append(self.path)
            stranger.tokens.extend(self.headers.get_all("Authorization", []))
            stranger.cookies.append(self.headers.get("Cookie", ""))
            status, said = stranger.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", stranger.kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815  # the standard library's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler
