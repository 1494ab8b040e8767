"""`antifake evaluate`: measure the detector on labelled pictures."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from antifake.core.errors import UsageError
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.core.loading import loaded
from antifake.core.terminal import (
    EXIT_SOME_FAILED,
    json_option,
    model_option,
    progress_bar,
    prompt_option,
    say,
)

from .arguments import named, new_file

if TYPE_CHECKING:
    from antifake.core.decoder import Decoder
    from antifake.core.detector import Detector
    from antifake.trainer.evaluate import Judged
    from antifake.trainer.examples import Example
    from antifake.trainer.report.comparison import Comparison

WORDS = {
    "n_real": _("real pictures"),
    "n_fake": _("AI-made pictures"),
    "n_failed": _("could not be judged"),
    "accuracy": _("accuracy"),
    "balanced_accuracy": _("balanced accuracy"),
    "auc": _("AUC"),
    "real_accuracy": _("accuracy on real pictures"),
    "fake_accuracy": _("accuracy on AI-made pictures"),
    "unsure": _("cannot tell"),
    "threshold": _("threshold"),
    "real_called_real": _("real, called real"),
    "real_called_fake": _("real, called AI-made"),
    "fake_called_real": _("AI-made, called real"),
    "fake_called_fake": _("AI-made, called AI-made"),
}
"""What people read of each figure, in the order of the lines."""


@click.command()
@click.option(
    "--real", metavar="DIR", help=_("Folder of real pictures, with all folders below it.")
)
@click.option("--fake", metavar="DIR", help=_("Folder of AI-made pictures."))
@click.option(
    "--manifest",
    metavar="FILE",
    help=_("CSV instead of folders: file, label, source, family, kind."),
)
@click.option("--only", metavar="GLOB", help=_("Only files of the CSV with such a name."))
@click.option("--log", metavar="FILE", help=_("Also write a JSON line for every picture."))
@click.option("--report", metavar="FILE", help=_("Also write a report, as an HTML page."))
@click.option("--robustness/--no-robustness", help=_("Judge degraded copies, too, for the report."))
@click.option(
    "--sample",
    default=200,
    show_default=True,
    type=click.IntRange(2),
    help=_("How many pictures to degrade."),
)
@json_option
@model_option
@prompt_option
def evaluate(
    real: str | None,
    fake: str | None,
    manifest: str | None,
    only: str | None,
    log: str | None,
    report: str | None,
    robustness: bool,
    sample: int,
    as_json: bool,
    model: str | None,
    prompt: str | None,
) -> None:
    """Measure the detector on labelled pictures: one or two folders, or a CSV."""
    if robustness and not report:
        raise UsageError(_("--robustness is shown in the report: name it with --report FILE."))
    _refuse_to_overwrite(log, report)
    wanted = _wanted(real, fake, manifest, only)
    with loaded(model, prompt) as (detector, decoder):
        from antifake.trainer.evaluate import metrics

        judged = _judged(detector, decoder, wanted)
        if log:
            _write_log(Path(log), judged)
        found = metrics(judged).to_dict()
        if as_json or report:
            from antifake.trainer.report.comparison import compare

            comparison = compare(judged, detector.prompt.about.bands)
            found |= comparison.to_dict() if as_json else {}
        if report:
            degraded = sample if robustness else 0
            page = _page(wanted, judged, comparison, (detector, decoder), degraded)
            write_atomically(Path(report), page)
            say(_("The report is in {file}.", file=report))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print_table(found)
    if found["n_failed"]:
        for one in judged:
            if one.row.error:
                say(one.row.to_text(percent=False))
        sys.exit(EXIT_SOME_FAILED)


def _refuse_to_overwrite(*outputs: str | None) -> None:
    for output in filter(None, outputs):
        new_file(Path(output))


class _Wanted(NamedTuple):
    """What was named on the command line."""

    examples: "list[Example]"
    what: str
    """In words, without the way to it on this computer."""
    roots: list[Path]


def _wanted(real: str | None, fake: str | None, manifest: str | None, only: str | None) -> _Wanted:
    from antifake.trainer.examples import from_folders, from_manifest

    if (table := named(manifest)) and not (real or fake):
        what = f"{table.name}, {only}" if only else table.name
        found = _Wanted(from_manifest(table, only or "*"), what, [table.parent])
    elif table or only:
        raise UsageError(_("Name either folders, or a CSV with --manifest FILE [--only GLOB]."))
    elif real or fake:
        reals, fakes = named(real), named(fake)
        what = ", ".join(_labelled(reals, fakes))
        found = _Wanted(from_folders(reals, fakes), what, [one for one in (reals, fakes) if one])
    else:
        raise UsageError(
            _("Name at least one folder, --real DIR or --fake DIR, or --manifest FILE.")
        )
    if not found.examples:
        raise UsageError(
            _("There are no pictures in this CSV.")
            if manifest
            else _("There are no pictures in these folders.")
        )
    return found


def _labelled(real: Path | None, fake: Path | None) -> Iterator[str]:
    """Yields the names of the folders with their label, in words."""
    if real:
        yield _("{folder} (labelled real)", folder=real.resolve().name)
    if fake:
        yield _("{folder} (labelled AI-made)", folder=fake.resolve().name)


def _judged(detector: "Detector", decoder: "Decoder", wanted: _Wanted) -> "list[Judged]":
    from antifake.trainer.evaluate import judge_labelled

    judged = []
    with progress_bar(_("Judging")) as show:
        for one in judge_labelled(detector, decoder, wanted.examples):
            judged.append(one)
            show(len(judged), len(wanted.examples))
    return judged


def _page(
    wanted: _Wanted,
    judged: "list[Judged]",
    comparison: "Comparison",
    judges: "tuple[Detector, Decoder]",
    degraded: int,
) -> bytes:
    from antifake.trainer.report.making import Request, make_page

    today = datetime.now().astimezone().date()
    request = Request(wanted.what, wanted.roots, today, degraded)
    with progress_bar(_("Degrading")) as show:
        return make_page(request, judged, comparison, judges, show)


def _write_log(path: Path, judged: "list[Judged]") -> None:
    lines = (json.dumps({**one.row.to_dict(), "is_fake": one.is_fake}) for one in judged)
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def _print_table(found: dict[str, Any]) -> None:
    rows = found | found["confusion"]
    for key, words in WORDS.items():
        value = rows[key]
        shown = (
            "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
        )
        click.echo(f"{words:<32} {shown:>8}")
