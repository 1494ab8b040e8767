"""A real PostgreSQL server on 127.0.0.1 with a folder of its own, as a team would have one."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import psutil
from kit.daemon import free_port
from kit.pace import within
from kit.waiting import eventually
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

PASSWORD = "open sesame: @/?#"  # noqa: S105 - of a server for tests
"""With everything that has to be escaped in an address."""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # tests kill processes, and cut no power
    "shared_buffers": "16MB",
    "max_connections": "60",
}


def program(name: str) -> str:
    """Returns the path of one of its programs. Debian keeps most of them off PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name) or name


class Postgres:
    """A server that can be stopped and started. Only its own process is ended, by its id."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def initialize(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        self._own()
        command = [program("initdb"), "-D", str(self._data), "-U", "anna", "-E", "UTF8"]
        command += ["--no-sync", "--auth=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as_user())
        secret.unlink()

    def start(self) -> None:
        settings = [word for name, to in _SETTINGS.items() for word in ("-c", f"{name}={to}")]
        command = [program("postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        with (self.folder / "log.txt").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, **self._as_user())
        eventually(self._answers, 30)

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends its sessions and then it; SIGQUIT ends all at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(within(30))
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def suspend(self) -> None:
        """It takes connections and never answers, as a server does that hangs."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def create(self, name: str | None = None) -> str:
        """Makes an empty database. Returns its address, as a person writes it."""
        name = name or f"team_{token_hex(4)}"
        self.ask(f'CREATE DATABASE "{name}"', "postgres")
        return self.address(name)

    def address(self, name: str, password: str = PASSWORD) -> str:
        return f"postgres://anna:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def ask(self, statement: str, database: str) -> list[tuple[Any, ...]]:
        url = URL.create("postgresql+psycopg", "anna", PASSWORD, "127.0.0.1", self.port, database)
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            found = connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self.folder / "log.txt").read_text())
        with suppress(OperationalError):
            return bool(self.ask("SELECT 1", "postgres"))
        return False

    def _signal_all(self, number: int) -> None:
        assert self._process is not None
        of_it = psutil.Process(self._process.pid)
        for one in (of_it, *of_it.children()):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def _own(self) -> None:
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")

    def _as_user(self) -> dict[str, Any]:
        """It refuses to run as root."""
        here: dict[str, Any] = {"cwd": self.folder}
        return here | ({"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {})


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs inside the block."""
    # Not below pytest's folders, which only the user who runs the tests can enter.
    folder = Path(tempfile.mkdtemp(prefix="antifake-postgres-"))
    server = Postgres(folder, free_port())
    try:
        server.initialize()
        server.start()
        yield server
    finally:
        with suppress(ProcessLookupError, AssertionError):
            server.resume()
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
