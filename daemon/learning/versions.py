"""The prompts that can answer: which there are, which one does, and how two differ."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from antifake.core.bundle import PROMPT, Bundle
from antifake.core.catalog import Home
from antifake.core.errors import AntifakeError, ModelError, UsageError
from antifake.core.i18n import _
from antifake.core.prompt_file import PromptFile, check_fits
from antifake.core.promptbook import SHIPPED, Promptbook
from antifake.daemon.store import NotThereError
from antifake.daemon.store.trainings import Maker

from .results import Comparison, Version

_NUMBER = re.compile("[0-9]{1,9}")
PREFIX = "personal-"
"""Of the names of prompts that were learned here."""


@dataclass(frozen=True)
class Versions:
    """The prompts of one model in the user's promptbook."""

    home: Home
    model: str
    """The name of the model in the settings; "" stands for the active one."""
    prompt: str
    """The prompt in the settings, which goes before the active one; "" for none."""

    @property
    def book(self) -> Promptbook:
        return Promptbook(self.home.prompts)

    def bundle(self) -> Bundle:
        """Raises ModelError."""
        return self.home.bundle(self.model or None)

    def bundle_if_any(self) -> Bundle | None:
        """Returns None where there is no model that can be opened."""
        try:
            return self.bundle()
        except AntifakeError:
            return None

    def active(self, bundle: Bundle) -> str:
        """Returns the name of the prompt that answers. Raises ModelError."""
        return self.prompt or self.book.active(bundle).name

    def start(self, bundle: Bundle) -> str:
        """Returns the prompt that learning starts from, whatever was learned before.

        A model that came without a prompt starts from the imported one. Raises ModelError.
        """
        if PROMPT in bundle.manifest.files:
            return SHIPPED
        active = self.active(bundle)
        if not active.startswith(PREFIX):
            return active
        files = self.files(bundle)
        start = files[active].about.made.get("start") if active in files else None
        for name, file in files.items():
            if file.id == start and not name.startswith(PREFIX):
                return name
        raise ModelError(
            _(
                "The prompt that {version} was learned from is gone: import it again.",
                version=active,
            )
        )

    def all(self, bundle: Bundle, pinned: str, makers: Mapping[str, Maker]) -> list[Version]:
        """Returns every version that fits the model: the shipped one, then the newest first."""
        active = self.active(bundle)
        files = self.files(bundle)
        names = {file.id: f"{name}@{file.id}" for name, file in files.items()}
        found = [
            _version(name, file, makers.get(name), names, (name == active, name == pinned))
            for name, file in files.items()
        ]
        return sorted(found, key=lambda one: (one.at is not None, -_seconds(one.at), one.name))

    def files(self, bundle: Bundle) -> dict[str, PromptFile]:
        """Returns the header of each prompt that fits. Damaged files are left out."""
        names = [SHIPPED] if PROMPT in bundle.manifest.files else []
        found = {}
        for name in [*names, *self.book.names()]:
            try:
                file = self.book.open(name, bundle)
                check_fits(file.about, file.shapes, bundle.manifest)
            except (ModelError, UsageError):
                continue
            found[name] = file
        return found

    def use(self, name: str) -> None:
        """Puts a version into use. Raises NotThereError, UsageError and ModelError."""
        self.refuse_if_set()
        bundle = self.bundle()
        if name not in self.files(bundle):
            raise NotThereError(
                _(
                    "There is no version {name} of {model}.",
                    name=name[:80],
                    model=bundle.manifest.name,
                )
            )
        self.book.use(name, bundle)

    def roll_back(self) -> None:
        """Takes the last `use` back. Raises UsageError if there was none."""
        self.refuse_if_set()
        self.book.roll_back(self.bundle())

    def refuse_if_set(self) -> None:
        """Raises UsageError if the settings name a prompt, which goes before any version."""
        if self.prompt:
            raise UsageError(
                _(
                    "The setting worker.prompt names {prompt}, which is used whatever is learned: "
                    "empty that setting and restart antifake first.",
                    prompt=self.prompt,
                )
            )

    def name_for(self, bundle: Bundle, sha256: str) -> tuple[str, bool]:
        """Returns the name for a new prompt, and whether it is there already.

        The same words make the same file, which keeps its first name.
        """
        for name, file in self.files(bundle).items():
            if file.sha256 == sha256 and name.startswith(PREFIX):
                return name, True
        return self.next_name(self.book.names()), False

    def next_name(self, taken: Iterable[str]) -> str:
        """Returns the name after the last one of those that were learned."""
        numbers = [name.removeprefix(PREFIX) for name in taken if name.startswith(PREFIX)]
        last = max((int(one) for one in numbers if _NUMBER.fullmatch(one)), default=0)
        return f"{PREFIX}{last + 1:04d}"

    def compare(self, a: Version, b: Version) -> Comparison:
        bundle = self.bundle()
        files = self.files(bundle)
        abouts = [files[one.name].about for one in (a, b)]
        of_a, of_b = (words_of(about.made) for about in abouts)
        both = of_a.keys() & of_b.keys()
        return Comparison(
            a,
            b,
            only_a=len(of_a.keys() - both),
            only_b=len(of_b.keys() - both),
            contrary=sum(of_a[one] != of_b[one] for one in both),
            threshold_a=abouts[0].threshold,
            threshold_b=abouts[1].threshold,
            temperature_a=abouts[0].temperature,
            temperature_b=abouts[1].temperature,
        )


def words_of(made: dict[str, Any]) -> dict[str, str]:
    """Returns the words that a prompt was trained on: label by sha256."""
    rows = made.get("answers")
    return {
        str(row[0]): str(row[1])
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, list) and len(row) >= 2
    }


def _version(
    name: str,
    file: PromptFile,
    maker: Maker | None,
    names: dict[str, str],
    is_active_and_pinned: tuple[bool, bool],
) -> Version:
    made = file.about.made
    labels = list(words_of(made).values())
    kind, scores, start = made.get("kind"), made.get("scores"), made.get("start")
    is_learned = name.startswith(PREFIX) and isinstance(kind, str)
    is_active, is_pinned = is_active_and_pinned
    return Version(
        name=name,
        version=f"{name}@{file.id}",
        is_active=is_active,
        is_pinned=is_pinned,
        made="shipped" if name == SHIPPED else str(kind) if is_learned else "imported",
        words_real=labels.count("real"),
        words_fake=labels.count("fake"),
        scores=scores if isinstance(scores, dict) else {},
        parent=names.get(start, start) if isinstance(start, str) else None,
        at=None if name == SHIPPED else _made_at(file, maker),
        training=maker.id if maker else None,
    )


def _made_at(file: PromptFile, maker: Maker | None) -> datetime:
    if maker is not None:
        return maker.at
    return datetime.fromtimestamp(int(file.path.stat().st_mtime), UTC)


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
