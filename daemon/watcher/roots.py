"""A watched folder itself: which one it is, and why it cannot be watched."""

import os
from pathlib import Path


def identity_of(root: str) -> tuple[int, int] | None:
    """Device and inode: another folder may come to have its name. None: no folder is there."""
    try:
        info = Path(root).stat()
        return (info.st_dev, info.st_ino) if Path(root).is_dir() else None
    except OSError:
        return None


def objection_to(root: str) -> str | None:
    """Why nothing can be found there, in a sentence; None: it can."""
    try:
        with os.scandir(root) as entries:
            next(entries, None)
    except FileNotFoundError:
        return f"The folder {root} is not there; it is watched as soon as it is."
    except NotADirectoryError:
        return f"{root} is not a folder."
    except OSError as error:
        return f"The folder {root} cannot be read: {error.strerror or error}."
    return None


def is_bare(root: str) -> bool:
    """A drive that is not mounted looks like this, and its files are not gone."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True
