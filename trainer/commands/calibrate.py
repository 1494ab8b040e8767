"""`antifake calibrate`: fit threshold and temperature to labelled pictures."""

import click

from antifake.core.i18n import _
from antifake.core.loading import loaded
from antifake.core.terminal import model_option, prompt_option, say

from .arguments import labelled_pictures, new_file, prompt_file


@click.command()
@click.option(
    "--real", metavar="DIR", help=_("Folder of real pictures, with all folders below it.")
)
@click.option("--fake", metavar="DIR", help=_("Folder of AI-made pictures."))
@click.option("--manifest", metavar="FILE", help=_("CSV with the columns file and label."))
@click.option(
    "--only", default="*", metavar="GLOB", help=_("Only files of the CSV with such a name.")
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 0.5),
    metavar="SHARE",
    help=_("Decide so that at most this share of the real pictures is called AI-made."),
)
@click.option("-o", "out", required=True, metavar="OUT", help=_("File to write, OUT.safetensors."))
@model_option
@prompt_option
def calibrate(
    real: str | None,
    fake: str | None,
    manifest: str | None,
    only: str,
    false_alarms: float | None,
    out: str,
    model: str | None,
    prompt: str | None,
) -> None:
    """Make p_fake mean what it says, on pictures that the word was not learned from."""
    target = new_file(prompt_file(out))
    examples = labelled_pictures(real, fake, manifest, only)
    with loaded(model, prompt) as (detector, decoder):
        from antifake.trainer.progress import usage_hint
        from antifake.trainer.recalibration import recalibrate

        calibrated, lines = recalibrate(detector, decoder, examples, false_alarms, say)
    calibrated.save(target)
    for line in lines:
        click.echo(line)
    say(usage_hint(target))
