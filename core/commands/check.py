"""`antifake check`: judge pictures in this process."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import UsageError
from antifake.core.loading import loaded
from antifake.core.terminal import echo_results, json_option, model_option, prompt_option

if TYPE_CHECKING:
    from antifake.core.results import Result

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show how sure the verdict is, in percent.")
@model_option
@prompt_option
def check(
    paths: tuple[str, ...], as_json: bool, verbose: bool, model: str | None, prompt: str | None
) -> None:
    """Judge pictures. "-" reads one from standard input; `antifake scan` takes folders."""
    echo_results(judged_here(sources_of(paths), model, prompt), as_json=as_json, percent=verbose)


def sources_of(paths: tuple[str, ...]) -> list[Path | bytes]:
    """Returns paths; for "-" the bytes of standard input, which is read at once."""
    return [_source(path) for path in paths]


def _source(path: str) -> Path | bytes:
    if path == "-":
        from antifake.core.images import MAX_BYTES

        return sys.stdin.buffer.read(MAX_BYTES + 1)
    refuse_address(path)
    return Path(path)


def refuse_address(text: str) -> None:
    """Raises UsageError for an address of the web."""
    if _ADDRESS.match(text):
        raise UsageError(
            f"{text} is an address, and antifake never fetches anything from the web. Save the "
            "picture and check the file, or use the extension for your browser."
        )


def judged_here(
    sources: list[Path | bytes], model: str | None, prompt: str | None
) -> Iterator["Result"]:
    """Judges pictures in this process and yields their results in order."""
    with loaded(model, prompt, view="whole") as (detector, decoder):
        from antifake.core.pipeline import judge_all

        yield from judge_all(detector, decoder, sources)
