"""What takes the files that the watcher finds, and knows which files it already has."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from antifake.daemon.store.ledger import Stamp


class Sink(Protocol):
    """Called from several threads, but never from two at once about the same path."""

    def unknown(self, stamps: Iterable[Stamp]) -> Iterator[Stamp]:
        """Returns the stamps that differ from what the ledger has."""
        ...

    def found(self, stamp: Stamp) -> bool:
        """Takes a file that is complete. Returns False if it cannot now; it is offered again.

        The file may change again at any time. Who reads it must compare its stamp before and
        after reading. If it has changed, it is handed over again as soon as it is complete.
        """
        ...

    def noted(self, folder: str) -> Iterator[str]:
        """Returns every path below a folder that is in the ledger."""
        ...

    def gone(self, paths: Collection[str]) -> None:
        """These files do not exist any more."""
        ...
