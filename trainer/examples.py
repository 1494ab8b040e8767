"""Labelled pictures: from two folders, or from a table that also says where they come from.

Only names are read here. Neither label, format nor size of a file reaches the model.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.walk import FileFilter, pictures

LABELS = {"real": False, "fake": True}


@dataclass(frozen=True)
class Example:
    """One labelled picture. Empty text: not known."""

    path: Path
    is_fake: bool
    source: str = ""
    """Where it comes from. A split keeps the pictures of one source together."""
    family: str = ""
    """Family of generators; "" for a real picture."""
    kind: str = ""
    """photo, art, screenshot, ..."""

    @property
    def owner(self) -> str:
        """Who published it."""
        return owner_of(self.source)


def owner_of(source: str) -> str:
    """Returns the part of a source before the slash.

    >>> owner_of("somebody/gallery")
    'somebody'
    """
    return source.partition("/")[0]


def owners_of_each_class(examples: Iterable[Example]) -> tuple[list[str], list[str]]:
    """Returns the owners whose examples are mostly AI-made, and all others.

    The one of most examples comes first; those of as many in order of name.
    """
    sizes, fakes = Counter[str](), Counter[str]()
    for one in examples:
        sizes[one.owner] += 1
        fakes[one.owner] += one.is_fake
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    fake = [name for name in ordered if 2 * fakes[name] > sizes[name]]
    return fake, [name for name in ordered if name not in fake]


def from_folders(real: Path | None, fake: Path | None) -> list[Example]:
    """Returns every picture in and below the folders, sorted by path, real ones first."""
    return [
        Example(path, is_fake)
        for folder, is_fake in ((real, False), (fake, True))
        for path in (sorted(pictures(folder, FileFilter(recursive=True))) if folder else [])
    ]


def from_manifest(path: Path, only: str = "*") -> list[Example]:
    """Returns the rows of a CSV file whose `file` matches the pattern `only`, in their order.

    Columns: file (relative to the table's folder) and label (real or fake); source, family and
    kind where known. Raises UsageError with the line and what is wrong with it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(_rows(csv.DictReader(file), path, only))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            _("{file} is not a CSV that can be read: {why}.", file=path, why=why)
        ) from None


def _rows(table: "csv.DictReader[str]", path: Path, only: str) -> Iterator[Example]:
    if missing := {"file", "label"} - set(table.fieldnames or ()):
        raise UsageError(
            _("{file} lacks the column {names}.", file=path, names=", ".join(sorted(missing)))
        )
    for row in table:
        name, label = row["file"] or "", row["label"] or ""
        if label not in LABELS:
            raise UsageError(
                _(
                    "{file}, line {line}: the label is {label!r}, not real or fake.",
                    file=path,
                    line=table.line_num,
                    label=label,
                )
            )
        if fnmatchcase(name, only):
            known = {key: row.get(key) or "" for key in ("source", "family", "kind")}
            yield Example(path.parent / name, LABELS[label], **known)
