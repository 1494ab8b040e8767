"""A Ray cluster of two machines, both of them this one: 127.0.0.2 and 127.0.0.3."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Self

import psutil
from kit.waiting import eventually

HEAD, OTHER = "127.0.0.2", "127.0.0.3"


class RayNode:
    """One `ray start`, with all that it starts."""

    def __init__(self, ip: str, cpus: int, *options: str, env: Mapping[str, str]) -> None:
        self._command = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                *(f"--node-ip-address={ip}", f"--num-cpus={cpus}", *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._command.pid).children(recursive=True)
        return []

    def workers(self, stage: str) -> list[psutil.Process]:
        """Returns its processes of a stage that are ready: "Decode" or "Judge"."""
        found = []
        for one in self.processes():
            with suppress(psutil.Error):
                if " ".join(one.cmdline()).startswith(f"ray::MapWorker(MapBatches({stage}))"):
                    found.append(one)
        return found

    def kill(self) -> None:
        """Ends all of it at once, without a warning, as a machine does that loses its power."""
        if self._command.poll() is not None:
            return
        os.kill(self._command.pid, signal.SIGSTOP)  # it would tell the others
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._command.kill()
        self._command.wait()


class RayCluster:
    """The two, with token authentication on. A context manager."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.address = f"{HEAD}:{_free_port()}"
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), **env}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Sockets are below it, whose paths must be short.
            short = tempfile.TemporaryDirectory(
                prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
            )
            folder = stack.enter_context(short)
            port = self.address.rpartition(":")[2]
            own = (f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir={folder}")
            self.head = self._node(stack, HEAD, 6, *own)
            eventually(self._answers, within_s=60)
            self.other = self._node(stack, OTHER, 3, f"--address={self.address}")
            eventually(lambda: len(self.other.processes()) > 2, within_s=60)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _node(self, stack: ExitStack, ip: str, cpus: int, *options: str) -> RayNode:
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        node = RayNode(ip, cpus, *options, env=os.environ | quiet | self.env)
        stack.callback(node.kill)
        return node

    def _answers(self) -> bool:
        host, port = self.address.split(":")
        with suppress(OSError), socket.create_connection((host, int(port))):
            return True
        return False

    def workers(self, stage: str) -> list[psutil.Process]:
        """Returns the processes of a stage on both."""
        return self.head.workers(stage) + self.other.workers(stage)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HEAD, 0))
        return int(found.getsockname()[1])
