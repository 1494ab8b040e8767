"""Edits config.toml and keeps the user's comments, order and line endings.

The new text is parsed before it atomically replaces the file, so a valid file stays valid.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import AoT

from antifake.core.files import write_atomically
from antifake.core.i18n import _

from .paths import PathError, require_folder, whole_path
from .reading import build, parse, read_text
from .settings import Config, ConfigError, Folder, names, unknown


def put(path: Path, name: str, value: Any) -> Config:
    """Sets one setting; None resets it to its default. Returns the new config.

    Raises ConfigError.
    """
    return put_all(path, {name: value})


def put_all(path: Path, values: Mapping[str, Any]) -> Config:
    """Sets several settings as `put` does: all of them or none."""
    for name in values:
        _hint(name)

    def change(document: tomlkit.TOMLDocument) -> None:
        for name, value in values.items():
            part, _, key = name.partition(".")
            if value is None:
                document.get(part, {}).pop(key, None)
            else:
                _part(document, part)[key] = _plain(value)

    return _rewrite(path, change)


def changed(config: Config, name: str, value: Any) -> Config:
    """Returns the config as `put` would leave it. Raises ConfigError."""
    part, _, key = name.partition(".")
    group = getattr(config, part)
    built = build(type(group), {} if value is None else {key: value}, part)
    return replace(config, **{part: replace(group, **{key: getattr(built, key)})})


def from_text(name: str, text: str) -> Any:
    """Converts what a person typed for a setting into a value for `put`. Empty text is None.

    Strings need no quotes; everything else is written as in TOML. Raises ConfigError if there is
    no such setting.
    """
    if text.strip() in ("", "none"):
        return None if text.strip() == "" or type(None) in get_args(_hint(name)) else text
    hint = _hint(name)
    if hint is str or set(map(type, get_args(hint))) == {str}:
        return text
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text  # `put` will say what is wrong with it


def add_folder(path: Path, folder: Folder) -> Config:
    """Adds a watched folder. Raises ConfigError if it is watched already."""

    def change(document: tomlkit.TOMLDocument) -> None:
        watch = _part(document, "watch")
        if folder.path in map(_path_of, watch.get("folders", [])):
            raise ConfigError(_("{path} is watched already.", path=folder.path))
        if not watch.get("folders"):
            watch.pop("folders", None)
            watch["folders"] = tomlkit.aot()
        folders = watch["folders"]
        default = asdict(Folder())
        table = tomlkit.table() if isinstance(folders, AoT) else tomlkit.inline_table()
        table.update(_plain({k: v for k, v in asdict(folder).items() if v != default[k]}))
        folders.append(table)

    return _rewrite(path, change)


def change_folder(path: Path, former: Folder, folder: Folder) -> Config:
    """Changes what differs of a watched folder. Raises ConfigError if it is not watched."""

    def change(document: tomlkit.TOMLDocument) -> None:
        for one in document.get("watch", {}).get("folders", []):
            if _path_of(one) == folder.path:
                before = asdict(former)
                one.update(_plain({k: v for k, v in asdict(folder).items() if v != before[k]}))
                return
        raise ConfigError(_("{folder} is not watched.", folder=folder.path))

    return _rewrite(path, change)


def remove_folder(path: Path, folder: Path) -> Config:
    """Removes a watched folder. Raises ConfigError if it is not watched."""

    def change(document: tomlkit.TOMLDocument) -> None:
        folders = document.get("watch", {}).get("folders", [])
        for i, one in enumerate(folders):
            if _path_of(one) == folder:
                del folders[i]
                if not folders:
                    document["watch"].pop("folders")
                return
        raise ConfigError(_("{folder} is not watched.", folder=folder))

    return _rewrite(path, change)


def to_toml(config: Config) -> str:
    """Returns all settings as TOML, defaults included."""
    return tomlkit.dumps(_plain(config))


def _rewrite(path: Path, change: Callable[[tomlkit.TOMLDocument], None]) -> Config:
    former = read_text(path)
    try:
        document = tomlkit.parse(former)
    except ParseError as error:
        raise ConfigError(_("{path} is not TOML: {error}.", path=path, error=error)) from error
    change(document)
    text = tomlkit.dumps(document)
    config = parse(text, path)
    _require_new_folders(former, config, path)
    # If the file is a link, for example into a folder of dotfiles, write to its target.
    write_atomically(path.resolve(), _encoded(text))
    return config


def _require_new_folders(former: str, config: Config, file: Path) -> None:
    """Raises PathError if a folder was added that cannot be read.

    One that is missing later, such as a drive that was pulled out, is not in the way.
    """
    try:
        known = {one.path for one in parse(former, file).watch.folders}
    except ConfigError:
        return
    for one in config.watch.folders:
        if one.path not in known:
            require_folder(one.path)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError(_("Settings must be valid Unicode text.")) from None


def _part(document: tomlkit.TOMLDocument, name: str) -> Any:
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _path_of(table: Any) -> Path | None:
    """Returns None if it is not a path; parsing the file will report the error."""
    try:
        return whole_path(str(table.get("path", "")))
    except PathError:
        return None


def _hint(name: str) -> Any:
    if name not in names():
        raise unknown(name, names())
    part, _, key = name.partition(".")
    return get_type_hints(get_type_hints(Config)[part])[key]


def _plain(value: Any) -> Any:
    """Returns the value in types that TOML has: no dataclasses, paths or None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
