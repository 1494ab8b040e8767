"""The settings as people look for them: groups, titles and explanations. No values and no rules.

The rules are in config. A group is one `Group` below; what else belongs there, such as a link or a
list, is a template that the group includes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Settings that people want to see together."""

    id: str
    title: str
    names: tuple[str, ...]
    includes: tuple[str, ...] = ()
    """Templates that are shown after the title, before the settings."""


GROUPS = (
    Group("checked", "What is checked", (), ("_settings_folders.html",)),
    Group(
        "found",
        "When something is found",
        ("notifications.level", "notifications.quiet_hours", "notifications.pictures"),
    ),
    Group(
        "privacy",
        "History and privacy",
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
        "Learning from your corrections",
        (
            "learning.when",
            "learning.hour",
            "learning.after_words",
            "learning.false_alarms",
            "learning.hold_days",
            "learning.hold_crops",
        ),
    ),
    Group("browsers", "Browsers", (), ("_settings_browsers.html",)),
    Group("starting", "Starting", ("login.start", "login.menu")),
)
ADVANCED = (
    Group("watching", "Watching", ("watch.quiet_s", "watch.rescan_minutes")),
    Group(
        "model",
        "Model",
        ("worker.model", "worker.prompt", "worker.idle_minutes", "worker.queue", "learning.pinned"),
    ),
    Group(
        "storage",
        "Storage",
        ("history.keep_checks", "history.backups", "history.database"),
    ),
    Group("program", "Address and logs", ("server.port", "logs.level")),
)
"""What developers and the curious want. Shown behind a disclosure."""
ELSEWHERE = {"watch.folders", "watch.paused_until", "page.welcome"}
"""Settings that have their own page."""

TITLES = {
    "watch.quiet_s": "Wait until a file is complete",
    "watch.rescan_minutes": "Look through every folder again",
    "server.port": "Port",
    "worker.model": "Model",
    "worker.prompt": "Prompt",
    "worker.idle_minutes": "Unload the model when idle",
    "worker.queue": "Pictures that may wait",
    "history.database": "Database",
    "history.keep_days": "Keep checks for",
    "history.keep_checks": "Keep at most",
    "history.backups": "Daily backups",
    "history.paths": "Keep the names and folders of files",
    "history.pages": "Keep of the address of a web page",
    "history.thumbnails": "Small pictures",
    "learning.when": "Learn",
    "learning.hour": "Hour of the night",
    "learning.after_words": "After how many corrections",
    "learning.false_alarms": "At most one false alarm in",
    "learning.hold_days": "Hold copies for",
    "learning.hold_crops": "Hold at most",
    "learning.pinned": "Pinned version",
    "notifications.level": "Tell me about",
    "notifications.quiet_hours": "Quiet hours",
    "notifications.pictures": "Show the picture in notifications",
    "login.start": "Start antifake when I log in",
    "login.menu": "Show antifake in the menu of programs",
    "logs.level": "Write to the log",
}
HINTS = {
    "watch.quiet_s": "A file must be unchanged for this long before it is checked.",
    "watch.rescan_minutes": "In case a change was missed.",
    "server.port": "On 127.0.0.1. If it is taken, the next free one is used.",
    "worker.model": "The one that judges; empty: the one in use.",
    "worker.prompt": "The one that the model is asked with; empty: the one in use.",
    "worker.idle_minutes": "It leaves the memory after this long without a picture.",
    "worker.queue": "When the queue is full, programs are asked to try again later.",
    "history.database": "Empty: a file on this computer. A team can use a database server.",
    "history.keep_days": "Older checks are deleted, except those you have answered. 0 keeps all.",
    "history.keep_checks": "The newest ones stay. 0 keeps all.",
    "history.backups": "How many daily copies of the history are kept.",
    "history.paths": "If off, no file names are kept, not even those of pictures from the web.",
    "history.pages": "For pictures that you check in the browser.",
    "history.thumbnails": "How many are kept, so that you can recognise pictures. 0 keeps none.",
    "learning.when": "When antifake learns from your corrections by itself.",
    "learning.hour": "If the computer is off then, antifake catches up later.",
    "learning.after_words": "Only if it learns after new corrections.",
    "learning.false_alarms": "Counted on your own real pictures. 0 sets no limit.",
    "learning.hold_days": "The small copy that the model saw of a picture is held this long, in"
    " case you correct it.",
    "learning.hold_crops": "The newest stay, and those of pictures that you corrected. 0 holds"
    " none.",
    "learning.pinned": "No training replaces this version. Empty: the better one is used.",
    "notifications.level": "Which results show a notification on the desktop.",
    "notifications.quiet_hours": "For example 22:00-07:00. You get one summary afterwards. Empty:"
    " none.",
    "notifications.pictures": "Never while the screen is locked.",
    "login.start": "It then runs in the background whenever you are logged in.",
    "login.menu": "For the menu of a Linux desktop.",
    "logs.level": "“Everything” includes the names of files.",
}
UNITS = {
    "watch.quiet_s": "seconds",
    "watch.rescan_minutes": "minutes",
    "worker.idle_minutes": "minutes",
    "worker.queue": "pictures",
    "history.keep_days": "days",
    "history.keep_checks": "checks",
    "history.backups": "copies",
    "history.thumbnails": "pictures",
    "learning.after_words": "corrections",
    "learning.false_alarms": "real pictures",
    "learning.hold_days": "days",
    "learning.hold_crops": "copies",
}
CHOICES = {
    "notifications.level": {
        "none": "nothing",
        "errors": "only errors",
        "ai": "errors and AI-made pictures",
        "all": "every picture",
    },
    "learning.when": {
        "nightly": "every night",
        "words": "after new corrections",
        "never": "only when I say so",
    },
    "history.pages": {
        "no": "nothing",
        "host": "only the name of the site",
        "all": "the whole address",
    },
    "logs.level": {
        "debug": "everything",
        "info": "what it does",
        "warning": "warnings and errors",
        "error": "only errors",
    },
}
YES_NO = {"true": "on", "false": "off"}
