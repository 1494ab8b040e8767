"""Who answers now, model and prompt, known without loading either.

Asked before every picture, so what was read is kept until one of the files that it
was read from has another date. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from antifake.core.bundle import MANIFEST, Bundle
from antifake.core.catalog import Home
from antifake.core.errors import ModelError, UsageError
from antifake.core.prompt_file import PromptFile, check_fits
from antifake.core.promptbook import SUFFIX, Promptbook

Stamps = tuple[tuple[int, int, int] | None, ...]
"""Of each file its date, size and number; None where there is none."""


@dataclass(frozen=True)
class ModelVersion:
    """What a verdict of now would be signed with, and the size of picture it is given for."""

    model: str
    """`mini@1f3a90c2`, as in Verdict.model."""
    prompt: str
    """`shipped@1f3a90c2`, as in Verdict.prompt."""
    image_size: int
    """Side of the square picture that the model sees, in pixels."""


class ActiveModel:
    """Reads who answers; usable from several threads."""

    def __init__(self, home: Home, model: str = "", prompt: str = "") -> None:
        """`model` and `prompt` are names or files, the active ones for ""."""
        self._home, self._model, self._prompt = home, model, prompt
        self._lock = Lock()
        self._files: Sequence[Path] = ()
        self._seen: Stamps = ()
        self._version: ModelVersion | None = None

    def now(self) -> ModelVersion:
        """Raises ModelError where there is no model or no prompt, or one that is damaged."""
        with self._lock:
            if self._version is None or _stamps(self._files) != self._seen:
                self._version = None
                self._version = self._read()
            return self._version

    @property
    def seen(self) -> Stamps:
        """Differs from before once a file was changed, even to one that answers the same."""
        with self._lock:
            return self._seen

    def _read(self) -> ModelVersion:
        while True:
            # Before reading: a change in between is then seen the next time.
            seen = _stamps(self._files)
            version, files = self._look()
            if files == self._files:
                self._seen = seen
                return version
            self._files = files

    def _look(self) -> tuple[ModelVersion, Sequence[Path]]:
        """Who answers, and the files that say so."""
        book = Promptbook(self._home.prompts)
        try:
            bundle = self._home.bundle(self._model or None)
            prompt, file = self._chosen(book, bundle)
        except UsageError as error:  # a name in the settings that can be none
            raise ModelError(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise ModelError(f"What says who answers cannot be read: {error}.") from error
        manifest = bundle.manifest
        files = (
            self._home.models / "active",
            bundle.folder / MANIFEST,
            book.folder,  # a prompt that was missing or damaged is put there anew
            book.folder / "active.json",
            file.path,
        )
        return ModelVersion(manifest.version, prompt, manifest.image_size), files

    def _chosen(self, book: Promptbook, bundle: Bundle) -> tuple[str, PromptFile]:
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
