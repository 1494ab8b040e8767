"""`antifake benchmark`: the suites of the literature, judged, and tables of them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import UsageError
from antifake.core.files import write_atomically
from antifake.core.i18n import _, ngettext
from antifake.core.loading import loaded
from antifake.core.stopping import Stopped, stoppable
from antifake.core.terminal import (
    EXIT_SOME_FAILED,
    Commands,
    fail,
    model_option,
    progress_bar,
    prompt_option,
    say,
)

from .arguments import new_file

if TYPE_CHECKING:
    from antifake.trainer.benchmark.run import Run
    from antifake.trainer.benchmark.sets import PictureSet


@click.group(cls=Commands)
def benchmark() -> None:
    """Measure the detector on suites of the literature that you have on disk."""


@benchmark.command("list")
def list_suites() -> None:
    """Show the suites: their sets, licences, layouts, and how to get them."""
    from antifake.trainer.benchmark.suites import suites

    for suite in suites().values():
        click.echo(f"{suite.name}: {suite.title}{f' ({suite.paper})' if suite.paper else ''}")
        lines = {
            _("size"): suite.size,
            _("sets"): ", ".join(suite.sets),
            _("licence"): suite.licence,
            _("get it"): suite.access,
            _("layout"): suite.layout,
        }
        for title, text in lines.items():
            if text:
                click.echo(f"    {title + ':':<10} {text}")


@benchmark.command()
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "out",
    required=True,
    metavar="RESULTS",
    type=click.Path(file_okay=False, path_type=Path),
    help=_("Folder for a file of results for each set. What is in it already is kept."),
)
@click.option(
    "--aligned",
    metavar="jpegQ",
    help=_("Also judge both classes saved again alike, as JPEG of quality Q, such as jpeg96."),
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=_("At most so many pictures of each class and generator of a set, drawn with the seed."),
)
@click.option("--seed", default=0, show_default=True, help=_("Seed of the draw."))
@click.option(
    "--protocol",
    type=click.Choice(["ours", "official"]),
    default="ours",
    show_default=True,
    help=_("official: judge twice, also by ranking the losses of two answers as its test does."),
)
@model_option
@prompt_option
def run(
    suites: tuple[str, ...],
    data: Path,
    out: Path,
    aligned: str | None,
    limit: int | None,
    seed: int,
    protocol: str,
    model: str | None,
    prompt: str | None,
) -> None:
    """Judge the sets of suites in DATA, or in its folders with their names.

    Finished sets are skipped and half ones go on. Nothing is downloaded.
    """
    from antifake.trainer.benchmark.layouts import find_sets, folder_of
    from antifake.trainer.benchmark.suites import suite

    chosen = [suite(name) for name in dict.fromkeys(suites)]
    places = [(each, folder_of(each, data, is_only=len(chosen) == 1)) for each in chosen]
    quality = _quality(aligned)
    sets = [those for each, folder in places for those in find_sets(each, folder)]
    with loaded(model, prompt, jobs=None) as (detector, decoder), stoppable() as stopper:
        from antifake.trainer.benchmark.official import OfficialDetector
        from antifake.trainer.benchmark.results import OFFICIAL
        from antifake.trainer.benchmark.run import Judge, Request, Run

        request = Request(out, quality, limit, seed)
        judges = [Judge(detector)]
        if protocol == OFFICIAL:
            judges.append(Judge(OfficialDetector(detector), OFFICIAL))
        running = Run(request, judges, decoder, stopper)
        with _told(running), progress_bar(_("Judging")) as show:
            running.judge(sets, say, show)
    _end(running, sets)


def _quality(aligned: str | None) -> int | None:
    from antifake.trainer.benchmark.run import jpeg_quality

    return jpeg_quality(aligned) if aligned else None


@contextmanager
def _told(running: "Run") -> Iterator[None]:
    try:
        yield
    except Stopped as stopped:
        said = _(
            "Stopped. What was judged is in {folder}; the same command goes on from there.",
            folder=running.request.out,
        )
        fail(said, stopped.exit_code)


def _end(running: "Run", sets: "Sequence[PictureSet]") -> None:
    say(
        ngettext(
            "{n:,} set is in {folder}.",
            "{n:,} sets are in {folder}.",
            len(sets),
            folder=running.request.out,
        )
    )
    if running.n_failed:
        say(
            ngettext(
                "{n:,} picture could not be judged; its row says why.",
                "{n:,} pictures could not be judged; their rows say why.",
                running.n_failed,
            )
        )
        sys.exit(EXIT_SOME_FAILED)


@benchmark.command()
@click.argument(
    "results",
    nargs=-1,
    required=True,
    metavar="RESULTS...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--with",
    "beside",
    type=click.Choice(["peers"]),
    help=_("Add published figures of other detectors, with their sources."),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "csv", "tex", "html"]),
    default="md",
    show_default=True,
    help=_("How to write it; csv has a figure a line."),
)
@click.option(
    "--oracle", is_flag=True, help=_("Add what the best threshold would give: no fair result.")
)
@click.option("-o", "out", metavar="FILE", help=_("Write there instead of standard output."))
def table(
    results: tuple[Path, ...], beside: str | None, form: str, oracle: bool, out: str | None
) -> None:
    """Make tables of folders of results, which may be of several machines."""
    target = new_file(Path(out)) if out else None
    from antifake.trainer.benchmark.results import all_results
    from antifake.trainer.benchmark.table import Wanted
    from antifake.trainer.benchmark.writing import written

    found = all_results(results)
    if not found:
        raise UsageError(_("There are no results of `antifake benchmark run` in these folders."))
    with progress_bar(_("Computing")) as show:
        text = written(found, Wanted(beside == "peers", oracle), form, show)
    if target:
        write_atomically(target, text.encode())
    else:
        click.echo(text, nl=False)
