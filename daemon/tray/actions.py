"""What the menu's entries do. Each action runs in its own thread, so that the menu never waits for
the daemon. Its outcome is a notification, because the menu is closed by then."""

import logging
import threading
import webbrowser
from collections.abc import Callable
from urllib.parse import quote

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.daemon.client import Client, DaemonError

from .clipboard import copied_picture
from .follower import look
from .notifications import Note, Press, about_a_picture, shortened
from .view_model import ViewModel

log = logging.getLogger(__name__)

PAUSE_MINUTES = 60
SNOOZE_S = 3600.0
_LONGEST_WAIT_S = 600.0


class Actions:
    """The actions of the menu. Can be called from any thread."""

    def __init__(
        self,
        need: Callable[[], Client],
        view_model: ViewModel,
        start: Callable[[], None] | None,
        hurry: Callable[[], None],
    ) -> None:
        """`start` starts the daemon. `hurry` makes the follower read the state at once."""
        self._need, self._view_model, self._start, self._hurry = need, view_model, start, hurry
        self._running: set[str] = set()
        self._turn = threading.Lock()

    @property
    def can_start(self) -> bool:
        return self._start is not None

    def open_history(self) -> None:
        self._run("open", lambda: self._open(None))

    def open_folders(self) -> None:
        self._run("open", lambda: self._open("/folders"))

    def open_review(self) -> None:
        self._run("open", lambda: self._open("/review"))

    def open_picture(self, name: str) -> None:
        self._run("open", lambda: self._open(f"/picture/{quote(name, safe='')}"))

    def say(self, name: str, label: str) -> None:
        """Record what the user says the picture is: real, fake or unsure."""
        self._run(f"say-{name}", lambda: self._say(name, label))

    def press(self, note: Note, press: Press) -> None:
        """Do what a button of a notification says."""
        if press == "show":
            self.open_picture(note.picture) if note.picture else self.open_history()
        elif press == "undo":
            # Under another name: what it undoes may still be at its last step.
            self._run(f"undo-{note.picture}", lambda: self._undo(note.picture))
        else:
            self.say(note.picture, press)

    def check_clipboard(self) -> None:
        self._run("clipboard", self._check_clipboard)

    def pause(self) -> None:
        self._run("pause", lambda: self._pause(PAUSE_MINUTES))

    def go_on(self) -> None:
        self._run("pause", lambda: self._pause(None))

    def snooze(self) -> None:
        self._view_model.snooze(0.0 if self._view_model.is_snoozed else SNOOZE_S)

    def stop_daemon(self) -> None:
        self._run("life", lambda: self._need().stop())

    def start_daemon(self) -> None:
        self._run("life", self._start_daemon)

    def _run(self, name: str, work: Callable[[], object]) -> None:
        """Run `work` in a thread, unless an action of that name is running already."""
        with self._turn:
            if name in self._running:
                return
            self._running.add(name)
        threading.Thread(
            target=self._do, args=(name, work), name=f"tray-{name}", daemon=True
        ).start()

    def _do(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (AntifakeError, OSError) as error:
            self._view_model.tell(Note("antifake", str(error)))
        except Exception:
            log.exception("%s", name)
            self._view_model.tell(
                Note("antifake", _("That did not work; the log of the icon says why."))
            )
        finally:
            with self._turn:
                self._running.discard(name)

    def _pause(self, minutes: float | None) -> None:
        client = self._need()
        client.pause(minutes)
        self._view_model.show(look(client)[0])

    def _say(self, name: str, label: str) -> None:
        client = self._need()
        (check,) = client.correct([name], label, source="tray")
        shown = check.get("name") or check.get("page") or _("Your answer is saved.")
        self._view_model.tell(
            Note(str(check["word"]), shortened(str(shown)), str(check["id"]), ("undo", "show"))
        )
        self._view_model.show(look(client)[0])

    def _undo(self, name: str) -> None:
        client = self._need()
        (check,) = client.undo([name], source="tray")
        shown = check.get("name") or check.get("page")
        text = _("Undone: {name}", name=shortened(str(shown))) if shown else _("Undone.")
        self._view_model.tell(about_a_picture(check, text))
        self._view_model.show(look(client)[0])

    def _open(self, path: str | None) -> None:
        """Show one of the daemon's pages in the browser. None means the history."""
        url = self._need().login(path)
        try:
            is_open = webbrowser.open(url)
        except webbrowser.Error:
            is_open = False
        if not is_open:
            raise AntifakeError(_("No browser could be opened to show the page."))

    def _start_daemon(self) -> None:
        if self._start is not None:
            self._start()
        self._hurry()

    def _check_clipboard(self) -> None:
        client, copied = self._need(), copied_picture()
        try:
            check = client.check(
                copied.data, source="tray", path=copied.path, within_s=_LONGEST_WAIT_S
            )
        except DaemonError as error:
            if error.code != "too_slow":
                raise
            sentence = _("The picture is still waiting; its answer will be in the history.")
            raise AntifakeError(sentence) from error
        explanation = check.get("explanation") or [_("It was the picture on the clipboard.")]
        self._view_model.tell(about_a_picture(check, str(explanation[0])))
