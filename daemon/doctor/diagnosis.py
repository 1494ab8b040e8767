"""Runs all checks in causal order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from antifake.daemon.autostart import Session
from antifake.daemon.places import Places

from .daemon import DaemonChecks
from .environment import INOTIFY, EnvironmentChecks
from .finding import Finding
from .installation import DiskUsage, InstallationChecks, TryImports, disk_usage, try_imports


@dataclass(frozen=True)
class System:
    """What is examined: antifake's folders, and the parts of the operating system it needs."""

    where: Places
    session: Session = field(default_factory=Session.of_this_process)
    disk_usage: DiskUsage = disk_usage
    inotify: Path = INOTIFY
    try_imports: TryImports = try_imports


def examine(system: System) -> Iterator[Finding]:
    """Yields each finding as soon as it is known, since some checks take a second."""
    installation = InstallationChecks(system.where, system.disk_usage, system.try_imports)
    daemon = DaemonChecks(system.where)
    environment = EnvironmentChecks(system.session, system.inotify)
    yield installation.folders()
    settings, config = installation.settings()
    yield settings
    yield installation.space()
    yield installation.libraries()
    model = installation.model(config)
    yield model
    if model.ok:
        yield installation.prompt(config)
    yield installation.history(config)
    state, port = daemon.state(), daemon.port(config)
    yield state
    yield port
    if state.ok and port.ok:
        yield daemon.token()
        yield daemon.version()
    if not settings.ok:
        return  # without settings the watched folders and the autostart setting are unknown
    yield environment.folders(config)
    if watches := environment.watches(config):
        yield watches
    yield environment.screen()
    yield environment.login(config)
