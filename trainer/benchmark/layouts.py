"""The pictures of a suite's folder, set by set. Only names are read here, and tables."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.walk import FileFilter, pictures
from antifake.trainer.examples import Example

from .parquet import in_parquet
from .sets import Picture, PictureSet, label_of, tables
from .suites import Columns, Folders, Suite


def folder_of(suite: Suite, data: Path, *, is_only: bool) -> Path:
    """Returns the suite's folder: the one in `data` that is named like it, or `data` itself.

    The latter goes only for one suite at a time. Raises UsageError.
    """
    if (named := data / suite.name).is_dir():
        return named
    if is_only and data.is_dir():
        return data
    raise UsageError(_("There is no folder {folder}.", folder=named if data.is_dir() else data))


def find_sets(suite: Suite, folder: Path) -> list[PictureSet]:
    """Returns the sets that are there, sorted as in the suite. Raises UsageError."""
    if suite.parquet:
        found = in_parquet(suite, suite.parquet, folder)
    elif suite.csv:
        found = _in_tables(suite, suite.csv, folder)
    else:
        found = _in_folders(suite, folder)
    sets = [one for one in found if one.pictures]
    if not sets:
        raise UsageError(
            _(
                "There are no pictures of {suite} in {folder}. They would lie in: {layout}.",
                suite=suite.title,
                folder=folder,
                layout=suite.layout,
            )
        )
    order = {name: at for at, name in enumerate(suite.sets)}
    return sorted(sets, key=lambda one: (order.get(one.name, len(order)), one.name))


def _in_folders(suite: Suite, folder: Path) -> list[PictureSet]:
    found: dict[str, dict[str, Picture]] = defaultdict(dict)
    for folders in suite.folders:
        for name, family, below in _matching(suite, folders, folder):
            for path in sorted(pictures(below, FileFilter(recursive=True))):
                shown = path.relative_to(folder).as_posix()
                source = Example(path, folders.is_fake, "", family if folders.is_fake else "")
                found[name][shown] = _of_file(shown, source)
    return [PictureSet(suite, name, list(those.values())) for name, those in found.items()]


def _matching(suite: Suite, folders: Folders, root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yields set, family and folder of all folders that a glob finds."""
    for glob in folders.at:
        parts = glob.split("/")
        wild = glob.replace("{set}", "*").replace("{family}", folders.families)
        for path in sorted(root.glob(wild)):
            if not path.is_dir():
                continue
            named = dict(zip(parts, path.relative_to(root).parts, strict=True))
            name = suite.set_named(named["{set}"])
            if not folders.only or name in folders.only:
                yield name, named.get("{family}", name), path


def _of_file(shown: str, example: Example) -> Picture:
    return Picture(shown, example, lambda: example.path)


def _in_tables(suite: Suite, columns: Columns, folder: Path) -> list[PictureSet]:
    found = []
    for table in tables(columns, folder):
        rows = list(_rows(table, columns, folder))
        there = [one for one in rows if one.example.path.is_file()]
        name = columns.set or table.stem
        found.append(PictureSet(suite, name, there, len(rows) - len(there)))
    return found


def _rows(table: Path, columns: Columns, folder: Path) -> Iterator[Picture]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := {columns.name, columns.label} - set(reader.fieldnames or ()):
                raise UsageError(
                    _(
                        "{file} lacks the column {names}.",
                        file=table,
                        names=", ".join(sorted(missing)),
                    )
                )
            for row in reader:
                is_fake = label_of(row[columns.label], table, reader.line_num)
                path = _below(table.parent, row[columns.name] or "")
                example = Example(
                    path,
                    is_fake,
                    row.get(columns.source) or "",
                    (row.get(columns.family) or "") if is_fake else "",
                )
                yield _of_file(path.relative_to(folder).as_posix(), example)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            _("{file} is not a CSV that can be read: {why}.", file=table, why=why)
        ) from None


def _below(folder: Path, name: str) -> Path:
    """Returns a file that a table names. Raises UsageError if it is not below the table."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(_("{name} is not below the folder of its table.", name=name))
    return folder / name
