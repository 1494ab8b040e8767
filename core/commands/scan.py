"""`antifake scan`: judge every picture of folders."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.addresses import path_of
from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.loading import loaded
from antifake.core.stopping import Stopped, stoppable
from antifake.core.terminal import (
    EXIT_FLAGGED,
    EXIT_SOME_FAILED,
    model_option,
    progress_bar,
    prompt_option,
    say,
)

if TYPE_CHECKING:
    from antifake.core.scanning import Tally


@click.command()
@click.argument("folders", nargs=-1, metavar="DIR...")
@click.option("-r", "--recursive", is_flag=True, help=_("Go into folders below, too."))
@click.option("--jsonl", "style", flag_value="jsonl", help=_("One JSON object a line."))
@click.option("--csv", "style", flag_value="csv", help=_("Comma-separated, with a header."))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help=_("Write there instead of standard output; with --engine ray a folder."),
)
@click.option("--resume", is_flag=True, help=_("Go on with FILE where an earlier scan ended."))
@click.option("--include", multiple=True, metavar="GLOB", help=_("Take only these files."))
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help=_("Leave out these files or folders.")
)
@click.option(
    "--fail-on", type=click.Choice(["fake", "unsure"]), help=_("End with 10 where such were found.")
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help=_("Processes that decode (1; with a graphics card up to 16)."),
)
@click.option(
    "-v", "--verbose", is_flag=True, help=_("Show how sure the verdicts are, in percent.")
)
@click.option(
    "--evidence-only", is_flag=True, help=_("Read what the files say of themselves; ask no model.")
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help=_("ray: several graphics cards, machines or a store such as S3. See docs/bulk.md."),
)
@click.option(
    "--listing",
    multiple=True,
    metavar="FILE",
    help=_("Ray: Parquet with the column `path`, or a store's inventory, instead of DIR."),
)
@click.option("--detectors", type=click.IntRange(1), help=_("Ray: copies of the model (1)."))
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    help=_("Ray: graphics cards for each detector (1 where there are enough)."),
)
@click.option(
    "--decoders",
    type=click.IntRange(1),
    help=_("Ray: processes that decode (1 a detector; with graphics cards 8)."),
)
@click.option("--address", metavar="ADDRESS", help=_("Ray: a cluster that runs, or `auto`."))
@model_option
@prompt_option
def scan(
    folders: tuple[str, ...],
    recursive: bool,
    style: str | None,
    output: str | None,
    resume: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    fail_on: str | None,
    jobs: int | None,
    verbose: bool,
    evidence_only: bool,
    engine: str,
    listing: tuple[str, ...],
    detectors: int | None,
    gpus: float | None,
    decoders: int | None,
    address: str | None,
    model: str | None,
    prompt: str | None,
) -> None:
    """Judge every picture of folders, of any size.

    One computer needs no engine. With more than one graphics card, with several machines, or with
    pictures in a store such as S3, --engine ray takes addresses for DIR and writes a folder of
    Parquet files, which `antifake rows` prints.
    """
    if engine == "ray":
        from .ray_scan import Request, scan_by_ray

        _refuse(
            engine, jobs=jobs, verbose=verbose, evidence_only=evidence_only, **{str(style): style}
        )
        asked = (folders, listing, recursive, include, exclude, output, resume)
        tally = scan_by_ray(Request(*asked, detectors, gpus, decoders, address), model, prompt)
        say(str(tally))
        _end(tally, fail_on)
        return
    _refuse(
        engine, listing=listing, detectors=detectors, gpus=gpus, decoders=decoders, address=address
    )
    if not folders:
        raise UsageError(_("Which folders? `antifake scan DIR`."))
    from antifake.core.decoder import Decoder
    from antifake.core.scanning import Output, Scan, left_out, open_output
    from antifake.core.walk import FileFilter

    if evidence_only and (model or prompt):
        raise UsageError(_("--evidence-only asks no model: leave out --model and --prompt."))
    places = [_folder(text) for text in folders]
    target = Output(style or ("jsonl" if output else "text"), Path(output) if output else None)
    run = Scan(places, FileFilter(recursive, include, exclude))
    run.require_pictures()
    with open_output(target, resume=resume, percent=verbose) as out, stoppable() as stopper:
        try:
            total = run.count(out.done) if sys.stderr.isatty() else 0
            with ExitStack() as stack, progress_bar(_("scanning")) as show:
                if evidence_only:
                    decoder = stack.enter_context(Decoder(jobs or 1, view="marks"))
                    results = run.evidence(decoder, out.done)
                else:
                    ready = stack.enter_context(loaded(model, prompt, jobs, view="whole"))
                    results = run.results(*ready, out.done)
                for result in stopper.until_asked(results):
                    with stopper.held():
                        run.tally.add(result)
                        out.write(result)
                    show(run.tally.total, total)
        except Stopped as stopped:
            say(_("Stopped. {counts}", counts=run.tally))
            sys.exit(stopped.exit_code)
    say(str(run.tally))
    for sentence in left_out(run.others, leaves_folders_out=run.leaves_folders_out):
        say(sentence)
    _end(run.tally, fail_on)


def _end(tally: "Tally", fail_on: str | None) -> None:
    """Ends the process with the exit code that the counts mean."""
    if fail_on and tally.flagged(fail_on):
        sys.exit(EXIT_FLAGGED)
    if tally.failed:
        sys.exit(EXIT_SOME_FAILED)


def _refuse(engine: str, **options: object) -> None:
    """Raises UsageError if any of these is given, which this engine does not have."""
    for name, given in options.items():
        if given:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                _("{option} does not go with --engine {engine}.", option=option, engine=engine)
            )


def _folder(text: str) -> Path:
    """Raises UsageError."""
    place = path_of(text)
    if place.is_file():
        raise UsageError(_("{text} is a file: `antifake check` judges single pictures.", text=text))
    if not place.is_dir():
        raise UsageError(_("There is no folder {text}.", text=text))
    return place
