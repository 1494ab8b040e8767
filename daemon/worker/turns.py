"""Whose picture is judged next: within a priority, clients take turns.

So a client that sends many pictures, or slow ones, keeps no other one waiting for more than what is
being judged at the moment.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from antifake.daemon.store.jobs import Priority

SHARE = 4
"""Pictures of one client that are judged at once: the others wait for all of them."""
SLOW_FOR_S = 60.0
"""How long a client comes last, and one picture at a time, after one that took long."""


_T = TypeVar("_T")


@dataclass(frozen=True)
class Waiting(Generic[_T]):
    """A picture in the queue."""

    job: _T
    priority: Priority
    client: str


class Turns:
    """One thread takes; any may ask for the order. Nothing is kept over a restart, which no client
    can bring about.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: dict[str, int] = {}
        """When each client had its last turn: the number of that turn."""
        self._n = 0
        self._slow_until: dict[str, float] = {}

    def next(self, waiting: Iterable[Waiting[_T]], batch: Collection[str]) -> Waiting[_T] | None:
        """Returns what joins a batch, None if nothing may. `waiting`: oldest first.

        `batch` has the clients of the pictures that are in it, one name for each.
        """
        taken = Counter(batch)
        free = (one for one in waiting if taken[one.client] < SHARE)
        found = min(free, key=self._order, default=None)
        if found is None or (batch and self.is_slow(found.client)):
            return None
        self._n += 1
        self._turns[found.client] = self._n
        return found

    def in_turn(self, waiting: Iterable[Waiting[_T]]) -> list[Waiting[_T]]:
        """Returns all in the order in which they will join batches. `waiting`: oldest first."""
        seen: Counter[tuple[Priority, str]] = Counter()
        keyed = []
        for one in waiting:
            priority, is_slow, turn = self._order(one)
            mine = seen[priority, one.client]
            seen[priority, one.client] += 1
            keyed.append(((priority, is_slow, mine, turn), one))
        return [one for _key, one in sorted(keyed, key=lambda pair: pair[0])]

    def _order(self, one: Waiting[Any]) -> tuple[Priority, bool, int]:
        return one.priority, self.is_slow(one.client), self._turns.get(one.client, 0)

    def was_slow(self, client: str) -> None:
        """A picture of this client took long, or ended its decoder."""
        self._slow_until[client] = self._clock() + SLOW_FOR_S

    def is_slow(self, client: str) -> bool:
        return self._clock() < self._slow_until.get(client, 0.0)
