"""The person's config.toml over the defaults.

A misspelt key is an error that names it, never ignored: who writes `exclud` believes from then on
that those files are left alone.
"""

import os
import tomllib
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from .paths import PathError, whole_path
from .settings import Config, ConfigError, Folder, unknown

T = TypeVar("T")
_UNFIT = object()


def config_path() -> Path:
    """Where it is looked for; ANTIFAKE_HOME has it, if that names a folder."""
    if chosen := os.environ.get("ANTIFAKE_HOME"):
        return Path(chosen) / "config.toml"
    import platformdirs  # noqa: PLC0415  # the command line starts without it

    return platformdirs.user_config_path("antifake", appauthor=False) / "config.toml"


def load(path: Path) -> Config:
    """The defaults where there is no file. Raises ConfigError."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    try:
        # Not read_text: line ends are kept as they are.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {why}.") from error


def parse(text: str, path: Path) -> Config:
    """`path` is for the sentences. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    try:
        return _build(Config, table, "")
    except ConfigError as error:
        raise ConfigError(f"{error} It stands in {path}.") from None


def _build(kind: type[T], table: Any, where: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table of settings.")
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for key, raw in table.items():
        name = f"{where}.{key}" if where else key
        if key not in hints:
            raise unknown(name, [f"{where}.{one}" if where else one for one in hints])
        values[key] = _setting(hints[key], raw, name)
    if kind is Folder and "path" not in values:
        raise ConfigError(f"{where} needs a path.")
    return kind(**values)


def _setting(hint: Any, raw: Any, name: str) -> Any:
    if get_origin(hint) is not Annotated:
        return _build(hint, raw, name)
    of, allowed = get_args(hint)
    value = _value(of, raw, name)
    if value is _UNFIT or not allowed.test(value):
        raise ConfigError(f"{name} cannot be {raw!r}: allowed is {allowed.words}.")
    return value


def _value(of: Any, raw: Any, name: str) -> Any:
    """What TOML has, as the setting has it; _UNFIT where it is of another kind."""
    if is_dataclass(of):
        return _build(of, raw, name)  # type: ignore[arg-type]
    if get_origin(of) is tuple and isinstance(raw, list):
        inner = get_args(of)[0]
        values = tuple(_value(inner, one, f"{name}[{i}]") for i, one in enumerate(raw))
        return _UNFIT if _UNFIT in values else values
    if get_origin(of) is Literal:
        return raw if raw in get_args(of) else _UNFIT
    if of is Path and isinstance(raw, str):
        return _path(raw)
    if of is float and type(raw) is int:
        return float(raw)
    kinds = get_args(of) if isinstance(of, UnionType) else (of,)
    return raw if type(raw) in kinds else _UNFIT  # not isinstance: true is an int, too


def _path(raw: str) -> Any:
    try:
        return whole_path(raw)
    except PathError:  # the caller says which setting it is and what is allowed
        return _UNFIT
