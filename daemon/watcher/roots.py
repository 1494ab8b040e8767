"""The folder at the top of a tree: whether it is still the same one, and whether it can be read."""

import os
from pathlib import Path

from antifake.core.i18n import _


class Root:
    """A drive may be pulled out and another folder may get its name. Its files are not gone then.

    Belongs to one thread.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._first_device: int | None = None
        self._was_empty = False

    @property
    def is_present(self) -> bool:
        """As of the last refresh."""
        return self._identity is not None

    def refresh(self) -> bool:
        """Returns whether the folder is missing, or is another one than at the last refresh."""
        before, self._identity = self._identity, identity_of(self.path)
        if self._identity is not None and self._first_device is None:
            self._first_device = self._identity[0]
        return self._identity is None or self._identity != before

    def is_unchanged(self) -> bool:
        """Whether it is, right now, the folder of the last refresh, on the device it always was."""
        return identity_of(self.path) == self._identity and self._is_on_first_device()

    def allows_forgetting(self) -> bool:
        """Whether a file that is not there is gone, and not just on a drive that is not mounted."""
        empty = is_empty(self.path)
        self._was_empty |= empty
        return not empty and self._is_on_first_device()

    def has_filled(self) -> bool:
        """Returns True once, if it was empty when allows_forgetting() looked and is not now."""
        if not self._was_empty or is_empty(self.path):
            return False
        self._was_empty = False
        return True

    def _is_on_first_device(self) -> bool:
        return self._identity is not None and self._identity[0] == self._first_device


def identity_of(root: str) -> tuple[int, int] | None:
    """Returns device and inode, or None where there is no folder."""
    try:
        info = Path(root).stat()
        return (info.st_dev, info.st_ino) if Path(root).is_dir() else None
    except OSError:
        return None


def objection_to(root: str) -> str | None:
    """Returns a sentence on why no file can be found there, or None if some can."""
    try:
        with os.scandir(root) as entries:
            next(entries, None)
    except FileNotFoundError:
        return _("The folder {folder} is not there; it is watched as soon as it is.", folder=root)
    except NotADirectoryError:
        return _("{folder} is not a folder.", folder=root)
    except OSError as error:
        return _(
            "The folder {folder} cannot be read: {reason}.",
            folder=root,
            reason=error.strerror or error,
        )
    return None


def is_empty(root: str) -> bool:
    """The mount point of a drive that is not mounted looks empty, too."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True
