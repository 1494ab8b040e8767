"""The commands of the trainer: evaluate, and the recipe that builds `mini`.

Keep heavy imports inside the commands, as in core's.
"""

import json
import sys
from pathlib import Path

import click

from antifake.core.cli import (
    EXIT_SOME_FAILED,
    json_option,
    judging,
    model_option,
    progress_bar,
    prompt_option,
    say,
)
from antifake.core.errors import UsageError


@click.command()
@click.option("--real", metavar="DIR", help="Folder of real pictures, with all folders below it.")
@click.option("--fake", metavar="DIR", help="Folder of AI-made pictures.")
@click.option("--log", metavar="FILE", help="Also write a JSON line for every picture.")
@json_option
@model_option
@prompt_option
def evaluate(
    real: str | None,
    fake: str | None,
    log: str | None,
    as_json: bool,
    model: str | None,
    prompt: str | None,
) -> None:
    """Measure the detector on folders of known pictures; either folder alone is fine."""
    if not real and not fake:
        raise UsageError("Name at least one folder: --real DIR, --fake DIR.")
    if log and Path(log).exists():
        raise UsageError(f"{log} exists already; nothing was overwritten.")
    reals, fakes = _pictures(real), _pictures(fake)
    total = len(reals) + len(fakes)
    if not total:
        raise UsageError("There are no pictures in these folders.")
    judged = []
    with judging(model, prompt) as (detector, decoder), progress_bar("evaluate") as show:
        from .evaluate import judge_labelled, metrics

        for one in judge_labelled(detector, decoder, reals, fakes):
            judged.append(one)
            show(len(judged), total)
    if log:
        lines = (json.dumps({**one.row.to_dict(), "is_fake": one.is_fake}) for one in judged)
        Path(log).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = metrics(judged)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    else:
        _print_table(found.to_dict())
    if found.n_failed:
        for one in judged:
            if one.row.error:
                say(one.row.to_text(percent=False))
        sys.exit(EXIT_SOME_FAILED)


def _pictures(folder: str | None) -> list[Path]:
    from antifake.core.walk import Wanted, pictures

    return sorted(pictures(Path(folder), Wanted(recursive=True))) if folder else []


def _print_table(found: dict[str, object]) -> None:
    for key, value in found.items():
        if isinstance(value, dict):
            for name, count in value.items():
                click.echo(f"  {name.replace('_', ' '):<22}{count:>8,}")
            continue
        shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{key.replace('_', ' '):<24}{shown!s:>8}")


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", default="build/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--out", default="core/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
def mini(data: Path, work: Path, out: Path, seed: int) -> None:
    """Build the embedded model again, out of pretrained parts and the pictures in DATA."""
    from .mini.recipe import Recipe

    Recipe(data, work, out, seed).run(say)


COMMANDS = (evaluate, mini)
