"""Lists every picture once, with an id, into Parquet files that the engine reads.

    id     int64: a digest of the path, so the same picture has the same id in every scan
    path   binary: an absolute path, or an address such as s3://bucket/a.jpg

The engine keeps the ids of finished pictures and leaves those out when it resumes. If two pictures
had one id, the second would be left out, too; so no listing holds an id twice.
"""

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from antifake.core.errors import UsageError
from antifake.core.first_bytes import is_named_like_picture
from antifake.core.i18n import _
from antifake.core.walk import FileFilter, has_pictures_below, pictures

from .stores import Place, files_below, place_of

SCHEMA = pa.schema([("id", pa.int64()), ("path", pa.binary())])
ROWS_A_FILE = 100_000


def path_id(path: bytes) -> int:
    """Returns the id of a picture. Two of 100 million paths share one in 3 of 10,000 cases."""
    digest = hashlib.blake2b(path, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass
class Sources:
    """What a person has named: folders, and tables of paths."""

    folders: Sequence[Place]
    tables: Sequence[Place]
    """Parquet files, as the inventory of a store; see `_names`."""
    file_filter: FileFilter
    others: int = 0
    """Files that were passed over, because by their names they are not pictures."""

    def __iter__(self) -> Iterator[bytes]:
        """Yields the path or address of every picture. Raises UsageError."""
        self.others = 0
        for folder in self.folders:
            yield from self._local(folder) if folder.is_local else self._stored(folder)
        for table in self.tables:
            yield from self._inventory(table)

    @property
    def leaves_folders_out(self) -> bool:
        """Whether there are pictures in folders of this computer that are not entered."""
        local = [Path(folder.name) for folder in self.folders if folder.is_local]
        found = (has_pictures_below(folder, self.file_filter) for folder in local)
        return not self.file_filter.recursive and any(found)

    def _local(self, folder: Place) -> Iterator[bytes]:
        return map(os.fsencode, pictures(Path(folder.name), self.file_filter, self._pass_over))

    def _stored(self, folder: Place) -> Iterator[bytes]:
        chosen = self.file_filter
        enters = lambda names: not chosen.leaves_out(names)  # noqa: E731
        for names in files_below(folder, enters if chosen.recursive else None):
            # A look at the first bytes would be a request for each object: the decoder will tell.
            if chosen.takes(names) is not False:
                yield folder.below("/".join(names)).name.encode("utf-8", "surrogateescape")
            elif not (names[-1].startswith(".") or chosen.leaves_out(names)):
                self._pass_over()

    def _inventory(self, table: Place) -> Iterator[bytes]:
        for name in _names(table):
            if is_named_like_picture(name.rpartition("/")[2]) is False:
                self._pass_over()
            else:
                yield place_of(name).name.encode("utf-8", "surrogateescape")

    def _pass_over(self) -> None:
        self.others += 1


def _names(table: Place) -> Iterator[str]:
    """Yields the paths in a table: of its column `path`, or as the inventories of stores have them.

    Those of S3 have the columns bucket and key, those of Google Cloud bucket and name. Versions
    that are not the latest, and marks of deletion, are left out.
    """
    try:
        with table.filesystem.open_input_file(table.path) as opened:
            file = parquet.ParquetFile(opened)
            known = {"path", "bucket", "key", "name", "is_latest", "is_delete_marker"}
            columns = [name for name in file.schema_arrow.names if name in known]
            form = _form(columns)
            if form is None:
                raise UsageError(
                    _(
                        "{path} has no column `path`, and is no inventory of a store with the "
                        "columns `bucket` and `key` or `name`.",
                        path=table.name,
                    )
                )
            for batch in file.iter_batches(columns=columns):
                rows = batch.to_pylist()
                yield from (form(row) for row in rows if _is_there(row))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(_("{path} cannot be read: {why}", path=table.name, why=error)) from error


def _form(columns: Sequence[str]) -> Callable[[dict[str, str]], str] | None:
    if "path" in columns:
        return lambda row: row["path"]
    if "bucket" in columns and "key" in columns:
        return lambda row: f"s3://{row['bucket']}/{row['key']}"
    if "bucket" in columns and "name" in columns:
        return lambda row: f"gs://{row['bucket']}/{row['name']}"
    return None


def _is_there(row: dict[str, object]) -> bool:
    return row.get("is_latest") is not False and row.get("is_delete_marker") is not True


@dataclass
class ListingWriter:
    """Writes a listing file by file. The driver keeps eight bytes a picture."""

    folder: Place
    id_of: Callable[[bytes], int] = path_id
    rows_a_file: int = ROWS_A_FILE
    _ids: list[np.ndarray] = field(default_factory=list)

    def write(self, paths: Iterable[bytes]) -> int:
        """Writes a listing. Returns how many pictures it has. Raises UsageError, OSError.

        A path that is named twice, as by two folders one of which holds the other, is listed once.
        """
        paths = iter(paths)
        while chunk := list(islice(paths, self.rows_a_file)):
            ids = array("q", map(self.id_of, chunk))
            self._save(len(self._ids), ids, chunk)
            self._ids.append(np.frombuffer(ids, np.int64))
        return sum(map(len, self._ids)) - self._remove_repeated()

    def _save(self, number: int, ids: Sequence[int], paths: Sequence[bytes]) -> None:
        table = pa.table([pa.array(ids, pa.int64()), pa.array(paths, pa.binary())], SCHEMA)
        file = self._file(number)
        parquet.write_table(table, file.path, filesystem=file.filesystem)

    def _file(self, number: int) -> Place:
        return self.folder.below(f"{number:06}.parquet")

    def _remove_repeated(self) -> int:
        """Returns how many rows it removed. Raises UsageError if two paths have the same id."""
        repeated = _repeated(self._ids)
        first: dict[int, bytes] = {}
        removed = 0
        for number, ids in enumerate(self._ids if len(repeated) else ()):
            if np.isin(ids, repeated).any():
                removed += self._without_repeated(number, set(repeated.tolist()), first)
        return removed

    def _without_repeated(self, number: int, repeated: set[int], first: dict[int, bytes]) -> int:
        file = self._file(number)
        table = parquet.read_table(file.path, filesystem=file.filesystem)
        rows = list(zip(table["id"].to_pylist(), table["path"].to_pylist(), strict=True))
        kept = [row for row in rows if row[0] not in repeated or _is_first(row, first)]
        self._save(number, [one for one, _path in kept], [path for _one, path in kept])
        return len(rows) - len(kept)


def _repeated(ids: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the ids that occur more than once."""
    ordered = np.sort(np.concatenate([*ids, np.empty(0, np.int64)]))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _is_first(row: tuple[int, bytes], first: dict[int, bytes]) -> bool:
    number, path = row
    if number not in first:
        first[number] = path
        return True
    if first[number] != path:
        raise UsageError(
            _(
                "{one} and {other} have the same number by chance, so only one of them would be "
                "judged. Leave one of them out with --exclude, and scan it by itself.",
                one=os.fsdecode(first[number]),
                other=os.fsdecode(path),
            )
        )
    return False
