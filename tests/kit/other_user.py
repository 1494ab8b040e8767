"""Files that belong to another user of this computer."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ANOTHER = 65534
"""The user "nobody" of most systems."""


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a file or folder another user's.

    Only root can. For a plain user this process takes itself for another user from now on, to
    whom then all folders above belong as little.
    """
    me = os.geteuid()
    if me == 0:
        os.chown(path, ANOTHER, ANOTHER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A new folder that other users can look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)
