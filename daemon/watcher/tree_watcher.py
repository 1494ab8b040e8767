"""The watching of one ground: its events, its walks, what is waited for and what is handed over.

All of it happens in step(now), a little at a time; a test can call it itself. Only events and
requests come from other threads. A drive that does not answer keeps one patrol, and no other.
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from antifake.daemon.store.ledger import Stamp

from .event_buffer import Hints
from .mounts import is_mute
from .observer import Ear, is_limit
from .roots import identity_of, is_bare, objection_to
from .sink import Desk
from .stability import Settled, Settling
from .tree import Ground
from .walk import is_no_link, look, reconcile

log = logging.getLogger(__name__)

VISIT_S = 1.0
"""So often it is seen whether the folder is still the same one."""
POLL_S = 2.0
POLL_SHARE = 20
"""Where no events come, a walk is followed by a rest this many times as long."""
QUIET_S = 1.5
"""After trouble: setting up watches takes as long as a walk, so not in the middle of a storm."""
LONGEST_DOUBT_S = 5.0
RENEW_SHARE = 4
"""Nor so often that it does nothing else: it hears for this many times as long as that took."""
RETRY_S = 60.0
BACK_OFF_S = (0.1, 2.0)
BACKLOG = 1000
"""So many files wait at most before a walk pauses: memory stays flat, however many there are."""
MOST_RECENT = 4096
MOST_PLACES = 64
TURN_S = 0.1
"""A step gives way after so long to each of its parts."""


class Patrol:
    """One ground. step() belongs to one thread; the other public methods to any."""

    def __init__(
        self, desk: Desk, ground: Ground, quiet_s: float, is_paused: Callable[[], bool]
    ) -> None:
        self.ground = ground
        self.problems: dict[str, str | None] = {}
        """By the folder's place; a sentence, or None where all is well."""
        self.is_polling = ground.is_polled
        self._desk = desk
        self._is_paused = is_paused
        self._bell = threading.Event()
        self._stop = threading.Event()
        self._rescan = threading.Event()
        self._rescan.set()
        self._hints = Hints(self._bell)
        self._settling = Settling(quiet_s)
        self._ready: OrderedDict[str, Settled] = OrderedDict()
        self._later: OrderedDict[str, Settled] = OrderedDict()
        self._recent: OrderedDict[str, Stamp] = OrderedDict()
        self._gone: list[str] = []
        self._places: set[str] = set()
        self._round: Iterator[list[str]] | None = None
        self._round_took = 0.0
        self._poll_at = 0.0
        self._ask_at = 0.0
        self._back_off = BACK_OFF_S[0]
        self._root: tuple[int, int] | None = None
        self._device: int | None = None
        self._visit_at = 0.0
        self._ear: Ear | None = None
        self._listen_at = 0.0
        self._lengthen_at = 0.0
        self._renew_at = 0.0
        self._overflows = 0
        self._has_lost = False
        self._doubted_at = self._doubted_since = 0.0
        self._was_bare = False
        self._is_mute = False
        self._is_resting = False

    # From any thread.

    def adopt(self, ground: Ground, quiet_s: float) -> None:
        """New settings for the same place. What is on its way is asked about anew."""
        self.ground = ground
        self._settling.quiet_s = quiet_s
        self.rescan()

    def rescan(self) -> None:
        self._rescan.set()
        self._bell.set()

    def pending(self) -> list[str]:
        return [*self._settling.paths(), *list(self._ready), *list(self._later)]

    def stop(self) -> None:
        self._stop.set()
        self._bell.set()

    def run(self) -> None:
        """Until stop()."""
        try:
            while not self._stop.is_set():
                self._bell.clear()
                self._bell.wait(self._turn())
                self._stop.wait(0.02)  # in a storm of events many are taken at once
        finally:
            self.close()

    def close(self) -> None:
        self._let_go()
        self._close_ear()

    def _turn(self) -> float:
        try:
            return self.step(time.monotonic())
        except Exception as error:  # noqa: BLE001 - a thread's border: the next turn may do better
            _complain(error)
            self._give_up_round()
            self._stop.wait(BACK_OFF_S[1])
            return 0

    # In its own thread.

    def step(self, now: float) -> float:
        """A little of everything; gives for how many seconds there is nothing to do."""
        self._note_overflows(now)
        self._visit(now)
        if self._is_paused() or self._root is None:
            self._let_go()
            self._is_resting = True
            return VISIT_S
        if self._is_resting:
            self._is_resting = False
            self._rescan.set()
        self._take_hints(now)
        self._look(now)
        self._hand_over(now)
        self._forget()
        self._walk_on(now)
        return self._idle_s(now)

    def _let_go(self) -> None:
        """Of all that is on its way: a walk finds it again."""
        self._hints.take()
        self._settling.clear()
        self._ready.clear()
        self._later.clear()
        self._gone.clear()
        self._round = None
        self._places.clear()

    # Is it still there, and are we still listening?

    def _visit(self, now: float) -> None:
        if now < self._visit_at:
            return
        self._visit_at = now + VISIT_S
        root = identity_of(self.ground.root)
        if root is None or root != self._root:
            self._close_ear()
            self._let_go()  # of files of a folder that is another one now
        if root is None:
            self._root = None
            self._tell(None)
            return
        if root != self._root:
            self._arrive(root)
        if self._was_bare and not is_bare(self.ground.root):
            self._was_bare = False
            self._rescan.set()  # the one before could not tell an empty folder from a lost drive
        self._listen(now)
        self._tell(self._limit())

    def _arrive(self, root: tuple[int, int]) -> None:
        """It is there, or it is another folder under the same name: a drive, or a new one."""
        self._root = root
        if self._device is None:
            self._device = root[0]
        self._is_mute = is_mute(self.ground.root)
        self._listen_at = 0.0
        self._rescan.set()

    def _close_ear(self) -> None:
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _listen(self, now: float) -> None:
        is_mute = self._is_mute or self.ground.is_polled
        if self._ear is not None and (is_mute or self._is_unwell(self._ear, now)):
            self._close_ear()
        if self._ear is None and not is_mute and now >= self._listen_at:
            self._open_ear(now)
        self.is_polling = self._ear is None or self._ear.trouble.is_short

    def _tell(self, limit: str | None) -> None:
        self.problems = {
            place.root: objection_to(place.root) or limit for place in self.ground.places
        }

    def _limit(self) -> str | None:
        if not self.is_polling or self._is_mute or self.ground.is_polled:
            return None
        return (
            f"This computer can watch no more folders, so {self.ground.root} is looked through "
            "every few seconds instead. On Linux a higher fs.inotify.max_user_watches helps."
        )

    def _open_ear(self, now: float) -> None:
        began = time.perf_counter()
        try:
            self._ear = Ear(self.ground.root, self._hints, recursive=self.ground.is_recursive)
        except OSError as error:
            self._listen_at = now + (RETRY_S if is_limit(error) else VISIT_S)
            return
        self._overflows, self._has_lost = 0, False
        self._doubted_at = self._doubted_since = 0.0
        self._lengthen_at = now + RETRY_S
        took = max(time.perf_counter() - began, self._round_took)
        self._renew_at = now + RENEW_SHARE * took
        # Whatever happened before it heard.
        self._rescan.set()

    def _is_unwell(self, ear: Ear, now: float) -> bool:
        trouble = ear.trouble
        if trouble.overflows and not self._has_lost:
            self._has_lost = True
            self._rescan.set()  # at once; the next one comes with the new ear
        if not ear.is_well() or (trouble.is_short and now >= self._lengthen_at):
            return True
        is_time = now - self._doubted_at > QUIET_S or now - self._doubted_since > LONGEST_DOUBT_S
        may = now >= self._renew_at or trouble.overflows > 0
        return self._doubted_since > 0 and is_time and may

    def _note_overflows(self, now: float) -> None:
        if self._ear is not None and self._ear.trouble.overflows > self._overflows:
            self._overflows = self._ear.trouble.overflows
            self._doubt(now)

    def _doubt(self, now: float) -> None:
        """The observer may not hear from all folders any more."""
        self._doubted_at = now
        self._doubted_since = self._doubted_since or now

    # Files: waited for, looked at, handed over.

    def _take_hints(self, now: float) -> None:
        ground = self.ground
        if self._backlog() > 2 * BACKLOG:
            return  # they wait where they are, and where they are too many a walk is asked for
        taken = self._hints.take()
        for path in filter(ground.takes, taken.files):
            self._settling.changed(path, now)
        self._places |= {folder for folder in taken.folders if ground.enters(folder)}
        if taken.has_moves and self._ear is not None:
            self._doubt(now)
        if taken.is_lossy or len(self._places) > MOST_PLACES:
            self._rescan.set()

    def _look(self, now: float) -> None:
        whole = []
        for path in self._settling.due(now):
            settled = self._look_at(path, now)
            if settled is None:
                continue
            if settled.stamp is None:
                self._gone.append(path)
            elif self._recent.get(path) != settled.stamp:
                whole.append(settled)
        self._make_ready(whole, now)

    def _look_at(self, path: str, now: float) -> Settled | None:
        try:
            stamp = look(path)
        except OSError:
            self._settling.drop(path)
            return None
        if stamp is not None and (stamp.size == 0 or not self.ground.takes(path)):
            # An empty file is a browser's promise; its filling is another event.
            self._settling.drop(path)
            return None
        return self._settling.seen(path, stamp, now)

    def _make_ready(self, whole: list[Settled], now: float) -> None:
        try:
            unknown = set(self._desk.unknown([one.stamp for one in whole if one.stamp]))
        except BaseException:
            for one in whole:
                self._settling.came_upon(one.path, now)
            raise
        for one in whole:
            if one.stamp in unknown:
                self._later.pop(one.path, None)
                (self._ready if one.is_fresh else self._later)[one.path] = one

    def _hand_over(self, now: float) -> None:
        until = time.perf_counter() + TURN_S
        while now >= self._ask_at and time.perf_counter() < until:
            line = self._ready or self._later
            if not line or self._stop.is_set() or self._is_paused():
                return
            path, one = line.popitem(last=False)
            try:
                is_taken = self._offer(path, one, now)
            except Exception as error:  # noqa: BLE001 - the others must not wait for this one
                _complain(error)
                is_taken = False
            if not is_taken:
                # To the end of the line: it must not keep all others waiting.
                line[path] = one
                self._rest(now)

    def _offer(self, path: str, one: Settled, now: float) -> bool:
        """True: it need not be offered again."""
        if one.stamp is None or not self.ground.takes(path):
            return True
        if not is_no_link(os.path.dirname(path)):  # noqa: PTH120 - a Path is slow
            return True
        try:
            stamp = look(path)
        except OSError:
            return True
        if stamp != one.stamp:
            self._settling.changed(path, now)
            return True
        if not self._desk.found(stamp):
            return False
        self._back_off = BACK_OFF_S[0]
        self._recent[path] = stamp
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)
        return True

    def _rest(self, now: float) -> None:
        self._ask_at = now + self._back_off
        self._back_off = min(2 * self._back_off, BACK_OFF_S[1])

    def _forget(self) -> None:
        """Not before new names were handed over: a file that was moved is known by its old one."""
        if not self._gone or ((self._ready or self._later) and len(self._gone) < BACKLOG):
            return
        # A drive that was pulled out takes its files along, and they are not gone.
        if identity_of(self.ground.root) == self._root and self._is_own_device():
            self._desk.gone(self._gone)
        for path in self._gone:
            self._recent.pop(path, None)
        self._gone = []

    def _is_own_device(self) -> bool:
        return self._root is not None and self._root[0] == self._device

    # Walks.

    def _walk_on(self, now: float) -> None:
        until = time.perf_counter() + TURN_S
        while not self._stop.is_set() and self._backlog() < BACKLOG:
            if self._round is None and not self._set_out(now):
                return
            self._go_on(now)
            if time.perf_counter() > until:
                return

    def _backlog(self) -> int:
        return len(self._settling) + len(self._ready) + len(self._later) + len(self._gone)

    def _set_out(self, now: float) -> bool:
        """Begin with the next place; whether there is one."""
        root = self.ground.root
        if self._rescan.is_set():
            self._rescan.clear()
            # What was taken and is still not in the ledger is offered once more.
            self._recent.clear()
            self._places = {root}
        elif not self._places and self.is_polling and now >= self._poll_at:
            self._places = {root}
        if not self._places:
            return False
        self._round_took = 0.0
        place = self._places.pop()
        self._round = reconcile(self.ground, place, self._desk, self._may_forget)
        return True

    def _may_forget(self) -> bool:
        bare = is_bare(self.ground.root)
        self._was_bare |= bare
        return not bare and self._is_own_device()

    def _go_on(self, now: float) -> None:
        began = time.perf_counter()
        found = next(self._round, None) if self._round is not None else None
        self._round_took += time.perf_counter() - began
        if found is None:
            self._round = None
            self._poll_at = now + max(POLL_S, POLL_SHARE * self._round_took)
            return
        for path in found:
            if path not in self._ready and path not in self._later:
                self._settling.came_upon(path, now)

    def _give_up_round(self) -> None:
        if self._round is not None:
            self._round = None
            self._rescan.set()

    def _idle_s(self, now: float) -> float:
        is_walking = self._round is not None or self._places or self._rescan.is_set()
        if is_walking and self._backlog() < BACKLOG:
            return 0
        at = [now + VISIT_S, self._visit_at]
        if self._ready or self._later:
            at.append(self._ask_at)
        if (due := self._settling.next_due()) is not None:
            at.append(due)
        if self.is_polling:
            at.append(self._poll_at)
        return max(0.0, min(at) - now)


def _complain(error: Exception) -> None:
    # The trace may hold names of files.
    log.warning("Watching a folder failed (%s); it is tried again.", type(error).__name__)
    log.debug("Watching a folder failed.", exc_info=error)
