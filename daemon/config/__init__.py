"""The settings and the file config.toml.

config = load(config_path())
config.server.port
put(config_path(), "server.port", 8080)
"""

from .editing import add_folder, from_text, put, put_all, remove_folder, to_toml
from .paths import PathError, whole_path
from .reading import config_path, load, parse
from .settings import Config, ConfigError, Folder, names

__all__ = [
    "Config",
    "ConfigError",
    "Folder",
    "PathError",
    "add_folder",
    "config_path",
    "from_text",
    "load",
    "names",
    "parse",
    "put",
    "put_all",
    "remove_folder",
    "to_toml",
    "whole_path",
]
