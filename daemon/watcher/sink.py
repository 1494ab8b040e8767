"""What the watcher asks of the one whose folders it watches."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from antifake.daemon.store.ledger import Stamp


class Desk(Protocol):
    """Asked from several threads, about one path never from two at once."""

    def unknown(self, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
        """Those that look different from what the ledger has."""
        ...

    def found(self, stamp: Stamp) -> bool:
        """A whole file. True: it is taken care of; False: not now, ask again.

        Whoever reads it later must see that it still looks so, before and after: if not, it is
        handed over again as soon as it is whole.
        """
        ...

    def noted(self, folder: str) -> Iterator[str]:
        """Every path in the ledger below a folder."""
        ...

    def gone(self, paths: Collection[str]) -> None:
        """Nothing is there any more."""
        ...
