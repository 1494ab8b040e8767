"""A scan that was interrupted, and what its output says of files with odd names."""

import csv
from pathlib import Path

import pytest

from antifake.core.errors import UsageError
from antifake.core.results import CSV_FIELDS, Result, csv_line
from antifake.core.scanning import Output, Scan, Tally, open_output
from antifake.core.verdict import Verdict
from antifake.core.walk import FileFilter

NAMES = (
    "plain.png",
    '=HYPERLINK("example.org","x").png',
    "'=1+1.png",
    "@cell.png",
    "two\nlines.png",
    "not-utf8-\udcff.png",
    "\u4e2d.png",
)


def judged(path, label="real", p_fake=0.1):
    return Result.judged(path, "0" * 64, Verdict(p_fake, label, "m@1", "p@1"), 1.0)


def write(output, results, *, resume=False):
    with open_output(output, resume=resume, percent=False) as out:
        for result in results:
            out.write(result)


@pytest.fixture
def output(tmp_path, request):
    style = request.param
    return Output(style, tmp_path / f"out.{style}")


both_styles = pytest.mark.parametrize("output", ["jsonl", "csv"], indirect=True)


@both_styles
def test_a_resumed_scan_leaves_out_what_was_judged_whatever_its_name(output, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in NAMES:
        (tmp_path / "in" / name).touch()
    scan = Scan([Path()], FileFilter())
    with open_output(output, resume=False, percent=False) as out:
        paths = list(scan.paths(out.done))
        assert len(paths) == len(NAMES)
        for path in paths[:-1]:
            out.write(judged(str(path)))
    with open_output(output, resume=True, percent=False) as out:
        assert list(scan.paths(out.done)) == paths[-1:]


@pytest.mark.parametrize("name", NAMES)
@both_styles
def test_a_path_that_begins_like_a_formula_is_known_again(output, name):
    write(output, [judged(name)])
    with open_output(output, resume=True, percent=False) as out:
        assert name in out.done
        assert "another.png" not in out.done


@both_styles
def test_a_torn_last_line_is_cut_off_and_the_next_result_starts_a_line(output):
    write(output, [judged("a.png"), judged("b.png")])
    whole = output.path.read_bytes()
    output.path.write_bytes(whole[:-25])  # as a kill leaves it
    write(output, [judged("b.png")], resume=True)
    assert output.path.read_bytes() == whole


def test_no_cell_of_a_csv_output_is_a_formula(tmp_path):
    output = Output("csv", tmp_path / "out.csv")
    write(output, [judged(name) for name in NAMES])
    with output.path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == CSV_FIELDS
    assert len(rows) == 1 + len(NAMES)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    # With the outer quote gone each is its name again.
    assert rows[2][0] == "'" + NAMES[1]
    assert rows[3][0] == "'" + NAMES[2]


def test_a_table_of_another_program_is_left_as_it_was(tmp_path):
    output = Output("csv", tmp_path / "out.csv")
    output.path.write_text(csv_line(["a", "b"]) + "\n")
    with pytest.raises(UsageError, match="not the CSV output of a scan"):
        write(output, [judged("a.png")], resume=True)
    assert output.path.read_text() == "a,b\n"


@pytest.mark.parametrize(
    ("label", "fails_on_fake", "fails_on_unsure"),
    [("real", False, False), ("unsure", False, True), ("fake", True, True)],
)
def test_a_scan_that_fails_on_unsure_fails_on_fake_too(label, fails_on_fake, fails_on_unsure):
    tally = Tally()
    tally.add(judged("a.png", label, 0.5))
    assert tally.flagged("fake") is fails_on_fake
    assert tally.flagged("unsure") is fails_on_unsure
