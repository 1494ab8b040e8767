"""Keeps the view model in step with the daemon, also when the daemon restarts."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from antifake.core.i18n import _
from antifake.daemon.client import OTHER_FORM, Client, DaemonError, LearningClient
from antifake.daemon.instance import OFFLINE, OTHER_VERSION

from .notifications import Note, picture_event, shortened
from .view_model import RECENT, View, ViewModel, view_of
from .wishes import wishes_of

log = logging.getLogger(__name__)

TRAINING = _("Learning from your answers")
COUNT_EVERY_S = 60.0
LONGEST_PAUSE_S = 15.0
WAIT_S = 20
_MOST_PAIRINGS = 3
"""The daemon lets one program ask at a time."""
_GATHER_S = 0.3
"""Pause between two requests, so that events of many pictures come together."""


def look(client: Client) -> tuple[View, dict[str, Any]]:
    """Returns the view and the state that it was made from. Raises DaemonError."""
    state = client.state()
    return view_of(state, list(client.history({}, RECENT))), state


def training_line(event: dict[str, Any]) -> str:
    """Returns what the event of a training says about a running one, else ""."""
    if event.get("state") != "running":
        return ""
    done, total = event.get("done"), event.get("total")
    if not total:
        return TRAINING
    return _("Learning from your answers, {done:,} of {total:,}", done=done, total=total)


class Follower:
    """step() is one turn; run() repeats it in a thread until `stop`."""

    def __init__(
        self,
        find: Callable[[], Client | None],
        view_model: ViewModel,
        wait_s: int = WAIT_S,
        corrected: Callable[[str], None] | None = None,
    ) -> None:
        """`corrected` is told of each check that the user has corrected."""
        self._corrected = corrected
        self._find, self._view_model, self._wait_s = find, view_model, wait_s
        self._client: Client | None = None
        self._last = 0
        self._failures = 0
        self._pairings: set[str] = set()
        self._hurry = threading.Event()
        self._counted = -math.inf
        """When the pictures to review were counted last."""

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._hurry.wait(self.step())
            self._hurry.clear()

    def hurry(self) -> None:
        """End the pause between two steps."""
        self._failures = 0
        self._hurry.set()

    def step(self) -> float:
        """Returns the seconds to pause before the next step."""
        try:
            is_there = self._turn()
        except DaemonError as error:
            log.debug("the daemon is away: %s", error)
            return self._away(OFFLINE if error.code == "unreachable" else str(error))
        except OTHER_FORM as error:
            log.warning("The daemon's answer has another form than expected: %r", error)
            return self._away(OTHER_VERSION)
        if not is_there:
            return self._away(OFFLINE)
        self._failures = 0
        return _GATHER_S

    def _turn(self) -> bool:
        """Returns whether a daemon runs."""
        if self._client is not None:
            self._follow(self._client)
            return True
        self._client = self._find()
        if self._client is not None:
            self._read_all(self._client)
        return self._client is not None

    def _away(self, line: str) -> float:
        self._client = None
        self._counted = -math.inf
        self._view_model.set_training("")
        self._view_model.show(View(line=line))
        pause_s: float = min(LONGEST_PAUSE_S, 0.5 * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        return pause_s

    def _read_all(self, client: Client) -> None:
        self._count_to_review(client)
        view, state = look(client)
        self._last = int(state["last_event"])
        self._view_model.set_wishes(wishes_of(client.settings()))
        self._view_model.show(view)
        self._ask_about_pairings(client)

    def _follow(self, client: Client) -> None:
        news = client.events(self._last, self._wait_s)
        if news["reset"]:
            self._read_all(client)
            return
        self._last = int(news["last"])
        events = news["events"]
        kinds = {event["kind"] for event in events}
        for event in events:
            if event["kind"] == "training":
                self._view_model.set_training(training_line(event["data"]))
            if event["kind"] == "check" and (heard := picture_event(event["data"])):
                self._view_model.add(heard)
            if event["kind"] == "correction" and self._corrected:
                self._corrected(str(event["data"]["id"]))
        if "settings" in kinds:
            self._view_model.set_wishes(wishes_of(client.settings()))
        if "pairing" in kinds:
            self._ask_about_pairings(client)
        if "correction" in kinds or time.monotonic() - self._counted > COUNT_EVERY_S:
            self._count_to_review(client)
        # Also without events: a pause ends by itself.
        self._view_model.show(look(client)[0])

    def _count_to_review(self, client: Client) -> None:
        """A daemon without a model has none."""
        self._counted = time.monotonic()
        try:
            n = len(LearningClient(client).review()["items"])
        except DaemonError as error:
            if not error.status:
                raise
            n = 0
        self._view_model.set_to_review(n)

    def _ask_about_pairings(self, client: Client) -> None:
        """Notify once of each program that asks to be connected."""
        pending = client.pairings()[:_MOST_PAIRINGS]
        for one in pending:
            if one["id"] not in self._pairings:
                self._view_model.tell(
                    Note(
                        _("{name} wants to connect", name=shortened(str(one["name"]))),
                        _(
                            "Its code is {code}. Open the history to see what it wants to do, and "
                            "to allow it or not.",
                            code=one["code"],
                        ),
                    )
                )
        self._pairings = {one["id"] for one in pending}
