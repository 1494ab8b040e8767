"""Checks of the environment: watched folders, kernel limits, the screen and the login."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from os import scandir
from pathlib import Path

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _, ngettext
from antifake.daemon import autostart
from antifake.daemon.autostart import Session, Status
from antifake.daemon.config import Config
from antifake.daemon.tray.backend import TrayError, surroundings
from antifake.daemon.tray.gtk import load_gi
from antifake.daemon.tray.session_bus import NOTIFICATIONS, BusError, SessionBus, session_bus
from antifake.daemon.watcher.mounts import lacks_events
from antifake.daemon.watcher.roots import objection_to
from antifake.daemon.watcher.tree import WatchedTree, trees_of

from .finding import Finding, ours

INOTIFY = Path("/proc/sys/fs/inotify")
_SHARE = 0.8
"""The share of the kernel's inotify watches that antifake may use; other programs need some."""
_WANTED_WATCHES = 1_048_576
_NO_MENU = _("A panel here shows the icon, without a menu: a click on it opens the history.")


@dataclass(frozen=True)
class EnvironmentChecks:
    session: Session
    inotify: Path = INOTIFY

    def folders(self, config: Config) -> Finding:
        folders = config.watch.folders
        for folder in folders:
            if objection := objection_to(str(folder.path)):
                fix = _(
                    "Bring it back, or: {command}",
                    command=ours("watch", "remove", str(folder.path)),
                )
                return Finding("watched folders", False, objection, fix)
        mute = [str(one.path) for one in folders if lacks_events(str(one.path)) and not one.polling]
        if mute:
            sentence = _(
                "{folder} is on a drive that reports no changes: it is looked through every "
                "{minutes:g} minutes.",
                folder=mute[0],
                minutes=config.watch.rescan_minutes,
            )
            return Finding("watched folders", True, sentence)
        if not folders:
            sentence, fix = _("No folder is watched."), f"{ours('watch', 'add')} ~/Downloads"
            return Finding("watched folders", True, sentence, fix)
        sentence = ngettext(
            "{n} folder is there and can be read.",
            "{n} folders are there and can be read.",
            len(folders),
        )
        return Finding("watched folders", True, sentence)

    def watches(self, config: Config) -> Finding | None:
        """Checks that inotify allows a watch for every folder. Returns None except on Linux."""
        try:
            allowed = int((self.inotify / "max_user_watches").read_text())
        except (OSError, ValueError):
            return None
        most = int(_SHARE * allowed)
        needed = sum(
            1 for _folder in islice(_all_folders(trees_of(config.watch.folders)), most + 1)
        )
        if needed <= most:
            sentence = ngettext(
                "{n:,} folder is watched, the kernel allows {allowed:,}.",
                "{n:,} folders are watched, the kernel allows {allowed:,}.",
                needed,
                allowed=allowed,
            )
            return Finding("kernel's watches", True, sentence)
        sentence = _(
            "More folders are to be watched than the kernel allows ({allowed:,}).", allowed=allowed
        )
        fix = (
            f"echo fs.inotify.max_user_watches={_WANTED_WATCHES} | "
            "sudo tee /etc/sysctl.d/60-antifake.conf && sudo sysctl --system"
        )
        return Finding("kernel's watches", False, sentence, fix)

    def screen(self) -> Finding:
        """Checks whether the tray icon can be shown. The icon is optional, so this never fails."""
        if self.session.platform in ("win32", "darwin"):
            return Finding("tray", True, _("This system shows icons."), ours("tray"))
        with session_bus() as bus:
            try:
                found = surroundings(bus).backends()
            except TrayError as error:
                return Finding("tray", True, f"{error} {notifications(bus)}")
            has_menu = found[0] == "dbus" or (found[0] == "gtk" and not load_gi())
            shows = _("A panel here shows the icon.") if has_menu else _NO_MENU
            return Finding("tray", True, f"{shows} {notifications(bus)}", ours("tray"))

    def login(self, config: Config) -> Finding:
        try:
            found = autostart.status(self.session)
        except (AntifakeError, OSError) as error:
            return Finding("autostart", False, str(error), ours("autostart", "status"))
        daemon, on = found[0], ours("autostart", "on")
        for one in found:
            if one.is_on and one.problem:
                sentence = f"{one.where}: {one.problem}"
                return Finding("autostart", False, sentence, on)
        if daemon.is_on != config.login.start:
            return _of_other_autostart(daemon, is_wanted=config.login.start)
        if daemon.is_on:
            return Finding(
                "autostart", True, _("It starts with your session ({way}).", way=daemon.way)
            )
        sentence = _("It does not start with your session.")
        return Finding("autostart", True, sentence, on)


def _of_other_autostart(daemon: Status, *, is_wanted: bool) -> Finding:
    """Returns the finding where the settings and what is configured differ."""
    if is_wanted:
        sentence = _(
            "By your settings it starts with your session, but it does not ({where}).",
            where=daemon.where,
        )
    else:
        sentence = _(
            "By your settings it does not start with your session, but it does ({where}).",
            where=daemon.where,
        )
    return Finding("autostart", False, sentence, ours("autostart", "on" if is_wanted else "off"))


def notifications(bus: SessionBus | None) -> str:
    """Returns a sentence about the service that shows notifications here."""
    if bus is None:
        return _("There are no notifications, because there is no session bus here.")
    try:
        name = bus.call(NOTIFICATIONS, "GetServerInformation").body[0]
        has_buttons = "actions" in bus.call(NOTIFICATIONS, "GetCapabilities").body[0]
    except BusError:
        return _("No program here shows notifications.")
    if has_buttons:
        return _("{program} shows notifications.", program=name)
    return _("{program} shows notifications, without buttons.", program=name)


def _all_folders(trees: tuple[WatchedTree, ...]) -> Iterator[str]:
    return chain.from_iterable(_folders(tree) for tree in trees)


def _folders(tree: WatchedTree) -> Iterator[str]:
    """Yields every folder of a tree that needs a watch of its own."""
    waiting = [tree.root]
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            with scandir(folder) as entries:
                below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        waiting += [path for path in below if tree.enters(path)]
