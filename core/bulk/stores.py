"""Files on this computer and objects in stores, by pyarrow's filesystems."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from antifake.core.addresses import text_of
from antifake.core.errors import UsageError
from antifake.core.i18n import _

_ADDRESS = re.compile(r"(?P<root>(?P<scheme>[a-z][a-z0-9+.-]+)://[^/]*)/?(?P<rest>.*)", re.DOTALL)
SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""Of the stores that pyarrow knows by their addresses."""


@dataclass(frozen=True)
class Place:
    """A folder or file: on this computer, or in a store."""

    name: str
    """An absolute path, or an address such as s3://bucket/folder."""

    @property
    def is_local(self) -> bool:
        return _ADDRESS.fullmatch(self.name) is None

    @property
    def filesystem(self) -> fs.FileSystem:
        """Raises UsageError if it cannot be reached by its address."""
        return _opened(self.name)[0]

    @property
    def path(self) -> str:
        """What its filesystem calls it."""
        return _opened(self.name)[1]

    def below(self, name: str) -> "Place":
        return Place(f"{self.name.rstrip('/')}/{name}")


def place_of(text: str) -> Place:
    """Returns the place that a person named. Raises UsageError for an address of no known store."""
    found = _ADDRESS.fullmatch(text)
    if found and found["scheme"] in SCHEMES:
        return Place(text.rstrip("/"))
    return Place(str(Path(text_of(text)).absolute()))


def _opened(name: str) -> tuple[fs.FileSystem, str]:
    found = _ADDRESS.fullmatch(name)
    if found is None:
        return _local(), name
    filesystem, base = _root(found["root"])
    # Names in a store may hold what means something in an address, such as a space or a #.
    return filesystem, "/".join(filter(None, (base.rstrip("/"), found["rest"])))


@cache
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@cache
def _root(address: str) -> tuple[fs.FileSystem, str]:
    """Returns a store's filesystem, and the path of its bucket or root there."""
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageError(
            _("{address} cannot be opened: {why}", address=address, why=error)
        ) from error
    return filesystem, path


def files_below(
    place: Place, enters: Callable[[tuple[str, ...]], bool] | None = None
) -> Iterator[tuple[str, ...]]:
    """Yields the names on the way to each file of a store's folder, folder by folder.

    `enters` says whether a folder below is entered; without it none is. One folder's names are in
    memory at a time; in Google Cloud those of all folders below. Raises UsageError if there is no
    such folder.
    """
    if enters and place.filesystem.type_name == "gcs":
        yield from _files_of_objects(place, enters)
        return
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        below = waiting.pop()
        here = place.below("/".join(below)) if below else place
        for entry in _entries(here):
            names = (*below, entry.base_name)
            if entry.type == fs.FileType.Directory:
                waiting += [names] if enters and enters(names) else []
            elif entry.type == fs.FileType.File:
                yield names


def _files_of_objects(
    place: Place, enters: Callable[[tuple[str, ...]], bool]
) -> Iterator[tuple[str, ...]]:
    """Yields the same, of a store that does not name its folders.

    In Google Cloud a folder is only a part of the names of objects. pyarrow lists it only where
    some program has made an object for the folder itself.
    """
    for entry in _entries(place, recursive=True):
        names = tuple(entry.path.removeprefix(f"{place.path}/").split("/"))
        folders = (names[:depth] for depth in range(1, len(names)))
        if entry.type == fs.FileType.File and all(map(enters, folders)):
            yield names


def _entries(place: Place, *, recursive: bool = False) -> list[fs.FileInfo]:
    try:
        selector = fs.FileSelector(place.path, recursive=recursive)
        entries: list[fs.FileInfo] = place.filesystem.get_file_info(selector)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(
            _("{address} cannot be listed: {why}", address=place.name, why=error)
        ) from error
    return entries
