"""`antifake demo`: judge the sample pictures, and show them where the terminal can."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import ModelError
from antifake.core.i18n import _
from antifake.core.terminal import echo_result, say

if TYPE_CHECKING:
    from antifake.core.results import Result
    from antifake.core.samples import Sample

NEXT = {
    "open": _("opens the page: choose folders, look at verdicts, set it up"),
    "check PICTURE...": _("your own pictures"),
    "scan -r ~/Pictures": _("a whole folder"),
    "--help": _("everything else"),
}
"""Commands, and what they are for."""


@click.command()
def demo() -> None:
    """Judge the sample pictures that antifake brings along, and say where to go next."""
    from antifake.core.commands.check import judged_here
    from antifake.core.samples import shown_samples

    chosen = shown_samples()
    if len(chosen) < 2:
        raise ModelError(
            _("scikit-learn, whose two photographs are judged here, is not installed.")
        )
    paths: list[Path | bytes] = [sample.path for sample in chosen]
    results = list(judged_here(paths, None, None))
    for sample, result in zip(chosen, results, strict=True):
        _show(sample, result)
    steps = [f"  {f'antifake {words}':<31}{what}" for words, what in NEXT.items()]
    told = [_("No picture left this computer. Next:"), *steps]
    say("\n".join(["", *_summary(chosen, results), *told]))


def _show(sample: "Sample", result: "Result") -> None:
    click.echo()
    _draw(sample.path)
    echo_result(replace(result, path=sample.name), percent=True)
    click.echo(sample.what)


def _draw(path: Path) -> None:
    """Shows a picture as well as the terminal can; nothing where it can neither."""
    from PIL import Image

    from antifake.core import half_blocks, terminal_pictures

    if how := terminal_pictures.protocol(sys.stdout, os.environ.get("TERM", "")):
        with Image.open(path) as image:
            image.thumbnail((terminal_pictures.LONGEST,) * 2)
            click.echo(terminal_pictures.encoded(image.convert("RGB"), how), nl=False)
    elif half_blocks.has_all_colours():
        with Image.open(path) as image:
            click.echo("\n".join(half_blocks.picture_lines(image)))


def _summary(chosen: "Sequence[Sample]", results: "Sequence[Result]") -> list[str]:
    """Says of the AI-made samples what came of them, as it came."""
    made = [result for sample, result in zip(chosen, results, strict=True) if sample.is_ai_made]
    caught = sum(result.label == "fake" for result in made)
    if not made:
        return []
    return [_("The AI-made one was caught.") if caught else _("The AI-made one was not caught.")]
