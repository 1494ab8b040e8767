"""Reads the user's config.toml over the defaults.

An unknown key is an error that names it. If it were ignored, a user who misspells `exclude` would
believe that those files are left alone.
"""

import os
import tomllib
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from antifake.core.i18n import _
from antifake.core.private_files import require_private

from .paths import PathError, whole_path
from .settings import Config, ConfigError, Folder, unknown

T = TypeVar("T")
_WRONG_TYPE = object()
_MAX_BYTES = 2**20


def config_path() -> Path:
    """Returns the path of config.toml: in ANTIFAKE_HOME if that is set."""
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        return Path(chosen) / "config.toml"
    import platformdirs  # noqa: PLC0415  # slow to import

    return platformdirs.user_config_path("antifake", appauthor=False) / "config.toml"


def load(path: Path) -> Config:
    """Returns the settings; the defaults if there is no file. Raises ConfigError."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    require_private(path, ConfigError)
    if path.exists() and not (path.is_file() and path.stat().st_size <= _MAX_BYTES):
        raise ConfigError(_("{path} is not a file of settings.", path=path))
    try:
        # Path.read_text() would change line endings.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else _("it is not UTF-8")
        raise ConfigError(_("{path} cannot be read: {why}.", path=path, why=why)) from error


def parse(text: str, path: Path) -> Config:
    """Parses `text`. Error messages mention `path`. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_("{path} is not TOML: {error}.", path=path, error=error)) from error
    try:
        return build(Config, table, "")
    except ConfigError as error:
        raise ConfigError(error.reason, path) from None


def build(kind: type[T], table: Any, where: str) -> T:
    """Returns a group of settings out of a table of TOML, named `where`. Raises ConfigError."""
    if not isinstance(table, dict):
        raise ConfigError(_("{where} must be a table of settings.", where=where))
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for key, raw in table.items():
        name = f"{where}.{key}" if where else key
        if key not in hints:
            raise unknown(name, [f"{where}.{one}" if where else one for one in hints])
        values[key] = _setting(hints[key], raw, name)
    if kind is Folder and "path" not in values:
        raise ConfigError(_("{where} needs a path.", where=where))
    return kind(**values)


def _setting(hint: Any, raw: Any, name: str) -> Any:
    if get_origin(hint) is not Annotated:
        return build(hint, raw, name)
    of, allowed = get_args(hint)
    value = _value(of, raw, name)
    if value is _WRONG_TYPE or not allowed.test(value):
        raise ConfigError(
            _(
                "{name} cannot be {raw!r}: it must be {words}.",
                name=name,
                raw=raw,
                words=allowed.words,
            )
        )
    return value


def _value(of: Any, raw: Any, name: str) -> Any:
    """Converts a TOML value to type `of`. Returns _WRONG_TYPE if that is impossible."""
    if is_dataclass(of):
        return build(of, raw, name)  # type: ignore[arg-type]
    if get_origin(of) is tuple and isinstance(raw, list):
        inner = get_args(of)[0]
        values = tuple(_value(inner, one, f"{name}[{i}]") for i, one in enumerate(raw))
        return _WRONG_TYPE if _WRONG_TYPE in values else values
    if get_origin(of) is Literal:
        return raw if raw in get_args(of) else _WRONG_TYPE
    if of is Path and isinstance(raw, str):
        return _path(raw)
    if of is float and type(raw) is int:
        return float(raw)
    kinds = get_args(of) if isinstance(of, UnionType) else (of,)
    return raw if type(raw) in kinds else _WRONG_TYPE  # not isinstance: True is an int, too


def _path(raw: str) -> Any:
    try:
        return whole_path(raw)
    except PathError:  # the caller says which setting it is and what is allowed
        return _WRONG_TYPE
