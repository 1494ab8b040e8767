"""Parses the path of a folder that a person typed."""

import os
from pathlib import Path

from antifake.core.addresses import text_of
from antifake.core.errors import UsageError
from antifake.core.i18n import _

from .settings import ConfigError

LONGEST = 4096
_SHOWN = 200


class PathError(ConfigError):
    """The text is not the path of a folder."""


def whole_path(text: str, base: Path | None = None) -> Path:
    """Returns an absolute path with `~` expanded and without `.` and `..`.

    A file:// address of this computer, as file managers paste it, is such a path, too.
    Links are not resolved. A relative path is relative to `base`. Raises PathError, also for a
    relative path without `base`.
    """
    try:
        text = text_of(text)
    except UsageError as error:
        raise PathError(str(error)) from None
    if not text.strip():
        raise PathError(_("Say which folder: its whole path."))
    if "\0" in text:
        raise PathError(_("A path cannot contain a null character."))
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PathError(_("This path is not valid Unicode, so it cannot be kept."))
    if len(text) > LONGEST:
        raise PathError(
            _("This path is too long: at most {longest:,} characters are taken.", longest=LONGEST)
        )
    return _normal(_from_root(text, base))


def require_folder(path: Path) -> None:
    """Raises PathError unless there is a folder that can be read."""
    try:
        with os.scandir(path):
            return
    except FileNotFoundError:
        why = _("There is no folder {path}. Look at the spelling, or create it first.", path=path)
    except NotADirectoryError:
        why = _(
            "{path} is a file, not a folder. The folder that it is in is {parent}.",
            path=path,
            parent=path.parent,
        )
    except OSError as error:
        why = _("The folder {path} cannot be read: {why}.", path=path, why=error.strerror or error)
    raise PathError(why)


def _from_root(text: str, base: Path | None) -> Path:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise PathError(
            _("The home folder at the start of {shown} is not known here.", shown=shown)
        ) from None
    path = path if base is None else base / path
    if not path.is_absolute():
        raise PathError(
            _(
                "{path} is not the whole path of a folder: that begins at the top, like "
                "{example}, or with ~, like ~/Downloads.",
                path=shown,
                example=Path.home() / "Downloads",
            )
        )
    return path


def _normal(path: Path) -> Path:
    text = os.path.normpath(path)
    # POSIX allows two leading slashes to mean something else, but our systems do not use that.
    return Path(text[1:] if os.name == "posix" and text.startswith("//") else text)
