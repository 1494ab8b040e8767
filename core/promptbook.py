"""The folder of prompts, and which prompt is active for which model.

    NAME.safetensors   prompts, never overwritten
    active.json        for each model the prompts that were made active, the newest last; a
                       roll-back or a damaged file falls back to the one before

Imports no torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bundle import PROMPT, Bundle
from .catalog import checked_name, is_name
from .errors import ModelError, UsageError
from .files import read_capped, write_atomically
from .i18n import _
from .private_files import require_private
from .prompt_file import PromptFile, check_fits, open_prompt
from .strict_json import strict_json

SHIPPED = "shipped"
"""The name of the prompt in a model's own bundle."""
SUFFIX = ".safetensors"
_MAX_ACTIVE_BYTES = 2**20


@dataclass(frozen=True)
class ActivePrompt:
    """The active prompt, and a warning if a newer one had to be skipped."""

    name: str
    file: PromptFile
    warning: str | None = None

    @property
    def version(self) -> str:
        """Name and id, such as `name@1f3a90c2`; verdicts name the prompt so."""
        return f"{self.name}@{self.file.id}"


@dataclass(frozen=True)
class Promptbook:
    """All prompts of one user."""

    folder: Path

    def names(self) -> list[str]:
        stems = (path.stem for path in self.folder.glob(f"*{SUFFIX}"))
        return sorted(filter(is_name, stems))

    def path(self, name: str) -> Path:
        return self.folder / f"{checked_name(name)}{SUFFIX}"

    def add(self, name: str, data: bytes) -> Path:
        """Adds a prompt under a new name. Raises UsageError if the name is taken."""
        path = self.path(name)
        if name == SHIPPED or path.exists():
            raise UsageError(
                _("There is a prompt named {name} already; nothing was overwritten.", name=name)
            )
        write_atomically(path, data)
        return path

    def open(self, name: str, bundle: Bundle | None = None) -> PromptFile:
        """Opens a prompt by name or file; "shipped" is the bundle's own. Raises ModelError."""
        if name == SHIPPED and bundle:
            return open_prompt(bundle.folder / PROMPT)
        if name.endswith(SUFFIX):
            return open_prompt(Path(name))
        path = self.path(name)
        if not path.is_file():
            raise ModelError(
                _("There is no prompt named {name}: see `antifake prompt list`.", name=name)
            )
        require_private(path, ModelError)
        return open_prompt(path)

    def chosen(self, name: str | None, bundle: Bundle) -> ActivePrompt:
        """Returns the prompt of a name or file; None is the active one. Raises ModelError."""
        if not name:
            return self.active(bundle)
        return ActivePrompt(Path(name).name.removesuffix(SUFFIX), self.open(name, bundle))

    def use(self, name: str, bundle: Bundle) -> None:
        """Makes a prompt active for a model. Raises ModelError if it does not fit."""
        file = self.open(name, bundle)
        check_fits(file.about, file.shapes, bundle.manifest)
        model = bundle.manifest.name
        history = [entry for entry in self._history(model) if entry != [name, file.sha256]]
        self._write(model, [*history, [name, file.sha256]])

    def roll_back(self, bundle: Bundle) -> ActivePrompt:
        """Undoes the last `use`. Raises UsageError if there was none, or no older prompt."""
        model = bundle.manifest.name
        history = self._history(model)
        if not history:
            raise UsageError(
                _("{model} answers with the prompt it was shipped with already.", model=model)
            )
        if len(history) == 1 and PROMPT not in bundle.manifest.files:
            raise UsageError(_("{model} has no older prompt to go back to.", model=model))
        self._write(model, history[:-1])
        return self.active(bundle)

    def active(self, bundle: Bundle) -> ActivePrompt:
        """Returns the newest active prompt that is unchanged and fits. Raises ModelError."""
        warning = cause = None
        for name, sha256 in reversed(self._history(bundle.manifest.name)):
            try:
                file = self.open(name, bundle)
                check_fits(file.about, file.shapes, bundle.manifest)
                if file.sha256 == sha256:
                    return ActivePrompt(name, file, warning)
                found = _("The prompt {name} is damaged, so an older one answers.", name=name)
            except (ModelError, UsageError) as error:
                cause = cause or error
                found = _(
                    "The prompt {name} cannot be used ({error}), so an older one answers.",
                    name=name,
                    error=error,
                )
            warning = warning or found
        if PROMPT not in bundle.manifest.files and cause is not None:
            raise ModelError(
                _(
                    "{model} has no prompt that can be used. {error}",
                    model=bundle.manifest.name,
                    error=cause,
                )
            )
        if PROMPT not in bundle.manifest.files:
            raise ModelError(
                _(
                    "{name} has no prompt yet: `antifake prompt import FILE.pth`, then "
                    "`antifake prompt use NAME`.",
                    name=bundle.manifest.name,
                )
            )
        return ActivePrompt(SHIPPED, open_prompt(bundle.folder / PROMPT), warning)

    def _history(self, model: str) -> list[list[str]]:
        try:
            return [[str(name), str(sha256)] for name, sha256 in self._read().get(model, [])]
        except (ValueError, TypeError):
            return []

    def _read(self) -> dict[str, Any]:
        """Returns what `_write` wrote; nothing if that is missing or damaged. Raises ModelError."""
        path = self.folder / "active.json"
        require_private(path, ModelError)
        try:
            found = strict_json(read_capped(path, _MAX_ACTIVE_BYTES, "list"))
        except (ModelError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, model: str, history: list[list[str]]) -> None:
        every = self._read() | {model: history[-20:]}
        write_atomically(self.folder / "active.json", json.dumps(every, indent=1).encode())
