"""The page of the settings: each is saved as soon as it is changed."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from flask import Response, jsonify

from antifake.core.i18n import _
from antifake.daemon.config import AT_START, Config, ConfigError, from_text, names
from antifake.daemon.config.settings import unknown
from antifake.daemon.web.context import service

from . import body, settings_losses, wording
from .confirming import require_yes
from .render import routes, show
from .settings_words import (
    ADVANCED,
    CHOICES,
    ELSEWHERE,
    GROUPS,
    HINTS,
    TITLES,
    UNITS,
    YES_NO,
    Group,
)

_KEYBOARDS = {int: "numeric", float: "decimal"}


@dataclass(frozen=True)
class Setting:
    name: str
    title: str
    hint: str
    unit: str
    allowed: str
    """The allowed numbers in words; "" if it is not a number."""
    choices: dict[str, str]
    keyboard: str
    """The value of inputmode: which keys a keyboard on the screen shows."""
    value: str
    default: str

    @property
    def is_flag(self) -> bool:
        return self.choices == YES_NO

    @property
    def is_default(self) -> bool:
        return self.value == self.default

    @property
    def value_words(self) -> str:
        return self._words(self.value)

    @property
    def default_words(self) -> str:
        return self._words(self.default)

    def _words(self, value: str) -> str:
        words = self.choices.get(value, value) or _("empty")
        return _("{value} {unit}", value=words, unit=self.unit) if self.unit else words


@routes.get("/settings")
def settings() -> Response:
    return show(
        "settings.html",
        groups=_filled(GROUPS),
        advanced=_filled(ADVANCED),
        file=str(service().settings.path),
    )


@routes.get("/settings/values")
def values() -> Response:
    """Answers all values as the page shows them, for a page that is open while one changes."""
    shown = (setting(service().config, name) for name in _shown())
    return jsonify({one.name: {"value": one.value, "is_default": one.is_default} for one in shown})


@routes.post("/changes/setting")
def change() -> Response:
    """Saves one setting. `before` brings the former value back when it is sent."""
    name, text = _known(body.value("name", str)), body.value("value", str)
    before, new = setting(service().config, name), from_text(name, text)
    if (question := settings_losses.question(name, new)) is not None:
        require_yes(question, name, text)
    try:
        service().settings.put(name, new)
    except ConfigError as error:
        raise _about_this_change(error, name) from error
    service().events.tell("settings")
    one = setting(service().config, name)
    return jsonify(
        said=_said(one),
        value=one.value,
        is_default=one.is_default,
        before="" if before.is_default else before.value,
        is_changed=before.value != one.value,
    )


def _said(one: Setting) -> str:
    value = wording.inert(one.value_words)
    if one.name in AT_START:
        return _("{title}: {value}, from the next start on.", title=one.title, value=value)
    return _("{title}: {value}.", title=one.title, value=value)


def _filled(groups: tuple[Group, ...]) -> list[dict[str, Any]]:
    config = service().config
    return [
        asdict(group) | {"settings": [setting(config, name) for name in group.names]}
        for group in groups
    ]


def _shown() -> list[str]:
    return [name for name in names() if name not in ELSEWHERE]


def _known(name: str) -> str:
    if name not in _shown():
        raise unknown(name, _shown())
    return name


def _about_this_change(error: ConfigError, name: str) -> ConfigError:
    """Returns the error as it is shown beside the field: with its title, without the file."""
    if not error.reason.startswith(f"{name} "):
        return error
    return ConfigError(f"“{TITLES[name]}” {error.reason.removeprefix(name).lstrip()}")


def setting(config: Config, name: str) -> Setting:
    part, _, key = name.partition(".")
    of, allowed = get_args(get_type_hints(get_type_hints(Config)[part], include_extras=True)[key])
    choices = YES_NO if of is bool else {}
    if get_origin(of) is Literal:
        choices = {one: CHOICES.get(name, {}).get(one, one) for one in get_args(of)}
    return Setting(
        name=name,
        title=TITLES.get(name, name),
        hint=HINTS.get(name, ""),
        unit=UNITS.get(name, ""),
        allowed=allowed.words if of in _KEYBOARDS else "",
        choices=choices,
        keyboard=_KEYBOARDS.get(of, "text"),
        value=_text(config.get(name)),
        default=_text(Config().get(name)),
    )


def _text(value: Any) -> str:
    """Returns the value as the user would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else wording.inert(str(value))
