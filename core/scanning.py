"""Judges folders of any size into one output, which a later scan can resume."""

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .errors import UsageError
from .evidence.file_evidence import SAYS_AI
from .i18n import _, ngettext
from .pipeline import judge_all, read_evidence
from .results import CSV_FIELDS, TEXT_HEADER, Result, csv_line, csv_name
from .walk import FileFilter, has_pictures_below, pictures

if TYPE_CHECKING:
    from .decoder import Decoder
    from .detector import Detector


@dataclass
class Tally:
    """Counts of results by label."""

    fake: int = 0
    real: int = 0
    unsure: int = 0
    failed: int = 0
    unjudged: int = 0
    """Pictures that no model was asked about."""
    declared_or_marked: int = 0
    """Among all of these: pictures whose file says that AI made them."""

    def add(self, result: Result) -> None:
        self.count(result.label, result.error, result.basis)

    def count(self, label: str | None, error: str | None, basis: str | None) -> None:
        """Counts a result of which these fields are known."""
        kind = label or ("failed" if error else "unjudged")
        setattr(self, kind, getattr(self, kind) + 1)
        self.declared_or_marked += basis in SAYS_AI

    @property
    def total(self) -> int:
        return self.fake + self.real + self.unsure + self.failed + self.unjudged

    def flagged(self, label: str) -> bool:
        """Returns whether `--fail-on label` applies; "unsure" includes "fake".

        A picture whose file says that AI made it counts, whatever the model found.
        """
        return bool(self.fake or self.declared_or_marked or (label == "unsure" and self.unsure))

    def __str__(self) -> str:
        said = ngettext(
            "The file of {n:,} says that AI made it.",
            "The files of {n:,} say that AI made them.",
            self.declared_or_marked,
        )
        return f"{self._counts} {said}" if self.declared_or_marked else self._counts

    @property
    def _counts(self) -> str:
        if self.unjudged:
            return ngettext(
                "{n:,} picture, looked at without the model: {failed:,} not read.",
                "{n:,} pictures, looked at without the model: {failed:,} not read.",
                self.total,
                failed=self.failed,
            )
        return ngettext(
            "{n:,} picture: {fake:,} AI-made or likely so, {real:,} likely real, {unsure:,} cannot "
            "tell, {failed:,} not checked.",
            "{n:,} pictures: {fake:,} AI-made or likely so, {real:,} likely real, {unsure:,} "
            "cannot tell, {failed:,} not checked.",
            self.total,
            fake=self.fake,
            real=self.real,
            unsure=self.unsure,
            failed=self.failed,
        )


@dataclass
class DoneBefore:
    """The files that an earlier scan has judged.

    Keeps eight bytes a path: a million files take some 60 MB.
    """

    written_as: Callable[[str], str] = str
    """How the output of that scan writes a path."""
    _digests: set[bytes] = field(default_factory=set)

    def add(self, name: str) -> None:
        """Adds a path, written as the output has it."""
        self._digests.add(_digest(name))

    def __contains__(self, path: Path) -> bool:
        return bool(self._digests) and _digest(self.written_as(str(path))) in self._digests


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


@dataclass
class Scan:
    """One run over some folders."""

    folders: Sequence[Path]
    file_filter: FileFilter
    tally: Tally = field(default_factory=Tally)
    others: int = 0
    """Files that were passed over, because by their names they are not pictures."""

    def paths(self, done: DoneBefore) -> Iterator[Path]:
        """Yields the files that are still to be judged."""
        self.others = 0
        for folder in self.folders:
            for path in pictures(folder, self.file_filter, self._pass_over):
                if path not in done:
                    yield path

    def _pass_over(self) -> None:
        self.others += 1

    def require_pictures(self) -> None:
        """Raises UsageError if all pictures are in folders that are not entered."""
        if self.file_filter.recursive or any(self.paths(DoneBefore())):
            return
        if self.leaves_folders_out:
            where = ", ".join(map(str, self.folders))
            raise UsageError(
                _("There are pictures only in folders below {folders}: add -r.", folders=where)
            )

    @property
    def leaves_folders_out(self) -> bool:
        """Whether there are pictures in folders that are not entered."""
        found = (has_pictures_below(folder, self.file_filter) for folder in self.folders)
        return not self.file_filter.recursive and any(found)

    def count(self, done: DoneBefore) -> int:
        """Counts the files to judge by a walk of its own: only worth it for a progress bar."""
        return sum(1 for _ in self.paths(done))

    def results(
        self, detector: "Detector", decoder: "Decoder", done: DoneBefore
    ) -> Iterator[Result]:
        """Yields the results in order. The caller counts in the tally what it has written."""
        return judge_all(detector, decoder, self.paths(done))

    def evidence(self, decoder: "Decoder", done: DoneBefore) -> Iterator[Result]:
        """Yields in order what the files say, without a model."""
        return read_evidence(decoder, self.paths(done))


