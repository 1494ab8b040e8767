"""Finds out which model and prompt are active, without loading them.

This is needed for every picture, so the result is cached until one of the files that it was read
from changes. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from antifake.core.bundle import MANIFEST, Bundle
from antifake.core.catalog import Home
from antifake.core.errors import ModelError, UsageError
from antifake.core.i18n import _
from antifake.core.prompt_file import PromptFile, check_fits
from antifake.core.promptbook import SUFFIX, Promptbook

Stamps = tuple[tuple[int, int, int] | None, ...]
"""Modification time in ns, size and inode of each file; None if there is no such file."""


@dataclass(frozen=True)
class ModelVersion:
    """The versions that a new verdict would name, and the image size of the model."""

    model: str
    """`mini@1f3a90c2`, as in Verdict.model."""
    prompt: str
    """`shipped@1f3a90c2`, as in Verdict.prompt."""
    image_size: int
    """Width and height in pixels of the model's input."""


class ActiveModel:
    """Finds the active model and prompt. Thread-safe."""

    def __init__(self, home: Home, model: str = "", prompt: str = "") -> None:
        """`model` and `prompt` are names or files; "" means the active one."""
        self._home, self._model, self._prompt = home, model, prompt
        self._lock = Lock()
        self._files: Sequence[Path] = ()
        self._seen: Stamps = ()
        self._version: ModelVersion | None = None

    def now(self) -> ModelVersion:
        """Returns the active versions. Raises ModelError if one is missing or damaged."""
        with self._lock:
            if self._version is None or _stamps(self._files) != self._seen:
                self._version = None
                self._version = self._read()
            return self._version

    @property
    def seen(self) -> Stamps:
        """The stamps of the files at the last `now`. They differ after any change of a file."""
        with self._lock:
            return self._seen

    def _read(self) -> ModelVersion:
        while True:
            # Taken before reading, so that a change in between is noticed the next time.
            seen = _stamps(self._files)
            version, files = self._resolve()
            if files == self._files:
                self._seen = seen
                return version
            self._files = files

    def _resolve(self) -> tuple[ModelVersion, Sequence[Path]]:
        """Returns the active versions and the files that determine them."""
        book = Promptbook(self._home.prompts)
        try:
            bundle = self._home.bundle(self._model or None)
            prompt, file = self._prompt_for(bundle, book)
        except UsageError as error:  # the settings have an invalid name
            raise ModelError(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise ModelError(
                _("Which model and prompt are in use cannot be read: {reason}.", reason=error)
            ) from error
        manifest = bundle.manifest
        files = (
            self._home.models / "active",
            bundle.folder / MANIFEST,
            book.folder,  # changes when a missing or damaged prompt is added again
            book.folder / "active.json",
            file.path,
        )
        return ModelVersion(manifest.version, prompt, manifest.image_size), files

    def _prompt_for(self, bundle: Bundle, book: Promptbook) -> tuple[str, PromptFile]:
        if not self._prompt:
            chosen = book.active(bundle)
            return chosen.version, chosen.file
        file = book.open(self._prompt, bundle)
        check_fits(file.about, file.shapes, bundle.manifest)
        return f"{Path(self._prompt).name.removesuffix(SUFFIX)}@{file.id}", file


def _stamps(files: Sequence[Path]) -> Stamps:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
