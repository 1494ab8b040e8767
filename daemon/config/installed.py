"""Settings that name a model or a prompt: refused if that is not on this computer."""

from collections.abc import Mapping
from typing import Any

from antifake.core.bundle import Bundle
from antifake.core.catalog import CATALOG, Home
from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.core.prompt_file import check_fits
from antifake.core.promptbook import SHIPPED, Promptbook

from .settings import Config, ConfigError

_MODEL = "worker.model"
_PROMPTS = ("worker.prompt", "learning.pinned")


def require_installed(home: Home, config: Config, values: Mapping[str, Any]) -> None:
    """Raises ConfigError if a changed setting names a model or a prompt that cannot be used.

    `values`: the changes to `config`, by dotted name; None restores a default.
    """
    model = values.get(_MODEL, config.worker.model)
    bundle = _bundle(home, model) if _MODEL in values and model else None
    for name in _PROMPTS:
        prompt = values.get(name)
        if prompt and isinstance(prompt, str):
            _require_prompt(home, bundle or _installed(home, config.worker.model), name, prompt)


def _bundle(home: Home, model: Any) -> Bundle | None:
    if not isinstance(model, str):
        return None  # the type is reported elsewhere
    try:
        return home.bundle(model)
    except (AntifakeError, ValueError) as error:  # ValueError: a null character in a path
        if model in CATALOG:
            raise ConfigError(
                _(
                    "{setting} cannot be {name!r} yet. {error}",
                    setting=_MODEL,
                    name=model,
                    error=error,
                )
            ) from error
        there = ", ".join(home.installed()) or _("none")
        raise ConfigError(
            _(
                "{setting} cannot be {name!r}: there is no such model on this computer. There "
                "are: {there}.",
                setting=_MODEL,
                name=model,
                there=there,
            )
        ) from error


def _installed(home: Home, model: str) -> Bundle | None:
    try:
        return home.bundle(model or None)
    except AntifakeError:
        return None  # without the model it cannot be told whether the prompt fits


def _require_prompt(home: Home, bundle: Bundle | None, name: str, prompt: str) -> None:
    book = Promptbook(home.prompts)
    try:
        if prompt == SHIPPED and bundle is None:
            return
        file = book.open(prompt, bundle)
        if bundle is not None:
            check_fits(file.about, file.shapes, bundle.manifest)
    except (AntifakeError, ValueError) as error:
        there = ", ".join([*book.names(), SHIPPED])
        raise ConfigError(
            _(
                "{setting} cannot be {name!r}. {error} There are: {there}.",
                setting=name,
                name=prompt,
                error=error,
                there=there,
            )
        ) from error
