"""Writes tables as Markdown, TeX and HTML, and all figures as CSV, one a line."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader

from antifake.core import i18n_html
from antifake.core.results import escape_formula
from antifake.trainer.report.estimates import Estimate

from .figures import Mean, SuiteFigures, compute, figures_of
from .published import peers
from .results import Judged
from .table import Table, Wanted, tables

HERE = Path(__file__).parent
CSV_HEADER = (
    "suite",
    "set",
    "detector",
    "prompt",
    "alignment",
    "protocol",
    "trained_on",
    "measure",
    "percent",
    "low",
    "high",
    "n",
    "of",
    "source",
    "read",
)
"""Of a set, n is pictures; of a mean, n sets of all. Published figures have a source."""

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{char: f"\\{char}" for char in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",
        "]": "{]}",
    }
)


def markdown(found: Sequence[Table]) -> str:
    """Returns the tables as Markdown."""
    return "\n".join(line for table in found for line in _markdown(table))


def _markdown(table: Table) -> Iterator[str]:
    yield f"### {table.title}\n"
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    yield ""
    for note in table.notes:
        yield f"{note}\n"


def tex(found: Sequence[Table]) -> str:
    """Returns the tables as LaTeX, which needs no package."""
    return "\n".join(line for table in found for line in _tex(table))


def _tex(table: Table) -> Iterator[str]:
    yield r"\begin{table}"
    yield rf"\caption{{{_in_tex(table.title)}}}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}"
    yield r"\hline"
    for at, row in enumerate((table.header, *table.rows)):
        yield rf"{' & '.join(map(_in_tex, row))} \\"
        if at == 0:
            yield r"\hline"
    yield r"\hline"
    yield r"\end{tabular}"
    for note in table.notes:
        yield f"\n{_in_tex(note)}"
    yield "\\end{table}\n"


def _in_tex(text: str) -> str:
    return text.translate(_TEX)


def html(found: Sequence[Table]) -> str:
    """Returns the tables as a page that loads nothing."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    i18n_html.install(environment)
    return environment.get_template("tables.html").render(tables=found)


def as_csv(of_suites: Sequence[SuiteFigures], wanted: Wanted) -> str:
    """Returns every figure on a line of its own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for one in of_suites:
        writer.writerows(map(_safe, _csv_rows(one, oracle=wanted.oracle)))
    if wanted.peers:
        for suite in dict.fromkeys(one.suite.name for one in of_suites):
            writer.writerows(map(_safe, _published_rows(suite, of_suites)))
    return out.getvalue()


def _safe(row: Sequence[object]) -> list[object]:
    return [escape_formula(cell) if isinstance(cell, str) else cell for cell in row]


def _csv_rows(one: SuiteFigures, *, oracle: bool) -> Iterator[list[object]]:
    who = one.detector
    about = [who.model, who.prompt, who.alignment, who.protocol, ""]

    def row(name: str, measure: str, found: Estimate, n: int, of: int | str = "") -> list[object]:
        numbers = (_percent(each) for each in (found.value, found.low, found.high))
        return [one.suite.name, name, *about, measure, *numbers, n, of, "", ""]

    for name, each in one.sets.items():
        both = each.n_real + each.n_fake
        yield row(name, "real", each.real, each.n_real)
        yield row(name, "fake", each.fake, each.n_fake)
        yield row(name, "balanced", each.balanced, both)
        yield row(name, "auc", each.auc, both)
        yield row(name, "blind", _alone(each.blind), both)
        yield row(name, "failed", _alone(np.nan), each.n_failed)
    means: dict[str, Mean] = {"real": one.real, "fake": one.fake, "average": one.average}
    for measure, mean in means.items():
        yield row("", measure, mean.estimate, mean.n, mean.of)
    yield row("", "balanced", one.balanced, one.average.n, one.average.of)
    yield row("", "blind", _alone(one.blind), one.average.n, one.average.of)
    if oracle:
        yield row("", "oracle", _alone(one.oracle[0]), one.average.n, one.average.of)


def _alone(value: float) -> Estimate:
    return Estimate(value, np.nan, np.nan)


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.2f}"


def _published_rows(name: str, of_suites: Sequence[SuiteFigures]) -> Iterator[list[object]]:
    suite = next(one.suite for one in of_suites if one.suite.name == name)
    for peer in peers(suite):
        for one in peer.figures:
            head = [name, one.set, one.method, "", "", "", one.trained_on, one.measure]
            yield [*head, one.value, "", "", "", "", f"{one.source}; {one.dataset}", one.read]


def written(
    results: Sequence[Judged], wanted: Wanted, form: str, progress: Callable[[int, int], None]
) -> str:
    """Returns the tables in a form: md, csv, tex or html."""
    of_suites = figures_of(results)
    compute(of_suites, progress)
    if form == "csv":
        return as_csv(of_suites, wanted)
    found = tables(of_suites, results, wanted)
    return {"md": markdown, "tex": tex, "html": html}[form](found)
