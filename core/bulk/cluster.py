"""Ray: started on this computer, or a cluster that is joined. `environment.prepare` comes first."""

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from antifake.core.decoder import usable_cores
from antifake.core.errors import AntifakeError, UsageError
from antifake.core.i18n import _

from .judging import Expected
from .output import Output
from .pools import FREE_CPUS, Node
from .stores import Place

_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}


@contextmanager
def connected(address: str | None, cpus: int) -> Iterator[list[Node]]:
    """Starts Ray on this computer, or joins the cluster at an address. Yields its machines.

    `cpus` are those that pools will take. Raises UsageError if there is no such cluster.
    """
    with ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(_private_folder())
            # Of Ray's CPUs there may be more than cores: its processes share these like others.
            ray.init(
                "local",
                num_cpus=max(cpus, usable_cores()) + FREE_CPUS,
                include_dashboard=False,
                _temp_dir=str(folder),
                **_QUIET,
            )
        else:
            _join(address)
        stack.callback(ray.shutdown)
        yield [
            Node(
                node["NodeID"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
            )
            for node in ray.nodes()
            if node["Alive"]
        ]


def _join(address: str) -> None:
    try:
        _require_listener(address)
        ray.init(address, **_QUIET)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise UsageError(
            _(
                "The Ray cluster at {address} does not answer or lets nobody in: {why}",
                address=address,
                why=str(error).strip().partition("\n")[0],
            )
        ) from error


def _require_listener(address: str) -> None:
    """Raises OSError if nobody listens at host:port, which Ray would try for minutes."""
    host, _colon, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Yields a folder for Ray's sockets and logs, which Ray itself would open to all users."""
    # Its path is short: with what Ray adds, a socket's may have 107 bytes.
    short = "/tmp" if sys.platform != "win32" else None  # noqa: S108
    with tempfile.TemporaryDirectory(
        prefix="antifake-", dir=short, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder, "ray")


def gcs_address() -> str:
    """Returns the address of the cluster that was joined."""
    return str(ray.get_runtime_context().gcs_address)


def threads_each(detectors: int) -> int | None:
    """Returns how many threads each detector of this computer gets; None if it is set from outside.

    Ray would give each as many as it has CPUs of Ray's: one.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cores = min(usable_cores(), psutil.cpu_count(logical=False) or usable_cores())
    return max(1, cores // detectors)


def require_same_everywhere(
    nodes: Sequence[Node], expected: Expected, output: Output, folders: Sequence[Place]
) -> None:
    """Raises UsageError unless all machines have the model, and see local folders and the output.

    What only some of them see, as a disk of the one where the command was given, would be missing.
    """
    local = [output.rows, *folders]
    paths = [place.path for place in local if place.is_local]
    look = ray.remote(num_cpus=0)(_look)
    asked = [
        look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(expected, paths)
        for node in nodes
    ]
    for sentence in ray.get(asked):
        if sentence:
            raise UsageError(sentence)


def _look(expected: Expected, paths: list[str]) -> str | None:
    """Returns what is wrong on this machine, in a sentence."""
    try:
        expected.bundle()
    except AntifakeError as error:
        return str(error)
    missing = [path for path in paths if not Path(path).is_dir()]
    if missing:
        return _(
            "{host} does not see {path}: it must be on a disk that all machines share.",
            host=socket.gethostname(),
            path=missing[0],
        )
    return None
