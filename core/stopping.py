"""Ends a command on Ctrl-C or SIGTERM in such a way that what is done can still be printed."""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Stopped(BaseException):
    """The command is to end. No Exception: nothing on the way may take it for a fault."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Stopper:
    """Turns the first signal into Stopped. Later ones change nothing: what is done gets printed.

    `timeout` of GNU, for one, sends SIGTERM twice.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._is_held = False

    def handle(self, number: int, _: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            if not self._is_held:
                raise Stopped(number)

    def until_asked(self, items: Iterable[T]) -> Iterator[T]:
        """Yields items. Raises Stopped before the next one if a signal came meanwhile.

        The signal may have come in a callback of the interpreter, which drops every exception.
        """
        for item in items:
            yield item
            self._raise_if_asked()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal in the block ends the command after it: a line is written as a whole."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    @property
    def is_asked(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def _raise_if_asked(self) -> None:
        if self._number is not None:
            raise Stopped(self._number)


@contextmanager
def stoppable() -> Iterator[Stopper]:
    """While inside, Ctrl-C and SIGTERM raise Stopped in the main thread.

    A signal that is ignored, as in the background of a shell, stays so. After one that came, more
    are ignored until the process has ended.
    """
    stopper = Stopper()
    numbers = (signal.SIGINT, signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    former = {number: signal.getsignal(number) for number in numbers if is_main}
    taken = [number for number, handler in former.items() if handler is not signal.SIG_IGN]
    try:
        for number in taken:
            signal.signal(number, stopper.handle)
        yield stopper
    finally:
        # The process ends now: a second signal on its way must not end it with a traceback.
        is_asked = stopper.is_asked
        for number in taken:
            signal.signal(number, signal.SIG_IGN if is_asked else former[number])
