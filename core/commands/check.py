"""`antifake check`: judge pictures in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.addresses import path_of
from antifake.core.errors import ModelError, UnreadableImageError, UsageError
from antifake.core.i18n import _
from antifake.core.loading import loaded
from antifake.core.terminal import echo_results, json_option, model_option, prompt_option, say

if TYPE_CHECKING:
    from antifake.core.results import Result


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_option
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help=_("Show how sure the verdict is, and all that is known of a picture."),
)
@click.option("--show", is_flag=True, help=_("Show each picture, if the terminal can."))
@model_option
@prompt_option
def check(
    paths: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    show: bool,
    model: str | None,
    prompt: str | None,
) -> None:
    """Judge pictures. "-" reads one from standard input; `antifake scan` takes folders."""
    sources = sources_of(paths)
    before = shower(sources, as_json=as_json) if show else None
    found = judged_here(sources, model, prompt)
    echo_results(found, paths, as_json=as_json, verbose=verbose, before=before)


def shower(sources: list[Path | bytes], *, as_json: bool) -> Callable[[int], None] | None:
    """Returns what shows one of these pictures; None, with a sentence, if the terminal cannot.

    Raises UsageError with JSON, which programs read.
    """
    if as_json:
        raise UsageError(_("--show is for people and --json for programs: choose one."))
    from antifake.core import terminal_pictures

    how = terminal_pictures.protocol(sys.stdout, os.environ.get("TERM", ""))
    if how is None:
        say(_("Pictures cannot be shown here: that takes kitty, iTerm2 or a terminal with sixels."))
        return None

    from antifake.core.images import read_file
    from antifake.core.preview import preview

    def show(place: int) -> None:
        source = sources[place]
        try:
            data = source if isinstance(source, bytes) else read_file(source)
        except UnreadableImageError:
            return  # its line says why
        if picture := preview(data, terminal_pictures.LONGEST):
            click.echo(terminal_pictures.encoded(picture, how), nl=False)

    return show


def sources_of(paths: tuple[str, ...]) -> list[Path | bytes]:
    """Returns paths; for "-" the bytes of standard input, which is read at once."""
    return [_source(path) for path in paths]


def _source(path: str) -> Path | bytes:
    if path == "-":
        from antifake.core.images import MAX_BYTES

        return sys.stdin.buffer.read(MAX_BYTES + 1)
    return path_of(path)


def judged_here(
    sources: list[Path | bytes], model: str | None, prompt: str | None
) -> Iterator["Result"]:
    """Judges pictures in this process and yields their results in order.

    Where there is no model, what the files say is yielded instead, before ModelError is raised.
    """
    with ExitStack() as stack:
        try:
            ready = stack.enter_context(loaded(model, prompt, view="whole"))
        except ModelError:
            if model or prompt:
                raise
            say(_("Without a model, only what the files say of themselves is read."), err="yellow")
            yield from evidence_here(sources)
            raise
        from antifake.core.pipeline import judge_all

        yield from judge_all(*ready, sources)


def evidence_here(sources: list[Path | bytes]) -> Iterator["Result"]:
    """Reads in this process what files say of themselves, and yields that in order."""
    from antifake.core.decoder import Decoder
    from antifake.core.pipeline import read_evidence

    with Decoder(view="marks") as decoder:
        yield from read_evidence(decoder, sources)
