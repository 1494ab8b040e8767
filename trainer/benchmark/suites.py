"""Which benchmark suites there are, and how their pictures lie on disk. See suites.toml."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Self

from antifake.core.errors import UsageError
from antifake.core.i18n import _


@dataclass(frozen=True)
class Folders:
    """Where pictures of one class lie."""

    is_fake: bool
    at: Sequence[str]
    """Globs below the suite's folder, with {set} and at most one {family}."""
    only: Sequence[str] = ()
    """Sets that are taken; empty: all."""
    families: str = "*"
    """A glob for {family}."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        at = raw["at"]
        return cls(
            raw["label"] == "fake",
            [at] if isinstance(at, str) else at,
            raw.get("only", ()),
            raw.get("families", "*"),
        )


@dataclass(frozen=True)
class Columns:
    """Tables of pictures, with the names of their columns. Empty text: there is none."""

    files: Sequence[str]
    """Globs below the suite's folder."""
    label: str
    name: str = ""
    """The picture's file, relative to the table or to the suite's folder."""
    image: str = ""
    """The picture's bytes."""
    source: str = ""
    family: str = ""
    set: str = ""
    """The name of the set; empty: that of the file."""


@dataclass(frozen=True)
class Suite:
    """A benchmark suite. Texts about it are facts and names in English."""

    name: str
    title: str
    paper: str
    size: str
    licence: str
    access: str
    sets: Sequence[str] = ()
    n_sets: int = 0
    """How many there are; 0: not known, or those in `sets`."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    reals: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[Folders] = ()
    parquet: Columns | None = None
    csv: Columns | None = None

    @classmethod
    def of(cls, name: str, raw: Mapping[str, Any]) -> Self:
        tables = {key: Columns(**raw[key]) for key in ("parquet", "csv") if key in raw}
        folders = {"folders": [Folders.of(one) for one in raw.get("folders", ())]}
        return cls(name, **{**raw, **tables, **folders})

    @property
    def layout(self) -> str:
        """Where pictures lie, as globs."""
        table = self.parquet or self.csv
        return ", ".join(table.files if table else dict.fromkeys(self._globs()))

    def _globs(self) -> list[str]:
        return [glob for folder in self.folders for glob in folder.at]

    def set_named(self, folder: str) -> str:
        """Returns the set that a folder is: its name in the suite, or the folder's own.

        >>> suite("antifakeprompt").set_named("dalle_2"), suite("genimage").set_named("new")
        ('DALLE-2', 'new')
        """
        for glob, name in self.aliases.items():
            if fnmatchcase(folder.casefold(), glob.casefold()):
                return name
        wanted = _bare(folder)
        names = (*self.sets, *(name for one in self.folders for name in one.only))
        return next((name for name in names if _bare(name) == wanted), folder)

    def n_expected(self, *, is_fake: bool | None = None) -> int:
        """Returns how many sets there are, of one class or of both; 0: not known."""
        only = {name for one in self.folders if one.is_fake == is_fake for name in one.only}
        if only and not self.reals:
            return len(only)
        return self.n_sets or len(self.sets)

    def reals_of(self, name: str) -> str | None:
        """Returns the set whose real pictures stand beside a set of AI-made ones only."""
        return next((reals for glob, reals in self.reals.items() if fnmatchcase(name, glob)), None)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


@cache
def suites() -> Mapping[str, Suite]:
    """Returns all suites by name."""
    text = files(__package__).joinpath("suites.toml").read_text("utf-8")
    return {name: Suite.of(name, raw) for name, raw in tomllib.loads(text).items()}


def suite(name: str) -> Suite:
    """Returns a suite. Raises UsageError with the names that there are."""
    try:
        return suites()[name]
    except KeyError:
        raise UsageError(
            _(
                "There is no suite {name}. There are: {names}.",
                name=name,
                names=", ".join(suites()),
            )
        ) from None
