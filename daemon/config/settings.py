"""Every setting with its default and its allowed values."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.patterns import alternatives

from .quiet_hours import is_quiet_hours


class ConfigError(UsageError):
    """A wrong setting. The message names the setting, the file and the allowed values."""

    status = 422
    code = "bad_setting"

    def __init__(self, reason: str, file: Path | None = None) -> None:
        super().__init__(
            _("{reason} It is set in {file}.", reason=reason, file=file) if file else reason
        )
        self.reason = reason
        """The message without the file."""


@dataclass(frozen=True)
class Allowed:
    """The allowed values of a setting, in words and as a test."""

    words: str
    test: Callable[[Any], bool] = lambda _: True


def from_to(low: float, high: float) -> Allowed:
    return Allowed(
        _("from {low:,} to {high:,}", low=low, high=high), lambda value: low <= value <= high
    )


def _is_pattern(pattern: str) -> bool:
    """Returns whether it is relative, separated by / and has balanced brackets."""
    return (
        pattern.strip("/") != ""
        and not pattern.startswith("/")
        and not set(pattern) & {"\0", "\\", "\n"}
        and pattern.count("[") == pattern.count("]")
        and ".." not in pattern.split("/")
    )


def _are_patterns(patterns: tuple[str, ...]) -> bool:
    return all(map(_is_pattern, patterns)) and all(map(_has_few_alternatives, patterns))


def _has_few_alternatives(pattern: str) -> bool:
    try:
        return bool(alternatives(pattern))
    except UsageError:
        return False


Flag = Annotated[bool, Allowed(_("true or false"))]
Patterns = Annotated[
    tuple[str, ...],
    Allowed(
        _('patterns like "*.png" or "private/**", relative to the folder, / between names'),
        _are_patterns,
    ),
]
Whole = Annotated[Path, Allowed(_("the whole path of a folder"), lambda path: path.is_absolute())]
Moment = Annotated[
    datetime | None,
    Allowed(
        _("a time with its zone, like 2026-01-31T12:00:00Z"),
        lambda moment: moment is None or moment.tzinfo is not None,
    ),
]
Name = Annotated[str, Allowed(_("a name, or nothing for the one in use"))]


@dataclass(frozen=True)
class Folder:
    """One watched folder."""

    path: Whole = Path()
    include: Patterns = ()
    """Only these files; if empty, every picture."""
    exclude: Patterns = ()
    """Never these files; takes precedence over `include`."""
    recursive: Flag = True
    polling: Flag = False
    """List the folder periodically, for drives that report no changes, such as network drives."""

    def with_more(self, wanted: "Folder") -> "Folder":
        """Returns this folder with the patterns and the options of `wanted`, too."""
        return replace(
            self,
            include=tuple(dict.fromkeys((*self.include, *wanted.include))),
            exclude=tuple(dict.fromkeys((*self.exclude, *wanted.exclude))),
            recursive=self.recursive and wanted.recursive,
            polling=self.polling or wanted.polling,
        )


@dataclass(frozen=True)
class Watch:
    folders: Annotated[tuple[Folder, ...], Allowed(_("tables that begin [[watch.folders]]"))] = ()
    paused_until: Moment = None
    quiet_s: Annotated[float, from_to(0.1, 600)] = 0.6
    """How long a file must stay unchanged before it is checked."""
    rescan_minutes: Annotated[float, from_to(1, 1440)] = 15.0


@dataclass(frozen=True)
class Server:
    port: Annotated[int, from_to(1024, 65535)] = 8765
    """On 127.0.0.1. If it is in use, the next free port is taken."""


@dataclass(frozen=True)
class Worker:
    model: Name = ""
    prompt: Name = ""
    idle_minutes: Annotated[float, from_to(0.1, 10_080)] = 10.0
    """After this time without a picture the model is unloaded."""
    queue: Annotated[int, from_to(1, 100_000)] = 64
    """At most this many pictures may wait; further ones are refused."""


@dataclass(frozen=True)
class History:
    database: Annotated[
        str, Allowed(_("an address for SQLAlchemy, or nothing for a file here"))
    ] = ""
    keep_days: Annotated[int, from_to(0, 36_500)] = 0
    """Older checks are deleted; 0 keeps all."""
    keep_checks: Annotated[int, from_to(0, 100_000_000)] = 0
    """Only this many of the newest checks are kept; 0 keeps all."""
    backups: Annotated[int, from_to(1, 365)] = 7
    paths: Flag = True
    """Whether to keep the path of a checked file, and the name of a picture without one."""
    pages: Annotated[Literal["no", "host", "all"], Allowed(_('"no", "host" or "all"'))] = "host"
    """How much is kept of the address of the page that a picture was on."""
    thumbnails: Annotated[int, from_to(0, 1_000_000)] = 5_000
    """This many thumbnails are kept; 0 keeps none."""


@dataclass(frozen=True)
class Learning:
    when: Annotated[
        Literal["nightly", "words", "never"],
        Allowed(_('"nightly", "words" (after so many new corrections) or "never" (by hand only)')),
    ] = "nightly"
    hour: Annotated[int, from_to(0, 23)] = 3
    """Local time of the nightly training. A missed one is made up for."""
    after_words: Annotated[int, from_to(1, 10_000)] = 20
    false_alarms: Annotated[int, from_to(0, 10_000)] = 0
    """At most one in so many real pictures may be called AI-made; 0 sets no limit."""
    hold_days: Annotated[int, from_to(0, 3_650)] = 30
    """How long the crop of a picture is held that the user has not labelled."""
    hold_crops: Annotated[int, from_to(0, 100_000)] = 1_000
    """At most so many of them are held; 0 holds none."""
    pinned: Name = ""
    """A prompt that no training replaces."""


@dataclass(frozen=True)
class Notifications:
    level: Annotated[
        Literal["none", "errors", "ai", "all"],
        Allowed(_('"none", "errors", "ai" (errors and AI-made pictures) or "all"')),
    ] = "ai"
    quiet_hours: Annotated[
        str, Allowed(_('two times, like "22:00-07:00", or nothing'), is_quiet_hours)
    ] = ""
    """Local time. What is found then is notified together afterwards."""
    pictures: Flag = True
    """Whether notifications show the picture, unless the screen is locked."""


@dataclass(frozen=True)
class Login:
    start: Flag = False
    """Start with the user's session."""
    menu: Flag = False
    """Be in the menu of the desktop, on Linux."""


