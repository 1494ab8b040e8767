"""Pictures that are inside Parquet files, as data sets of the Hugging Face hub are.

pyarrow is an extra. Labels are read at once, the bytes of pictures one group of rows at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.trainer.examples import Example

from .sets import Picture, PictureSet, label_of, tables
from .suites import Columns, Suite


def in_parquet(suite: Suite, columns: Columns, folder: Path) -> list[PictureSet]:
    """Returns one set with the pictures of all files. Raises UsageError."""
    reader = _Reader(columns.image)
    those = [
        one for path in tables(columns, folder) for one in _pictures(path, columns, folder, reader)
    ]
    return [PictureSet(suite, columns.set, those)]


def _pictures(path: Path, columns: Columns, folder: Path, reader: "_Reader") -> Iterator[Picture]:
    with _opened(path) as file:
        named = [name for name in (columns.label, columns.family) if name]
        if missing := {*named, columns.image} - set(file.schema_arrow.names):
            raise UsageError(
                _("{file} lacks the column {names}.", file=path, names=", ".join(sorted(missing)))
            )
        number = 0
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=named).to_pylist()
            for place, row in enumerate(rows):
                is_fake = label_of(row[columns.label], path, number + 1)
                family = str(row.get(columns.family) or "") if is_fake else ""
                name = f"{path.relative_to(folder).as_posix()}#{number}"
                example = Example(path, is_fake, "", family)
                yield Picture(name, example, partial(reader.read, path, group, place))
                number += 1


class _Reader:
    """Reads pictures. The group of rows of the last one stays in memory, as the next is in it."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._at: tuple[Path, int] | None = None
        self._values: Any = None

    def read(self, path: Path, group: int, place: int) -> bytes:
        """Returns the bytes of a picture; b"" if the table has none. Raises UsageError."""
        if self._at != (path, group):
            self._values = None  # before the next group comes, so that there is one at a time
            with _opened(path) as file:
                self._values = file.read_row_group(group, columns=[self._column])[0]
            self._at = (path, group)
        value = self._values[place].as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        return bytes(data or b"")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yields a pyarrow ParquetFile. Raises UsageError."""
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UsageError(
            _("Parquet files are read by pyarrow: pip install 'antifake[benchmark]'.")
        ) from None
    try:
        with ParquetFile(path) as file:
            yield file
    except ArrowException as error:
        raise UsageError(
            _("{file} is not a Parquet file that can be read: {why}", file=path, why=error)
        ) from None
