"""The whole daemon in this process, on a real port, with the tiny model, and a client for it."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from conftest import tiny_prompt
from kit.pace import within
from kit.waiting import eventually

from antifake.core.catalog import Home
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook
from antifake.daemon.app import started
from antifake.daemon.places import Places
from antifake.daemon.service import Intake, Service, Upkeep
from antifake.daemon.service.access import Access
from antifake.daemon.web.guards import COOKIE

ADMIN = object()
"""The token of the programs on this computer."""
CHECKS_LOG = "antifake.daemon.service.checks"
"""Has a line for each picture when it is done, at INFO."""


def judged_in_order(log: list[str]) -> list[str]:
    """Returns the ids of the checks in CHECKS_LOG, the first that was done first."""
    return [line.split()[0] for line in log if line.endswith(" ms")]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Returns the code of a problem. Asserts that the answer is a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        assert self.json["type"] == f"urn:antifake:problem:{self.json['code']}"
        assert self.json["detail"].endswith((".", "?"))
        code: str = self.json["code"]
        return code


@dataclass(frozen=True)
class Asked:
    """A running daemon, and methods that send requests to it."""

    places: Places
    service: Service
    access: Access
    port: int
    upkeep: Upkeep
    intake: Intake
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def secret(self) -> str:
        return self.places.local_token.read_text("ascii")

    def page(self, session: str, **more: str) -> dict[str, Any]:
        """Returns what the pages of a session send with a change, for `ask`."""
        sent = {
            "Cookie": f"{COOKIE}={session}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "X_Requested_By": "antifake",
            "X_Page_Key": self.access.page_key(session),
        }
        return {"token": None} | sent | more

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        *,
        token: Any = ADMIN,
        **headers: str,
    ) -> Reply:
        """Sends a request. `path` is relative to /api/v1, or absolute after an additional slash.

        Names in `headers` are written with _ instead of -.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {self.secret if token is ADMIN else token}")
        path = path[1:] if path.startswith("//") else f"/api/v1{path}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within(30))
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def wait_for_model(self) -> None:
        """Until then every picture waits, and an answer may be 202."""
        eventually(lambda: self.get("/state").json["model"]["phase"] == "ready", 60)

    @contextmanager
    def model_paused(self) -> Iterator[None]:
        """Stops the model's process for a while: every picture waits, as behind a slow model."""
        child = eventually(lambda: self.service.status._model._child)
        os.kill(child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(child.pid, signal.SIGCONT)

    @contextmanager
    def model_busy(self, data: bytes, **about: Any) -> Iterator[str]:
        """As `model_paused`, and the model has this picture. Gives the id of its check.

        Whatever comes then waits. Without a picture of its own the model would take what comes
        first, which is one picture or several: as many as have come when it looks.
        """
        with self.model_paused():
            name: str = self.check(data, prefer="wait=0", **about).json["id"]
            eventually(lambda: self.get(f"/checks/{name}?wait=0").json["state"] == "running")
            yield name

    def get(self, path: str, **about: Any) -> Reply:
        return self.ask("GET", path, **about)

    def send(self, method: str, path: str, value: Any, **about: Any) -> Reply:
        return self.ask(
            method, path, json.dumps(value), **{"Content_Type": "application/json"} | about
        )

    def post(self, path: str, value: Any = None, **about: Any) -> Reply:
        return self.send("POST", path, value, **about)

    def check(
        self, data: bytes, *, token: Any = ADMIN, prefer: str | None = None, **fields: str
    ) -> Reply:
        """Posts a picture. Returns the first answer, or without `prefer` the one when it is done.

        The daemon waits for 20 s at most, which a slow machine may exceed.
        """
        body, kind = form({"file": data, **fields})
        about = {"Content_Type": kind, "Prefer": "wait=20" if prefer is None else prefer}
        reply = self.ask("POST", "/checks", body, token=token, **about)
        end = time.monotonic() + within(30)
        while prefer is None and reply.status == 202 and time.monotonic() < end:
            found = self.get(f"/checks/{reply.json['id']}?wait=5", token=token)
            is_judged = found.status == 200 and found.json["label"] is not None
            reply = replace(found, status=201) if is_judged else found
        return reply

    def raw(self, request: bytes, within_s: float = 10.0) -> bytes:
        """Sends these bytes. Returns the answer, until the other side closes or is silent."""
        here = ("127.0.0.1", self.port)
        with socket.create_connection(here, timeout=within(within_s)) as connection:
            return read_all(connection, request)

    def token(self, *scopes: str, origin: str | None = None) -> str:
        return self.access.issue("test", scopes, origin)[1]


def read_all(connection: socket.socket, request: bytes) -> bytes:
    found = b""
    try:
        connection.sendall(request)
        while part := connection.recv(65536):
            found += part
    except ConnectionError:
        pass  # refused before the whole body was read
    return found


def form(fields: dict[str, bytes | str]) -> tuple[bytes, str]:
    """Returns a body of multipart/form-data and its content type."""
    mark = uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="picture"\r\n' if isinstance(value, bytes) else b"\r\n")
        + b"\r\n"
        + (value if isinstance(value, bytes) else value.encode())
        + b"\r\n"
        for name, value in fields.items()
    ]
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Returns every file below a folder, and its bytes. A daemon may remove some meanwhile."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path, path.read_bytes()


def tiny_home_in(root: Path, source: Path) -> Home:
    """Installs the tiny model and a prompt for it, and makes both active."""
    home = Home(root)
    bundle = prepare(Source(source), home.models / "tiny", dtype="fp32")
    home.use("tiny")
    book = Promptbook(home.prompts)
    book.add("first", tiny_prompt(1).to_bytes())
    book.use("first", bundle)
    return home


def mini_home_in(root: Path, mini_home: Home) -> Home:
    """Makes a home with the embedded model, which is that of `mini_home`, and nothing else."""
    home = Home(root)
    home.models.mkdir(parents=True)
    (home.models / "mini").symlink_to((mini_home.models / "mini").absolute())
    return home


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_daemon(
    root: Path, source: Path, settings: str = "", port: int | None = None
) -> Iterator[Asked]:
    """Runs a daemon. `source` is the tiny model of `tiny_source`, `settings` is TOML."""
    with daemon_of(tiny_home_in(root / "home", source), root, settings, port) as asked:
        yield asked


@contextmanager
def mini_daemon(
    root: Path, mini_home: Home, settings: str = "", port: int | None = None
) -> Iterator[Asked]:
    """Runs a daemon with the embedded model of `mini_home`, and a history of its own."""
    with daemon_of(mini_home_in(root / "home", mini_home), root, settings, port) as asked:
        yield asked


@contextmanager
def daemon_of(
    home: Home, root: Path, settings: str = "", port: int | None = None
) -> Iterator[Asked]:
    places = Places(home, root / "config.toml", root / "data", root / "state", root / "logs")
    places.make()
    places.config.write_text(f"[server]\nport = {port or free_port()}\n{settings}")
    stopped = threading.Event()
    with started(places, stopped.set) as daemon:
        yield Asked(
            places,
            daemon.service,
            daemon.access,
            daemon.running.port,
            daemon.upkeep,
            daemon.intake,
            stopped,
        )
