"""All looks in the order of causes, and which of what they found comes first."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from antifake.daemon.autostart import Session
from antifake.daemon.places import Places

from .alive import Alive
from .around import INOTIFY, Around
from .at_rest import AtRest, DiskUsage, disk_usage
from .finding import Finding


@dataclass(frozen=True)
class Patient:
    """Whose antifake is looked at, and what of the system is asked."""

    where: Places
    session: Session = field(default_factory=Session.of_this_process)
    disk_usage: DiskUsage = disk_usage
    inotify: Path = INOTIFY


def examine(patient: Patient) -> Iterator[Finding]:
    """One after the other, as they are looked at: some take a second."""
    rest, alive = AtRest(patient.where, patient.disk_usage), Alive(patient.where)
    around = Around(patient.session, patient.inotify)
    yield rest.folders()
    finding, config = rest.settings()
    yield finding
    yield rest.space()
    model = rest.model(config)
    yield model
    if model.ok:
        yield rest.prompt(config)
    yield rest.history(config)
    daemon, port = alive.daemon(), alive.port(config)
    yield daemon
    yield port
    if daemon.ok and port.ok:
        yield alive.token()
        yield alive.version()
    if not finding.ok:
        return  # which folders, and whether with the login, nobody can say
    yield around.folders(config)
    if watches := around.watches(config):
        yield watches
    yield around.screen()
    yield around.login(config)


def first_trouble(findings: list[Finding]) -> Finding | None:
    """What to begin with: whatever comes later may come of it."""
    return next((finding for finding in findings if not finding.ok), None)
