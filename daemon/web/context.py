"""The objects that the views work on, and a limit for requests that wait."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from flask import current_app

from antifake.daemon.service import Service
from antifake.daemon.service.access import Access

STREAMS = 16
"""Event streams and long polls, of API and page together. Each holds a thread of the server."""
WAITING = 6
"""Requests that wait for a verdict. Each holds a thread of the server."""
NAME = "antifake"
OWN_NAME = "antifake.localhost"
"""The pages' own host name. Browsers take each name below localhost for this computer, and send the
cookie of our session to this name only, not to other programs on 127.0.0.1."""


@dataclass(frozen=True)
class About:
    """What the program tells the app about this daemon."""

    version: str
    stop: Callable[[], None]
    """Asks the daemon to stop, and returns at once."""
    requests: Callable[[], list[str]] | None = None
    """Returns all requests that ever left this computer, one line each."""
    show_icon: Callable[[], None] | None = None
    """Starts the icon beside the clock. None if there is no screen. Raises OSError."""


class Seats:
    """A limited number of places for requests that wait."""

    def __init__(self, n: int) -> None:
        self._free = threading.BoundedSemaphore(n)

    def take(self) -> bool:
        """Take a seat. Returns whether there was a free one."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        self._free.release()

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """Takes a seat until the end of the block. Yields whether there was a free one."""
        has_one = self.take()
        try:
            yield has_one
        finally:
            if has_one:
                self.give_back()


@dataclass
class Context:
    """The objects of one app. API and pages share them."""

    service: Service
    access: Access
    about: About
    port: int = 0
    """Known once the app is served. It stays 0 where only this process calls the app."""
    has_name: bool = False
    """Whether no other program can be reached as OWN_NAME at this port."""
    identity: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Tells our page under one name whether it reaches this daemon under the other name."""
    streams: Seats = field(default_factory=lambda: Seats(STREAMS))
    waiting: Seats = field(default_factory=lambda: Seats(WAITING))


def context() -> Context:
    """Returns the context of the app that handles the current request."""
    return cast(Context, current_app.extensions[NAME])


def own_address() -> str:
    """Returns the address of the pages under their own name; "" if that must not be used."""
    return f"http://{OWN_NAME}:{context().port}" if context().has_name else ""


def service() -> Service:
    return context().service


def access() -> Access:
    return context().access
