"""Folders of any size, judged one row at a time into one output."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .errors import UsageError
from .results import CSV_FIELDS, TEXT_HEADER, Result, csv_line
from .walk import FileFilter, done_before, path_digest, pictures

if TYPE_CHECKING:
    from .decoder import Decoder
    from .detector import Detector


@dataclass
class Tally:
    """How many of each."""

    fake: int = 0
    real: int = 0
    unsure: int = 0
    failed: int = 0

    def add(self, row: Result) -> None:
        kind = row.label or "failed"
        setattr(self, kind, getattr(self, kind) + 1)

    @property
    def total(self) -> int:
        return self.fake + self.real + self.unsure + self.failed

    def flagged(self, label: str) -> bool:
        """Whether there is anything to fail on; "unsure" includes what is AI-made."""
        return bool(self.fake or (label == "unsure" and self.unsure))

    def __str__(self) -> str:
        return (
            f"{self.total:,} pictures: {self.fake:,} AI-made or likely so, {self.real:,} likely "
            f"real, {self.unsure:,} cannot tell, {self.failed:,} not checked."
        )


@dataclass
class Scan:
    """One run over some folders."""

    folders: Sequence[Path]
    wanted: FileFilter
    tally: Tally = field(default_factory=Tally)

    def paths(self, done: set[bytes]) -> Iterator[Path]:
        for folder in self.folders:
            for path in pictures(folder, self.wanted):
                if not done or path_digest(str(path)) not in done:
                    yield path

    def count(self, done: set[bytes]) -> int:
        """How many there are to do: a walk of its own, only worth it for a progress bar."""
        return sum(1 for _ in self.paths(done))

    def rows(self, detector: "Detector", decoder: "Decoder", done: set[bytes]) -> Iterator[Result]:
        from .pipeline import judge_all  # noqa: PLC0415 - brings torch

        for row in judge_all(detector, decoder, self.paths(done)):
            self.tally.add(row)
            yield row


@dataclass(frozen=True)
class Output:
    """Where rows go, and how they are written."""

    style: str
    """text, jsonl or csv"""
    path: Path | None


@dataclass
class Writer:
    """An open output. Every row is on its way to the disk before the next is judged."""

    file: TextIO
    style: str
    percent: bool
    done: set[bytes]

    def write(self, row: Result) -> None:
        line = {"jsonl": row.to_json, "csv": row.to_csv}.get(self.style)
        self.line(line() if line else row.to_text(percent=self.percent))

    def line(self, text: str) -> None:
        # One write a line: a kill leaves at most one torn line, which a resume cuts off.
        self.file.write(f"{text}\n")
        self.file.flush()


@contextmanager
def open_output(output: Output, *, resume: bool, percent: bool) -> Iterator[Writer]:
    """Open the output for a new scan, or to go on with an earlier one. Raises UsageError."""
    if resume and (output.path is None or output.style == "text"):
        raise UsageError("--resume goes on with an output file: name it with -o FILE.")
    if output.path is None:
        writer = Writer(sys.stdout, output.style, percent, set())
        _header(writer)
        yield writer
        return
    exists = output.path.exists() and output.path.stat().st_size > 0
    if exists and not resume:
        raise UsageError(f"{output.path} exists already: add --resume, or name another file.")
    done = _done(output) if exists else set()
    with output.path.open("a", encoding="utf-8", newline="") as file:
        writer = Writer(file, output.style, percent, done)
        if not exists:
            _header(writer)
        yield writer


def _header(writer: Writer) -> None:
    header = {"csv": csv_line(CSV_FIELDS), "text": TEXT_HEADER}.get(writer.style)
    if header:
        writer.line(header)


def _done(output: Output) -> set[bytes]:
    if output.path is None:
        return set()
    return done_before(output.path) if output.style == "jsonl" else _done_csv(output.path)


def _done_csv(path: Path) -> set[bytes]:
    """As `done_before`, of a CSV output; a row is one line, because names are escaped."""
    done, kept = set(), 0
    with path.open("rb+") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            cells = next(csv.reader([line.decode("utf-8")]))
            if len(cells) != len(CSV_FIELDS) or (number == 0 and cells != CSV_FIELDS):
                raise UsageError(f"{path} is not the CSV output of a scan; it was left as it is.")
            done.add(path_digest(cells[0]))
            kept += len(line)
        file.truncate(kept)
    return done
