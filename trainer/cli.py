"""The commands of the trainer: evaluate, train, calibrate, and mini, which builds that model.

Keep heavy imports inside the commands, as in core's.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from antifake.core.catalog import user_home
from antifake.core.errors import UsageError
from antifake.core.files import write_atomically
from antifake.core.loading import ensure_model, loaded
from antifake.core.terminal import (
    EXIT_SOME_FAILED,
    json_option,
    model_option,
    progress_bar,
    prompt_option,
    say,
)

if TYPE_CHECKING:
    from antifake.core.decoder import Decoder
    from antifake.core.detector import Detector
    from antifake.trainer.report.comparison import Comparison

    from .evaluate import Judged
    from .examples import Example


@click.command()
@click.option("--real", metavar="DIR", help="Folder of real pictures, with all folders below it.")
@click.option("--fake", metavar="DIR", help="Folder of AI-made pictures.")
@click.option(
    "--manifest", metavar="FILE", help="Table instead: file, label, source, family, kind."
)
@click.option("--only", metavar="GLOB", help="Of the table, only files of such names.")
@click.option("--log", metavar="FILE", help="Also write a JSON line for every picture.")
@click.option("--report", metavar="FILE", help="Also write a page for people, in HTML.")
@click.option("--robustness/--no-robustness", help="Judge degraded copies, too, for the report.")
@click.option(
    "--sample", default=200, show_default=True, type=click.IntRange(2), help="How many of these."
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
    """Measure the detector on known pictures: folders, either alone is fine, or a table."""
    if robustness and not report:
        raise UsageError("--robustness is shown in the report: name it with --report FILE.")
    _refuse_to_overwrite(log, report)
    wanted = _wanted(real, fake, manifest, only)
    with loaded(model, prompt) as (detector, decoder):
        from .evaluate import metrics

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
            say(f"The report is in {report}.")
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
        _new(Path(output))


class _Wanted(NamedTuple):
    """What was named on the command line."""

    examples: "list[Example]"
    what: str
    """In words, without the way to it on this computer."""
    roots: list[Path]


def _wanted(real: str | None, fake: str | None, manifest: str | None, only: str | None) -> _Wanted:
    from .examples import from_folders, from_manifest

    if manifest and not (real or fake):
        table = Path(manifest)
        what = f"{table.name}, {only}" if only else table.name
        found = _Wanted(from_manifest(table, only or "*"), what, [table.parent])
    elif manifest or only:
        raise UsageError("Name either folders, or a table with --manifest FILE [--only GLOB].")
    elif real or fake:
        places = [(label, Path(name)) for label, name in (("real", real), ("fake", fake)) if name]
        what = ", ".join(f"{path.resolve().name} (labelled {label})" for label, path in places)
        folders = dict(places)
        examples = from_folders(folders.get("real"), folders.get("fake"))
        found = _Wanted(examples, what, [path for _, path in places])
    else:
        raise UsageError("Name at least one folder, --real DIR or --fake DIR, or --manifest FILE.")
    if not found.examples:
        raise UsageError(
            f"There are no pictures in {'this table' if manifest else 'these folders'}."
        )
    return found


def _judged(detector: "Detector", decoder: "Decoder", wanted: _Wanted) -> "list[Judged]":
    from .evaluate import judge_labelled

    judged = []
    with progress_bar("evaluate") as show:
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
    with progress_bar("report") as show:
        return make_page(request, judged, comparison, judges, show)


def _write_log(path: Path, judged: "list[Judged]") -> None:
    lines = (json.dumps({**one.row.to_dict(), "is_fake": one.is_fake}) for one in judged)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _print_table(found: dict[str, Any]) -> None:
    for key, value in found.items():
        if isinstance(value, dict):
            for name, count in value.items():
                click.echo(f"  {name.replace('_', ' '):<22}{count:>8,}")
            continue
        shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{key.replace('_', ' '):<24}{shown!s:>8}")


@click.command()
@click.option("--real", metavar="DIR", help="Folder of real pictures, with all folders below it.")
@click.option("--fake", metavar="DIR", help="Folder of AI-made pictures.")
@click.option("--val-real", metavar="DIR", help="Real pictures to validate on; else some of DIR.")
@click.option("--val-fake", metavar="DIR", help="AI-made pictures to validate on.")
@click.option("--manifest", metavar="FILE", help="CSV with file, label; source and more if known.")
@click.option("--only", default="*", metavar="GLOB", help="Of its files only these.")
@click.option("--val-manifest", metavar="FILE", help="The same, to validate on.")
@click.option("--val-only", default="*", metavar="GLOB", help="Of its files only these.")
@click.option("--base", "--model", "base", metavar="NAME", help="A model other than the active.")
@click.option("--from", "start", metavar="PROMPT", help="Start from this one, not the active.")
@click.option(
    "--preset",
    type=click.Choice(["paper", "corrections"]),
    default="corrections",
    show_default=True,
    help="paper: as published, from a random start. corrections: for 10 to 1000 pictures.",
)
@click.option("-o", "out", required=True, metavar="OUT", help="File to write, OUT.safetensors.")
@click.option("--position", type=click.Choice(["suffix", "prefix", "replace"]), help="Of [*].")
@click.option("--tokens", type=click.IntRange(1, 64), metavar="P", help="Length of the word.")
@click.option("--sides", type=click.Choice(["both", "qformer", "llm"]), help="Where it is read.")
@click.option("--lora", type=click.IntRange(0, 256), default=0, metavar="RANK", help="No word.")
@click.option("--loss", type=click.Choice(["official", "pair"]), help="Other than the preset's.")
@click.option("--lr", type=click.FloatRange(0, 10, min_open=True), help="Learning rate.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the pictures, at most.")
@click.option("--steps", type=click.IntRange(1), help="Batches in all, at most.")
@click.option("--batch", type=click.IntRange(1), help="Pictures a step.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of all that is random.")
@click.option(
    "--no-cache", is_flag=True, help="Keep nothing of the pictures on disk, and take longer."
)
@click.option("--cache-gb", default=2.0, show_default=True, help="What may be kept, in all.")
def train(
    real: str | None,
    fake: str | None,
    val_real: str | None,
    val_fake: str | None,
    manifest: str | None,
    only: str,
    val_manifest: str | None,
    val_only: str,
    base: str | None,
    start: str | None,
    preset: str,
    out: str,
    position: str | None,
    tokens: int | None,
    sides: str | None,
    lora: int,
    no_cache: bool,
    cache_gb: float,
    **settings: float | str | None,
) -> None:
    """Learn a new word [*] from labelled pictures; the model itself is not changed.

    What was interrupted goes on when the same command is given again. On several GPUs or
    machines: accelerate launch -m antifake.daemon train ...
    """
    target = _new(Path(out) if lora else _prompt_file(out))
    learn = _known(real, fake, manifest, only)
    named = val_real or val_fake or val_manifest
    validate = _known(val_real, val_fake, val_manifest, val_only) if named else []
    where = user_home()
    bundle = ensure_model(where, base)
    from antifake.core.promptbook import Promptbook

    from .features import FeatureCache
    from .learner import Shape
    from .presets import chosen
    from .training import Order, Place
    from .training import train as run

    # LoRA's additions start at nothing: there is nothing for a tether to be tied to.
    more = {"warm": True if start else None, "tether": 0.0 if lora else None}
    order = Order(
        out=target,
        learn=learn,
        validate=validate,
        settings=chosen(preset, settings | more),
        shape=Shape(position, tokens, sides),
        start=start,
        lora=lora,
    )
    kept = where.root / "cache" / "features"
    cache = None if no_cache else FeatureCache(kept, int(cache_gb * 1e9))
    with progress_bar("train") as show:
        run(order, Place(bundle, Promptbook(where.prompts), cache), say, show)


def _prompt_file(out: str) -> Path:
    """The file a prompt is written to: its ending may be left out."""
    return Path(out if out.endswith(".safetensors") else f"{out}.safetensors")


def _new(path: Path) -> Path:
    """Raises UsageError where it exists."""
    if path.exists():
        raise UsageError(f"{path} exists already; nothing was overwritten.")
    return path


def _known(real: str | None, fake: str | None, manifest: str | None, only: str) -> "list[Example]":
    """Pictures of two folders and of a table. Raises UsageError."""
    from .examples import from_folders, from_manifest

    if not (real or fake or manifest):
        raise UsageError("Name pictures: --real DIR and --fake DIR, or --manifest FILE.")
    found = from_folders(Path(real) if real else None, Path(fake) if fake else None)
    found += from_manifest(Path(manifest), only) if manifest else []
    if not found:
        raise UsageError("There are no pictures in what was named.")
    return found


@click.command()
@click.option("--real", metavar="DIR", help="Folder of real pictures, with all folders below it.")
@click.option("--fake", metavar="DIR", help="Folder of AI-made pictures.")
@click.option("--manifest", metavar="FILE", help="CSV with the columns file and label.")
@click.option("--only", default="*", metavar="GLOB", help="Of its files only these.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0, 0.5),
    metavar="SHARE",
    help="Decide so that at most this share of the real pictures is called AI-made.",
)
@click.option("-o", "out", required=True, metavar="OUT", help="File to write, OUT.safetensors.")
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
    target = _new(_prompt_file(out))
    examples = _known(real, fake, manifest, only)
    with loaded(model, prompt) as (detector, decoder):
        from .calibrating import calibrate_on
        from .telling import how_to_use

        word, lines = calibrate_on(detector, decoder, examples, false_alarms, say)
    word.save(target)
    for line in lines:
        click.echo(line)
    say(how_to_use(target))


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", default="build/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--out", default="core/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
def mini(data: Path, work: Path, out: Path, seed: int) -> None:
    """Build the embedded model again, out of pretrained parts and the pictures in DATA."""
    from antifake.trainer.mini.recipe import Recipe

    Recipe(data, work, out, seed).run(say)


COMMANDS = (evaluate, train, calibrate, mini)
