"""One file a set: a head, then a judged picture a line. What is whole is kept, whatever happens.

A file is finished once it has as many rows as its head says, and may be copied to where a table is
made of the files of several machines.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.results import Result
from antifake.trainer.report.headers import Header

from .sets import Picture, PictureSet

DELIVERED = "delivered"
OURS, OFFICIAL = "ours", "official"
FORM = 1


@dataclass(frozen=True)
class Head:
    """What a file holds."""

    suite: str
    set: str
    model: str
    prompt: str
    alignment: str
    """How the files were encoded before they were judged: "delivered", or "jpeg96"."""
    protocol: str
    """How an answer is made of the model's scores: "ours", or "official"."""
    n: int
    pictures: str
    """A hash of their names and labels."""
    limit: int | None
    seed: int
    n_missing: int = 0
    """Pictures that a table names and that were not there."""
    antifake_benchmark: int = FORM

    @property
    def file_name(self) -> str:
        """Returns suite/set.model.prompt.alignment.jsonl; of another protocol with its name."""
        parts = [self.set, self.model, self.prompt or "none", self.alignment]
        parts += [] if self.protocol == OURS else [self.protocol]
        return f"{self.suite}/{'.'.join(map(_plain, parts))}.jsonl"


def _plain(text: str) -> str:
    return re.sub(r"[^\w@+.-]", "_", text)


def hash_of(those: PictureSet) -> str:
    """Returns a hash of the names and labels of a set's pictures, 16 hex digits."""
    named = ((one.name, one.example.is_fake) for one in those.pictures)
    lines = "".join(f"{name}\t{is_fake}\n" for name, is_fake in named)
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Row:
    """One picture, and what the detector said of it."""

    name: str
    is_fake: bool
    source: str
    family: str
    p_fake: float | None
    sha256: str | None
    error: str | None
    """Why there is no score, in a sentence."""
    header: Header = field(default_factory=Header)
    """Of the file that was judged: what the blind classifier sees."""

    @classmethod
    def of(cls, picture: Picture, result: Result, header: Header) -> Self:
        example = picture.example
        return cls(
            picture.name,
            example.is_fake,
            example.source,
            example.family,
            result.p_fake,
            result.sha256,
            result.error,
            header,
        )

    def to_json(self) -> str:
        raw = asdict(self)
        known = {key: value for key, value in raw.pop("header").items() if not _is_nan(value)}
        # ASCII: a name that is not valid UTF-8 survives as escapes.
        return json.dumps({**raw, "header": known})

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """Raises ValueError, TypeError or KeyError if the line is no row."""
        raw = json.loads(line)
        return cls(**{**raw, "header": Header(**raw["header"])})


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


@dataclass(frozen=True)
class Judged:
    """A file's head and rows."""

    head: Head
    rows: Sequence[Row]

    @property
    def is_finished(self) -> bool:
        return len(self.rows) == self.head.n


def read_results(path: Path) -> tuple[Judged, int]:
    """Returns what a file holds, and how many of its bytes that is: the last line may be torn.

    Raises UsageError if it is no file of results.
    """
    try:
        with path.open("rb") as file:
            lines = [line for line in file if line.endswith(b"\n")]
        head, rows = Head(**json.loads(lines[0])), [Row.from_json(line) for line in lines[1:]]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise UsageError(_("{path} is not a file of benchmark results.", path=path)) from None
    return Judged(head, rows), sum(map(len, lines))


@dataclass
class Output:
    """An open file of results."""

    done: list[Row]
    write: Callable[[Row], None]


@contextmanager
def open_results(folder: Path, head: Head) -> Iterator[Output]:
    """Opens a file to write what it lacks. Raises UsageError if it holds something else."""
    path = folder / head.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    done: list[Row] = []
    if _has_head(path):
        before, kept = read_results(path)
        if before.head != head:
            raise UsageError(
                _(
                    "{path} is about other pictures or settings, such as another --limit or "
                    "--seed: name another folder with -o.",
                    path=path,
                )
            )
        done = list(before.rows)
        with path.open("rb+") as file:
            file.truncate(kept)
    else:
        path.write_text(f"{json.dumps(asdict(head))}\n", "utf-8")
    with path.open("a", encoding="utf-8", newline="") as out:

        def write(row: Row) -> None:
            # One write a line: a kill leaves at most one torn line, which the next run cuts off.
            out.write(f"{row.to_json()}\n")
            out.flush()

        yield Output(done, write)


def _has_head(path: Path) -> bool:
    """Returns whether a file holds a whole head; one that was killed before that starts anew."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")


def all_results(folders: Sequence[Path]) -> list[Judged]:
    """Returns the results in folders. Of a set that is there twice, the file with more rows.

    Raises UsageError if two files of one set were not made of the same pictures.
    """
    found: dict[str, Judged] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*.jsonl")):
        judged, _kept = read_results(path)
        other = found.setdefault(judged.head.file_name, judged)
        if other.head != judged.head:
            raise UsageError(
                _(
                    "{path} and another file of the same set were made of other pictures or with "
                    "other settings.",
                    path=path,
                )
            )
        if len(judged.rows) > len(other.rows):
            found[judged.head.file_name] = judged
    return list(found.values())
