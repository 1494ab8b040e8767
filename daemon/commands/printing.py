"""Prints data on standard output: JSON for programs, columns for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click


def echo_json(value: Any) -> None:
    # ASCII, so that a name that is not UTF-8 is kept as escapes.
    click.echo(json.dumps(value, indent=1, default=str))


def echo_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print aligned columns: with folded cells on a terminal, elsewhere one line for each row."""
    from antifake.core.results import printable

    cells = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _echo_folding(header, cells)
        return
    table = [list(header), *cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        padded = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def echo_pairs(pairs: Iterable[tuple[str, str]], column: int) -> None:
    """Print a line for each name with a value. The values begin in `column`, or further right."""
    from antifake.core.results import printable

    shown = [(name, printable(value)) for name, value in pairs if value]
    column = max([column, *(len(name) + 2 for name, _value in shown)])
    for name, value in shown:
        click.echo(f"{name:<{column}}{value}")


def _echo_folding(header: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for n, name in enumerate(header):
        last = n == len(header) - 1
        table.add_column(name, overflow="fold", no_wrap=not last)
    for row in cells:
        # As Text, so that brackets in a name are not taken for markup.
        table.add_row(*map(Text, row))
    Console().print(table)


def local(moment: str | None) -> str:
    """Returns a time of the API as local time."""
    if not moment:
        return ""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"
