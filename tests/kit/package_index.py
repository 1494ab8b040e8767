"""A package index on 127.0.0.1, with the one wheel that `make test` keeps."""

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


class Index(ThreadingHTTPServer):
    """Serves from its start on, at `url`. Use it in a `with`, and shut it down at its end."""

    def __init__(self, wheel: Path) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                page = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
                data = wheel.read_bytes() if self.path.endswith(".whl") else page
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple/"