@dataclass(frozen=True)
class Page:
    welcome: Flag = True
    """Whether the next visit begins with the welcome."""


@dataclass(frozen=True)
class Logs:
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Allowed(_('"debug" (the log then contains file names), "info", "warning" or "error"')),
    ] = "info"


@dataclass(frozen=True)
class Config:
    """Every setting there is."""

    watch: Watch = field(default_factory=Watch)
    server: Server = field(default_factory=Server)
    worker: Worker = field(default_factory=Worker)
    history: History = field(default_factory=History)
    learning: Learning = field(default_factory=Learning)
    notifications: Notifications = field(default_factory=Notifications)
    login: Login = field(default_factory=Login)
    logs: Logs = field(default_factory=Logs)
    page: Page = field(default_factory=Page)

    def get(self, name: str) -> Any:
        """Returns a value ("server.port") or a whole section ("server"). Raises ConfigError."""
        known = names()
        parts = {one.partition(".")[0] for one in known}
        if name not in parts and name not in known:
            raise unknown(name, known)
        return reduce(getattr, name.split("."), self)


AT_START = frozenset(
    ["server.port", "worker.model", "worker.prompt", "history.database", "history.backups"]
)
"""Settings that a daemon reads only at its start."""


def names() -> list[str]:
    """Returns the dotted name of every setting."""
    return [
        f"{part.name}.{one.name}"
        for part in fields(Config)
        for one in fields(get_type_hints(Config)[part.name])
    ]


def unknown(name: str, known: list[str]) -> ConfigError:
    """Returns the error for a name that is not in `known`."""
    names = ", ".join(known)
    for close in difflib.get_close_matches(name, known, n=1):
        return ConfigError(
            _(
                "{name} is not a setting; did you mean {close}? The settings are: {names}.",
                name=name,
                close=close,
                names=names,
            )
        )
    return ConfigError(
        _("{name} is not a setting. The settings are: {names}.", name=name, names=names)
    )
