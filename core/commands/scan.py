"""`antifake scan`: judge every picture of folders."""

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from antifake.core.addresses import path_of
from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
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


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("-r", "--recursive", is_flag=True, help=_("Go into folders below, too."))
@click.option("--jsonl", "style", flag_value="jsonl", help=_("One JSON object a line."))
@click.option("--csv", "style", flag_value="csv", help=_("Comma-separated, with a header."))
@click.option("-o", "--output", metavar="FILE", help=_("Write there instead of standard output."))
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
    model: str | None,
    prompt: str | None,
) -> None:
    """Judge every picture of folders, of any size."""
    from antifake.core.decoder import Decoder
    from antifake.core.scanning import Output, Scan, open_output
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
    if run.others:
        say(
            ngettext(
                "{n:,} other file was passed over: no picture by name. --include takes files by "
                "other names.",
                "{n:,} other files were passed over: no pictures by name. --include takes files "
                "by other names.",
                run.others,
            )
        )
    if run.leaves_folders_out:
        say(_("Folders below were left out; -r goes into them."))
    if fail_on and run.tally.flagged(fail_on):
        sys.exit(EXIT_FLAGGED)
    if run.tally.failed:
        sys.exit(EXIT_SOME_FAILED)


def _folder(text: str) -> Path:
    """Raises UsageError."""
    place = path_of(text)
    if place.is_file():
        raise UsageError(_("{text} is a file: `antifake check` judges single pictures.", text=text))
    if not place.is_dir():
        raise UsageError(_("There is no folder {text}.", text=text))
    return place