def left_out(others: int, *, leaves_folders_out: bool) -> Iterator[str]:
    """Yields in sentences what a scan did not look at."""
    if others:
        yield ngettext(
            "{n:,} other file was passed over: no picture by name. --include takes files by "
            "other names.",
            "{n:,} other files were passed over: no pictures by name. --include takes files "
            "by other names.",
            others,
        )
    if leaves_folders_out:
        yield _("Folders below were left out; -r goes into them.")


@dataclass(frozen=True)
class Output:
    """Where results go, and in which format."""

    style: str
    """text, jsonl or csv"""
    path: Path | None


@dataclass
class Writer:
    """An open output. Every result is handed to the system before the next is judged."""

    file: TextIO
    style: str
    percent: bool
    done: DoneBefore

    def write(self, result: Result) -> None:
        line = {"jsonl": result.to_json, "csv": result.to_csv}.get(self.style)
        self.line(line() if line else result.to_text(percent=self.percent))

    def line(self, text: str) -> None:
        # One write a line: a kill leaves at most one torn line, which a resume cuts off.
        self.file.write(f"{text}\n")
        self.file.flush()


@contextmanager
def open_output(output: Output, *, resume: bool, percent: bool) -> Iterator[Writer]:
    """Opens the output for a new scan, or to resume an earlier one. Raises UsageError."""
    if resume and (output.path is None or output.style == "text"):
        raise UsageError(_("--resume goes on with an output file: name it with -o FILE."))
    if output.path is None:
        writer = Writer(sys.stdout, output.style, percent, DoneBefore())
        _header(writer)
        yield writer
        return
    exists = output.path.exists() and output.path.stat().st_size > 0
    if exists and not resume:
        raise UsageError(
            _("{path} exists already: add --resume, or name another file.", path=output.path)
        )
    done = _read_done(output) if exists else DoneBefore()
    with output.path.open("a", encoding="utf-8", newline="") as file:
        writer = Writer(file, output.style, percent, done)
        if not exists:
            _header(writer)
        yield writer


def _header(writer: Writer) -> None:
    header = {"csv": csv_line(CSV_FIELDS), "text": TEXT_HEADER}.get(writer.style)
    if header:
        writer.line(header)


def _read_done(output: Output) -> DoneBefore:
    """Reads which files an earlier scan has judged. Raises UsageError."""
    if output.path is None:
        return DoneBefore()
    return _done_in_jsonl(output.path) if output.style == "jsonl" else _done_in_csv(output.path)


def _done_in_jsonl(path: Path) -> DoneBefore:
    """A torn last line is cut off the file."""
    done, kept = DoneBefore(), 0
    with path.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                done.add(json.loads(line)["path"])
            except (ValueError, KeyError, TypeError):
                raise UsageError(
                    _(
                        "{path} is not the JSONL output of an earlier scan; it was left as it is.",
                        path=path,
                    )
                ) from None
            kept += len(line)
        file.truncate(kept)
    return done


def _done_in_csv(path: Path) -> DoneBefore:
    """A row is one line, because line ends in names are escaped. A torn last line is cut off."""
    done, kept = DoneBefore(csv_name), 0
    with path.open("rb+") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                break
            cells = next(csv.reader([line.decode("utf-8")]))
            if len(cells) != len(CSV_FIELDS) or (number == 0 and cells != CSV_FIELDS):
                raise UsageError(
                    _("{path} is not the CSV output of a scan; it was left as it is.", path=path)
                )
            done.add(cells[0])
            kept += len(line)
        file.truncate(kept)
    return done
