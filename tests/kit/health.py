"""Asks a daemon how it is, all the time, beside a program that does nothing but answer."""

import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np
from kit.pace import within

_PEER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Health(threading.Thread):
    """A context manager. Inside it the daemon and the peer are asked in turn, on kept connections.

    Only what was answered is counted: while the daemon is down there is nobody to ask.
    """

    def __init__(self, running: Path, every_s: float = 0.02) -> None:
        """`running`: the file that names the daemon's port."""
        super().__init__(name="health", daemon=True)
        self.daemon_s: list[float] = []
        self.peer_s: list[float] = []
        self._running, self._every_s = running, every_s
        self._ends = threading.Event()

    def __enter__(self) -> Self:
        self._peer = subprocess.Popen([sys.executable, "-c", _PEER], stdout=subprocess.PIPE)
        assert self._peer.stdout is not None
        self._peer_port = int(self._peer.stdout.readline())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()
        self._peer.kill()
        self._peer.communicate()

    def run(self) -> None:
        daemon: http.client.HTTPConnection | None = None
        peer = _connection(self._peer_port)
        while not self._ends.wait(self._every_s):
            self.peer_s.append(_seconds(peer, "/"))
            try:
                if daemon is None:
                    daemon = _connection(json.loads(self._running.read_bytes())["port"])
                    _seconds(daemon, "/api/v1/health")
                self.daemon_s.append(_seconds(daemon, "/api/v1/health"))
            except (OSError, http.client.HTTPException, ValueError):
                if daemon is not None:
                    daemon.close()
                daemon = None
        peer.close()
        if daemon is not None:
            daemon.close()


def percentiles(seconds: list[float]) -> tuple[float, float, float]:
    """Returns the median, the 99th percentile and the longest."""
    p50, p99, longest = np.percentile(seconds, [50, 99, 100])
    return float(p50), float(p99), float(longest)


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=within(30))


def _seconds(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path)
    with connection.getresponse() as answer:
        answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(answer.status)
    return time.perf_counter() - began
