"""Changes to config.toml that keep the person's comments, order and line ends.

The new text is read back before it replaces the file, in one step: a file that was sound stays
so, whatever happens meanwhile.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tomlkit
from tomlkit.exceptions import ParseError
from tomlkit.items import AoT

from antifake.core.files import write_atomically

from .paths import PathError, whole_path
from .reading import parse, read_text
from .settings import Config, ConfigError, Folder, names, unknown


def put(path: Path, name: str, value: Any) -> Config:
    """Set one setting, None: to its default again; gives the whole. Raises ConfigError."""
    return put_all(path, {name: value})


def put_all(path: Path, values: Mapping[str, Any]) -> Config:
    """As `put` with many, all or none."""
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


def from_text(name: str, text: str) -> Any:
    """What a person typed for a setting, as `put` takes it; nothing typed is None.

    Words need no quotes; the rest is as in the file. Raises ConfigError.
    """
    if text.strip() in ("", "none"):
        return None if text.strip() == "" or type(None) in get_args(_hint(name)) else text
    hint = _hint(name)
    if hint is str or set(map(type, get_args(hint))) == {str}:
        return text
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text  # what is wrong with it, reading it back says


def add_folder(path: Path, folder: Folder) -> Config:
    """Watch a folder. Raises ConfigError where it is watched already."""

    def change(document: tomlkit.TOMLDocument) -> None:
        watch = _part(document, "watch")
        if folder.path in map(_path_of, watch.get("folders", [])):
            raise ConfigError(f"{folder.path} is watched already.")
        if not watch.get("folders"):
            watch.pop("folders", None)
            watch["folders"] = tomlkit.aot()
        folders = watch["folders"]
        default = asdict(Folder())
        table = tomlkit.table() if isinstance(folders, AoT) else tomlkit.inline_table()
        table.update(_plain({k: v for k, v in asdict(folder).items() if v != default[k]}))
        folders.append(table)

    return _rewrite(path, change)


def remove_folder(path: Path, folder: Path) -> Config:
    """Watch a folder no more. Raises ConfigError where it is not watched."""

    def change(document: tomlkit.TOMLDocument) -> None:
        folders = document.get("watch", {}).get("folders", [])
        for i, one in enumerate(folders):
            if _path_of(one) == folder:
                del folders[i]
                if not folders:
                    document["watch"].pop("folders")
                return
        raise ConfigError(f"{folder} is not watched.")

    return _rewrite(path, change)


def to_toml(config: Config) -> str:
    """Every setting as it is in force."""
    return tomlkit.dumps(_plain(config))


def _rewrite(path: Path, change: Callable[[tomlkit.TOMLDocument], None]) -> Config:
    text = read_text(path)
    try:
        document = tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    change(document)
    text = tomlkit.dumps(document)
    config = parse(text, path)
    # Where the file is a link, as into a folder of dotfiles, what it leads to is written.
    write_atomically(path.resolve(), _encoded(text))
    return config


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError("Settings must be valid Unicode text.") from None


def _part(document: tomlkit.TOMLDocument, name: str) -> Any:
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _path_of(table: Any) -> Path | None:
    """None where it is no path; parsing the whole file then says which setting is wrong."""
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
    """As TOML has it: no dataclasses, paths or None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
