"""How many processes judge and decode, and whether a cluster has room for them. Imports no ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from antifake.core.errors import UsageError
from antifake.core.i18n import _

FREE_CPUS = 2
"""On one machine, beside the pools: one for tasks that read the listing and write rows, one for the
process that leaves out what is finished. Without them nothing moves, and Ray reports no error."""


DECODERS_A_CARD = 16
"""At most. docs/speed.md: 11 cores decode as fast as one H200 judges with the 7B model."""


@dataclass(frozen=True)
class Node:
    """What a machine of a cluster has."""

    id: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Pools:
    """The processes that judge and decode. They keep what they take until the scan ends."""

    detectors: int
    gpus: float
    """Graphics cards a detector; 0 for none, in which case it takes a CPU."""
    decoders: int

    @classmethod
    def chosen(
        cls, nodes: Sequence[Node], detectors: int, gpus: float | None, decoders: int | None
    ) -> Self:
        """Returns pools in which None stands for what suits the machines. Raises UsageError."""
        if gpus is None:
            gpus = 1.0 if sum(int(node.gpus) for node in nodes) >= detectors else 0.0
        if decoders is None:
            beside_card = min(DECODERS_A_CARD * detectors, most_cpus(nodes))
            decoders = max(1, beside_card) if gpus else detectors
        pools = cls(detectors, gpus, decoders)
        pools.require_room(nodes)
        return pools

    @property
    def cpus(self) -> int:
        return self.decoders + (0 if self.gpus else self.detectors)

    def require_room(self, nodes: Sequence[Node]) -> None:
        """Raises UsageError where the pools would leave too little for the scan to move."""
        fitting = sum(int(node.gpus / self.gpus) for node in nodes) if self.gpus else self.detectors
        if fitting < self.detectors:
            raise UsageError(
                _(
                    "{detectors} detectors of {gpus:g} graphics cards each do not fit: the cluster "
                    "has {cards:g} in {machines} machines, enough for {fitting}.",
                    detectors=self.detectors,
                    gpus=self.gpus,
                    cards=sum(node.gpus for node in nodes),
                    machines=len(nodes),
                    fitting=fitting,
                )
            )
        there, most = [int(node.cpus) for node in nodes if node.cpus >= 1], most_cpus(nodes)
        if self.cpus > most:
            raise UsageError(
                _(
                    "The processes that judge and decode would take {taken} CPUs, and the cluster "
                    "has {cpus} in {machines} machines. Two on one machine must stay free, or the "
                    "scan would stand still. At most {most} fit: choose fewer --decoders or "
                    "--detectors, or add machines.",
                    taken=self.cpus,
                    cpus=sum(there),
                    machines=len(there),
                    most=most,
                )
            )


def most_cpus(nodes: Sequence[Node]) -> int:
    """Returns how many CPUs pools may take, whichever machines Ray puts them on.

    If more CPUs are left than there are machines, one of them has two.
    """
    there = [int(node.cpus) for node in nodes if node.cpus >= 1]
    return max(0, sum(there) - len(there) - (FREE_CPUS - 1))
