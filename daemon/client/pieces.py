"""Divides the file of a history into pieces of whole rows, so that one of any size can be sent."""

from collections.abc import Iterator
from typing import IO

PIECE_BYTES = 2**20
"""A second of work for the daemon at most, mostly less."""


def pieces(file: IO[bytes], form: str, at_most: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yields pieces that are each a history in this form: those of CSV repeat the first row.

    A piece is longer than `at_most` only if one row is.
    """
    rows = _csv_rows(file) if form == "csv" else iter(file)
    head = next(rows, b"") if form == "csv" else b""
    some, size = [head], len(head)
    for row in rows:
        if size + len(row) > at_most and len(some) > 1:
            yield b"".join(some)
            some, size = [head], len(head)
        some.append(row)
        size += len(row)
    yield b"".join(some)


def _csv_rows(lines: Iterator[bytes] | IO[bytes]) -> Iterator[bytes]:
    """Yields rows: a line end between quotes ends none."""
    row: list[bytes] = []
    is_open = False
    for line in lines:
        row.append(line)
        is_open ^= line.count(b'"') % 2 == 1
        if not is_open:
            yield b"".join(row)
            row.clear()
    if row:
        yield b"".join(row)
