"""The page of the settings, each with its meaning, and the page about privacy."""

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from flask import Response, jsonify

from antifake.daemon.config import AT_START, Config, ConfigError, from_text, names
from antifake.daemon.config.settings import unknown
from antifake.daemon.web.context import context, service

from . import body, wording
from .render import piece, routes, show

GROUPS = {
    "notifications": "Notifications",
    "history": "History",
    "learning": "Learning from your corrections",
    "watch": "Watched folders",
    "worker": "The model",
    "login": "Starting",
    "server": "Address",
    "logs": "Logs",
}
ELSEWHERE = {"watch.folders", "watch.paused_until"}
"""Settings that have their own page."""
TITLES = {
    "watch.quiet_s": "Seconds of quiet",
    "watch.rescan_minutes": "Minutes between looks",
    "server.port": "Port",
    "worker.model": "Model",
    "worker.prompt": "Prompt",
    "worker.idle_minutes": "Minutes until it sleeps",
    "worker.queue": "Pictures that may wait",
    "history.database": "Database",
    "history.keep_days": "Days to keep",
    "history.keep_checks": "Checks to keep",
    "history.backups": "Backups",
    "history.paths": "Keep names and folders of files",
    "history.pages": "Keep of a web page's address",
    "history.thumbnails": "Small pictures",
    "learning.when": "Train",
    "learning.hour": "Hour of the night",
    "learning.after_words": "New corrections",
    "learning.false_alarms": "At most one false alarm in",
    "learning.hold_days": "Days to hold crops",
    "learning.hold_crops": "Crops to hold",
    "learning.pinned": "Pinned version",
    "notifications.level": "Tell me about",
    "notifications.quiet_hours": "Quiet hours",
    "notifications.pictures": "Show the picture",
    "login.start": "Start with my session",
    "logs.level": "Write down",
}
HINTS = {
    "watch.quiet_s": "How long a file must not change before it is looked at.",
    "watch.rescan_minutes": "Every folder is looked through so often, if something was missed.",
    "server.port": "On 127.0.0.1, from the next start on; where it is taken, the next free one.",
    "worker.model": "Which one answers.",
    "worker.prompt": "Which one it is asked with.",
    "worker.idle_minutes": "After so long without a picture the model leaves the memory.",
    "worker.queue": "When so many wait, further ones are told to come again.",
    "history.database": "A team's server can keep the history; from the next start on.",
    "history.keep_days": "Older checks are dropped, but not what you had a word on; 0: none are.",
    "history.keep_checks": "So many of the newest are kept; 0: all are.",
    "history.backups": "So many daily copies of the history are kept.",
    "history.paths": "Without it no name of a file is kept, also none of a picture from the web.",
    "history.pages": "For pictures that you had checked in the browser.",
    "history.thumbnails": "So many are kept, to recognise pictures by; 0: none.",
    "learning.when": "When antifake learns from your corrections by itself.",
    "learning.hour": "From 0 to 23. If the computer is off then, it is made up for later.",
    "learning.after_words": "So many must be new, if you train after new corrections.",
    "learning.false_alarms": "So many of your real pictures; 0: no limit.",
    "learning.hold_days": "The small crop that the model saw is held so long if you do not correct"
    " the picture.",
    "learning.hold_crops": "At most so many of these crops; 0: none. Crops of corrected pictures"
    " stay.",
    "learning.pinned": "No training replaces this version; empty: the better one is used.",
    "notifications.level": "What a message on the desktop is shown for.",
    "notifications.quiet_hours": "No messages in these hours, such as 22:00-07:00, but one about"
    " all of it afterwards; empty: at any time.",
    "notifications.pictures": "A small one in each message; never while the screen is locked.",
    "login.start": "antifake runs as soon as you are logged in.",
    "logs.level": "Into the log files. With “everything” the names of files, too.",
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
YES_NO = {"true": "yes", "false": "no"}


@dataclass(frozen=True)
class Setting:
    name: str
    title: str
    hint: str
    allowed: str
    """The allowed values in words; "" if there is a list to choose from."""
    choices: dict[str, str]
    value: str
    default: str

    @property
    def is_default(self) -> bool:
        return self.value == self.default

    @property
    def default_words(self) -> str:
        return self.choices.get(self.default, self.default) or "empty"


@routes.get("/settings")
def settings() -> Response:
    parts = dict.fromkeys([*GROUPS, *(name.partition(".")[0] for name in names())])
    groups = [(GROUPS.get(one, one), _settings(service().config, one)) for one in parts]
    return show("settings.html", groups=groups, file=str(service().settings.path))


@routes.get("/pieces/setting/<name>")
def setting_piece(name: str) -> Response:
    return piece("_setting.html", one=_setting(service().config, _known(name)))


@routes.post("/changes/setting")
def change() -> Response:
    name, text = _known(body.value("name", str)), body.value("value", str)
    try:
        service().settings.put(name, from_text(name, text))
    except ConfigError as error:
        raise _about_this_change(error, name) from error
    service().events.tell("settings")
    one = _setting(service().config, name)
    value = one.choices.get(one.value, one.value) or "empty"
    when = ", from the next start on" if name in AT_START else ""
    return jsonify(said=f"{one.title}: {wording.inert(value)}{when}.")


@routes.get("/privacy")
def privacy() -> Response:
    """Shows what has ever left this computer, and what is kept on it, and where."""
    requests = context().about.requests
    backups = service().store.backups
    return show(
        "privacy.html",
        requests=None if requests is None else requests()[::-1],
        config=service().config,
        file=str(service().settings.path),
        database=service().store.database.name,
        backups=str(backups.folder) if backups else None,
    )


def _known(name: str) -> str:
    known = [one for one in names() if one not in ELSEWHERE]
    if name not in known:
        raise unknown(name, known)
    return name


def _about_this_change(error: ConfigError, name: str) -> ConfigError:
    """Returns the error without the file's name: the setting was not written to the file."""
    return ConfigError(error.reason) if error.reason.startswith(name) else error


def _settings(config: Config, part: str) -> list[Setting]:
    ours = [name for name in names() if name.startswith(f"{part}.") and name not in ELSEWHERE]
    return [_setting(config, name) for name in ours]


def _setting(config: Config, name: str) -> Setting:
    part, _, key = name.partition(".")
    of, allowed = get_args(get_type_hints(get_type_hints(Config)[part], include_extras=True)[key])
    choices = YES_NO if of is bool else {}
    if get_origin(of) is Literal:
        choices = {one: CHOICES.get(name, {}).get(one, one) for one in get_args(of)}
    return Setting(
        name=name,
        title=TITLES.get(name, name),
        hint=HINTS.get(name, ""),
        allowed="" if choices else allowed.words,
        choices=choices,
        value=_text(config.get(name)),
        default=_text(Config().get(name)),
    )


def _text(value: Any) -> str:
    """Returns the value as the user would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else wording.inert(str(value))
