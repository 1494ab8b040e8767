"""What the views work on, and how many of them may wait at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from flask import current_app

from antifake.daemon.service import Service
from antifake.daemon.service.access import Access

from .errors import Problem

STREAMS = 8
WAITING = 5
NAME = "antifake"


@dataclass(frozen=True)
class About:
    """This daemon, as its own program knows it."""

    version: str
    stop: Callable[[], None]
    """Asks it to stop; returns at once."""
    requests: Callable[[], list[str]] | None = None
    """Every request that ever left this computer, a line each."""


class Room:
    """So many may be inside; whoever waits inside holds one of the server's threads."""

    def __init__(self, seats: int) -> None:
        self._seats = threading.BoundedSemaphore(seats)

    def enter(self) -> bool:
        return self._seats.acquire(blocking=False)

    def leave(self) -> None:
        self._seats.release()

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """Gives whether there was one."""
        has_one = self.enter()
        try:
            yield has_one
        finally:
            if has_one:
                self.leave()


@dataclass
class Behind:
    service: Service
    access: Access
    about: About
    port: int = 0
    """Known once it is served."""
    streams: Room = field(default_factory=lambda: Room(STREAMS))
    waiting: Room = field(default_factory=lambda: Room(WAITING))


def behind() -> Behind:
    """Of the app that answers now."""
    return cast(Behind, current_app.extensions[NAME])


def service() -> Service:
    return behind().service


def access() -> Access:
    return behind().access


def no_room(what: str) -> Problem:
    return Problem(503, "too_many_open", f"Too many {what} are open already.", {"Retry-After": "5"})
