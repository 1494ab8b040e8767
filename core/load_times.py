"""How long each model took to load on this computer, so that a wait can be told beforehand.

A file that cannot be read or written costs the estimate, never an error. Imports no torch.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Self

from .errors import ModelError
from .files import read_capped, write_atomically
from .i18n import _
from .strict_json import strict_json

FILE = "load_times.json"
_KEPT = 8
_MAX_BYTES = 2**16


class LoadTimes:
    """The last time of each model, in seconds, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def at(cls, home: Path) -> Self:
        """Returns the times whose file is in a user's folder."""
        return cls(home / FILE)

    def expected_s(self, model: str) -> float | None:
        """Returns what a version of a model took the last time. None if it never was loaded."""
        return self._read().get(model)

    def note(self, model: str, took_s: float) -> None:
        others = {name: s for name, s in self._read().items() if name != model}
        kept = dict([*others.items(), (model, round(took_s, 2))][-_KEPT:])
        with suppress(OSError):
            write_atomically(self._file, json.dumps(kept, indent=1).encode())

    def _read(self) -> dict[str, float]:
        try:
            found = strict_json(read_capped(self._file, _MAX_BYTES, "list"))
            return {str(name): float(s) for name, s in found.items() if float(s) >= 0}
        except (ModelError, ValueError, TypeError, AttributeError):
            return {}


def loading_words(left_s: float | None) -> str:
    """Returns what people read while a model is loaded. `left_s`: None if that is not known."""
    if left_s is None:
        return _("Loading the model")
    if left_s < 1:
        return _("Loading the model, almost there")
    return _("Loading the model, about {seconds} s", seconds=round(left_s))
