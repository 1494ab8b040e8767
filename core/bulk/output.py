"""The folder that a scan writes.

    scan.json     what the scan is of: model, prompt, sources; see About
    listing.json  how many pictures were listed, once all are
    _listing/     the pictures
    _checkpoint/  the ids of finished pictures, by the engine
    rows/         the results, in Parquet files: ROWS

A row is in `rows` for good once its id is in `_checkpoint`: the engine removes what it finds of
others when a scan is resumed.
"""

import json
import posixpath
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
from pyarrow import dataset, fs

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.results import Result
from antifake.core.scanning import Tally

from .stores import Place

_JSON = ("parts", "evidence")
"""Fields of a result that are objects; they are kept as JSON, in a column of text."""
_NUMBERS = {"p_fake": pa.float64(), "ms": pa.float64()}
ROWS = pa.schema(
    [("id", pa.int64())]
    + [(field.name, _NUMBERS.get(field.name, pa.string())) for field in fields(Result)]
)
"""A result's fields, with the id of its path."""
_FORMAT = 1


@dataclass(frozen=True)
class About:
    """What a scan is of. A resumed one must be of the same."""

    model: str
    fingerprint: str
    """sha256 over the model's source tensors."""
    dtype: str
    """How the model is stored."""
    prompt: str
    sources: list[str]
    filter: dict[str, Any]


@dataclass(frozen=True)
class Output:
    """The folder of one scan."""

    place: Place

    @property
    def rows(self) -> Place:
        return self.place.below("rows")

    @property
    def listing(self) -> Place:
        return self.place.below("_listing")

    @property
    def checkpoint(self) -> Place:
        return self.place.below("_checkpoint")

    @property
    def _about(self) -> Place:
        return self.place.below("scan.json")

    @property
    def _complete(self) -> Place:
        return self.place.below("listing.json")

    def begin(self, about: About, *, resume: bool) -> None:
        """Makes the folder, or takes up what an earlier scan has left. Raises UsageError."""
        found = _read_json(self._about)
        if found is None:
            self._require_empty()
        elif not resume:
            raise UsageError(
                _("{path} exists already: add --resume, or name another.", path=self.place.name)
            )
        else:
            _require_same(found, about)
        for folder in (self.listing, self.checkpoint, self.rows):
            folder.filesystem.create_dir(folder.path, recursive=True)
        if found is None:
            _write_json(self._about, {"format": _FORMAT, **asdict(about)})

    def _require_empty(self) -> None:
        store, here = self.place.filesystem, fs.FileSelector(self.place.path, allow_not_found=True)
        # Google Cloud does not name folders that are only parts of objects' names.
        own = [folder.path for folder in (self.listing, self.checkpoint, self.rows)]
        is_there = [one.type != fs.FileType.NotFound for one in store.get_file_info(own)]
        if store.get_file_info(here) or any(is_there):
            raise UsageError(
                _(
                    "{path} holds other files, and no scan that could be resumed.",
                    path=self.place.name,
                )
            )

    def listed(self) -> int | None:
        """Returns how many pictures were listed; None if the listing is not complete."""
        found = _read_json(self._complete)
        return None if found is None else int(found["pictures"])

    def empty_listing(self) -> None:
        """Removes what an earlier scan had listed when it ended."""
        self.listing.filesystem.delete_dir_contents(self.listing.path)

    def complete_listing(self, pictures: int) -> None:
        _write_json(self._complete, {"pictures": pictures})

    def undo_half_commits(self) -> None:
        """Prepares the checkpoint for the engine to read.

        To finish some pictures the engine writes their ids as pending, then their rows, and then
        moves the ids to their final name. When it resumes, it removes the rows of what is pending.
        In a store, a move is a copy and a deletion; and a worker that is started again writes what
        it had finished a second time. Who is killed in between leaves ids that are both pending
        and final, and their rows would be removed without being made again. So the final ones go.
        """
        store, folder = self.checkpoint.filesystem, self.checkpoint.path
        entries = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        names = {posixpath.basename(entry.path) for entry in entries}
        for name in names:
            final = name.replace(".pending.parquet", ".parquet")
            if final != name and final in names:
                store.delete_file(posixpath.join(folder, final))

    def tally(self) -> Tally:
        """Counts all results."""
        tally = Tally()
        for row in self._read(["label", "error", "basis"]):
            tally.count(row["label"], row["error"], row["basis"])
        return tally

    def results(self) -> Iterator[dict[str, Any]]:
        """Yields all results, in no order, as `Result.to_dict` has them. Raises UsageError."""
        if _read_json(self._about) is None:
            raise UsageError(
                _("{path} is no output of `antifake scan --engine ray`.", path=self.place.name)
            )
        for row in self._read([field.name for field in fields(Result)]):
            yield row | {name: _loaded(row[name]) for name in _JSON}

    def _read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        # File by file: what is known of a hundred thousand files need not be in memory at once.
        store = self.rows.filesystem
        for entry in store.get_file_info(fs.FileSelector(self.rows.path, allow_not_found=True)):
            if entry.type == fs.FileType.File and entry.base_name.endswith(".parquet"):
                file = dataset.dataset(entry.path, filesystem=store, format="parquet")
                for batch in file.to_batches(columns=columns, batch_size=1024):
                    yield from batch.to_pylist()


def row_of(number: int, result: Result) -> dict[str, Any]:
    """Returns a result as a row of ROWS."""
    values = result.to_dict()
    # Columns of text are UTF-8. A name that is not shows its other bytes as \udcXX.
    values["path"] = result.path.encode("utf-8", "backslashreplace").decode()
    for name in _JSON:
        values[name] = None if values[name] is None else json.dumps(values[name])
    return {"id": number, **values}


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _require_same(found: dict[str, Any], about: About) -> None:
    """Raises UsageError."""
    if found.get("format") != _FORMAT:
        raise UsageError(_("This scan was begun by another version of antifake."))
    told = {
        "model": _("the model {name}", name=found.get("model")),
        "fingerprint": _("other weights of {name}", name=found.get("model")),
        "dtype": _("the model stored as {name}", name=found.get("dtype")),
        "prompt": _("the prompt {name}", name=found.get("prompt")),
        "sources": _("other sources"),
        "filter": _("other options of which files to take"),
    }
    now = asdict(about)
    for name, words in told.items():
        if found.get(name) != now[name]:
            raise UsageError(
                _(
                    "This scan was begun with {what}, and goes on with the same only: verdicts of "
                    "two kinds do not belong into one output.",
                    what=words,
                )
            )


def _read_json(place: Place) -> dict[str, Any] | None:
    """Returns None if there is no such file. Raises UsageError."""
    try:
        with place.filesystem.open_input_stream(place.path) as file:
            found = json.loads(file.read(2**20))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(_("{path} cannot be read: {why}", path=place.name, why=error)) from error
    return found if isinstance(found, dict) else {}


def _write_json(place: Place, values: dict[str, Any]) -> None:
    """Writes a file that is there as a whole or not at all."""
    store, part = place.filesystem, f"{place.path}.part"
    with store.open_output_stream(part) as file:
        file.write(json.dumps(values, indent=1).encode())
    store.move(part, place.path)
