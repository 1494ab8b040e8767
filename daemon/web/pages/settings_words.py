"""The settings as people look for them: groups, titles and explanations. No values and no rules.

The rules are in config. A group is one `Group` below; what else belongs there, such as a link or a
list, is a template that the group includes.
"""

from dataclasses import dataclass

from antifake.core.i18n import _


@dataclass(frozen=True)
class Group:
    """Settings that people want to see together."""

    id: str
    title: str
    names: tuple[str, ...]
    includes: tuple[str, ...] = ()
    """Templates that are shown after the title, before the settings."""


GROUPS = (
    Group("checked", _("What is checked"), (), ("_settings_folders.html",)),
    Group(
        "found",
        _("When something is found"),
        ("notifications.level", "notifications.quiet_hours", "notifications.pictures"),
    ),
    Group(
        "privacy",
        _("History and privacy"),
        (
            "history.keep_days",
            "history.paths",
            "history.pages",
            "history.thumbnails",
        ),
        ("_settings_privacy.html",),
    ),
    Group(
        "learning",
        _("Learning from your corrections"),
        (
            "learning.when",
            "learning.hour",
            "learning.after_words",
            "learning.false_alarms",
            "learning.hold_days",
            "learning.hold_crops",
        ),
    ),
    Group("browsers", _("Browsers"), (), ("_settings_browsers.html",)),
    Group("starting", _("Starting"), ("login.start", "login.menu")),
)
ADVANCED = (
    Group("watching", _("Watching"), ("watch.quiet_s", "watch.rescan_minutes")),
    Group(
        "model",
        _("Model"),
        ("worker.model", "worker.prompt", "worker.idle_minutes", "worker.queue", "learning.pinned"),
    ),
    Group(
        "storage",
        _("Storage"),
        ("history.keep_checks", "history.backups", "history.database"),
    ),
    Group("program", _("Address and logs"), ("server.port", "logs.level")),
)
"""What developers and the curious want. Shown behind a disclosure."""
ELSEWHERE = {"watch.folders", "watch.paused_until", "page.welcome"}
"""Settings that have their own page."""

TITLES = {
    "watch.quiet_s": _("Wait until a file is complete"),
    "watch.rescan_minutes": _("Look through every folder again"),
    "server.port": _("Port"),
    "worker.model": _("Model"),
    "worker.prompt": _("Prompt"),
    "worker.idle_minutes": _("Unload the model when idle"),
    "worker.queue": _("Pictures that may wait"),
    "history.database": _("Database"),
    "history.keep_days": _("Keep checks for"),
    "history.keep_checks": _("Keep at most"),
    "history.backups": _("Daily backups"),
    "history.paths": _("Keep the names and folders of files"),
    "history.pages": _("What to keep of web addresses"),
    "history.thumbnails": _("Small pictures"),
    "learning.when": _("Learn"),
    "learning.hour": _("Hour of the night"),
    "learning.after_words": _("After how many corrections"),
    "learning.false_alarms": _("At most one false alarm in"),
    "learning.hold_days": _("Hold copies for"),
    "learning.hold_crops": _("Hold at most"),
    "learning.pinned": _("Pinned version"),
    "notifications.level": _("Tell me about"),
    "notifications.quiet_hours": _("Quiet hours"),
    "notifications.pictures": _("Show the picture in notifications"),
    "login.start": _("Start antifake when I log in"),
    "login.menu": _("Show antifake in the menu of programs"),
    "logs.level": _("Write to the log"),
}
HINTS = {
    "watch.quiet_s": _("A file must be unchanged for this long before it is checked."),
    "watch.rescan_minutes": _("In case a change was missed."),
    "server.port": _("On 127.0.0.1. If it is taken, the next free one is used."),
    "worker.model": _("The one that judges; empty: the one in use."),
    "worker.prompt": _("The one that the model is asked with; empty: the one in use."),
    "worker.idle_minutes": _("It leaves the memory after this long without a picture."),
    "worker.queue": _("When the queue is full, programs are asked to try again later."),
    "history.database": _("Empty: a file on this computer. A team can use a database server."),
    "history.keep_days": _(
        "Older checks are deleted, except those you have answered. 0 keeps all."
    ),
    "history.keep_checks": _("The newest ones stay. 0 keeps all."),
    "history.backups": _("How many daily copies of the history are kept."),
    "history.paths": _("If off, no file names are kept, not even those of pictures from the web."),
    "history.pages": _("For pictures that you check in the browser."),
    "history.thumbnails": _("How many are kept, so that you can recognise pictures. 0 keeps none."),
    "learning.when": _("When antifake learns from your corrections by itself."),
    "learning.hour": _("If the computer is off then, antifake catches up later."),
    "learning.after_words": _("Only if it learns after new corrections."),
    "learning.false_alarms": _("Counted on your own real pictures. 0 sets no limit."),
    "learning.hold_days": _(
        "The small copy that the model saw of a picture is held this long, in case you correct it."
    ),
    "learning.hold_crops": _(
        "The newest stay, and those of pictures that you corrected. 0 holds none."
    ),
    "learning.pinned": _("No training replaces this version. Empty: the better one is used."),
    "notifications.level": _("Which results show a notification on the desktop."),
    "notifications.quiet_hours": _(
        "For example 22:00-07:00. You get one summary afterwards. Empty: none."
    ),
    "notifications.pictures": _("Never while the screen is locked."),
    "login.start": _("It then runs in the background whenever you are logged in."),
    "login.menu": _("For the menu of a Linux desktop."),
    "logs.level": _("“Everything” includes the names of files."),
}
UNITS = {
    "watch.quiet_s": _("seconds"),
    "watch.rescan_minutes": _("minutes"),
    "worker.idle_minutes": _("minutes"),
    "worker.queue": _("pictures"),
    "history.keep_days": _("days"),
    "history.keep_checks": _("checks"),
    "history.backups": _("copies"),
    "history.thumbnails": _("pictures"),
    "learning.after_words": _("corrections"),
    "learning.false_alarms": _("real pictures"),
    "learning.hold_days": _("days"),
    "learning.hold_crops": _("copies"),
}
CHOICES = {
    "notifications.level": {
        "none": _("nothing"),
        "errors": _("only errors"),
        "ai": _("errors and AI-made pictures"),
        "all": _("every picture"),
    },
    "learning.when": {
        "nightly": _("every night"),
        "words": _("after new corrections"),
        "never": _("only when I say so"),
    },
    "history.pages": {
        "no": _("nothing"),
        "host": _("only the name of the site"),
        "all": _("the whole address"),
    },
    "logs.level": {
        "debug": _("everything"),
        "info": _("what it does"),
        "warning": _("warnings and errors"),
        "error": _("only errors"),
    },
}
YES_NO = {"true": _("on"), "false": _("off")}
