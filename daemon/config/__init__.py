"""The settings and the file config.toml.

config = load(config_path())
config.server.port
put(config_path(), "server.port", 8080)
"""

from .editing import (
    add_folder,
    change_folder,
    changed,
    from_text,
    put,
    put_all,
    remove_folder,
    to_toml,
)
from .installed import require_installed
from .paths import PathError, whole_path
from .reading import config_path, load, parse
from .settings import AT_START, Config, ConfigError, Folder, names

__all__ = [
    "AT_START",
    "Config",
    "ConfigError",
    "Folder",
    "PathError",
    "add_folder",
    "change_folder",
    "changed",
    "config_path",
    "from_text",
    "load",
    "names",
    "parse",
    "put",
    "put_all",
    "remove_folder",
    "require_installed",
    "to_toml",
    "whole_path",
]
