"""`antifake train`: tune a soft prompt on labelled pictures."""

import sys
from pathlib import Path

import click

from antifake.core.catalog import user_home
from antifake.core.i18n import _
from antifake.core.loading import ensure_model
from antifake.core.terminal import progress_bar, say

from .arguments import labelled_pictures, new_file, prompt_file


@click.command()
@click.option(
    "--real", metavar="DIR", help=_("Folder of real pictures, with all folders below it.")
)
@click.option("--fake", metavar="DIR", help=_("Folder of AI-made pictures."))
@click.option(
    "--val-real",
    metavar="DIR",
    help=_("Real pictures to validate on, instead of some of the others."),
)
@click.option("--val-fake", metavar="DIR", help=_("AI-made pictures to validate on."))
@click.option(
    "--manifest", metavar="FILE", help=_("CSV with file, label; source and more if known.")
)
@click.option(
    "--only", default="*", metavar="GLOB", help=_("Only files of the CSV with such a name.")
)
@click.option("--val-manifest", metavar="FILE", help=_("CSV of pictures to validate on."))
@click.option(
    "--val-only", default="*", metavar="GLOB", help=_("Only files of it with such a name.")
)
@click.option(
    "--base", "--model", "base", metavar="NAME", help=_("A model other than the active one.")
)
@click.option(
    "--from", "start", metavar="PROMPT", help=_("Prompt to start from, instead of the active one.")
)
@click.option(
    "--preset",
    type=click.Choice(["paper", "corrections"]),
    default="corrections",
    show_default=True,
    help=_("paper: as published, from a random start. corrections: for 10 to 1000 pictures."),
)
@click.option("-o", "out", required=True, metavar="OUT", help=_("File to write, OUT.safetensors."))
@click.option(
    "--position",
    type=click.Choice(["suffix", "prefix", "replace"]),
    help=_("Where [*] stands in the question."),
)
@click.option(
    "--tokens", type=click.IntRange(1, 64), metavar="P", help=_("How many tokens [*] has.")
)
@click.option(
    "--sides",
    type=click.Choice(["both", "qformer", "llm"]),
    help=_("Which parts of the model read [*]."),
)
@click.option(
    "--lora",
    type=click.IntRange(0, 256),
    default=0,
    metavar="RANK",
    help=_("Train LoRA of this rank instead of a word."),
)
@click.option(
    "--loss", type=click.Choice(["official", "pair"]), help=_("A loss other than the preset's.")
)
@click.option("--lr", type=click.FloatRange(0, 10, min_open=True), help=_("Learning rate."))
@click.option("--epochs", type=click.IntRange(1), help=_("Most passes over the pictures."))
@click.option("--steps", type=click.IntRange(1), help=_("Most batches in all."))
@click.option("--batch", type=click.IntRange(1), help=_("Pictures in a batch."))
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help=_("Seed of everything random."))
@click.option(
    "--no-cache", is_flag=True, help=_("Keep nothing of the pictures on disk, and take longer.")
)
@click.option(
    "--cache-gb", default=2.0, show_default=True, help=_("Most gigabytes to keep on disk.")
)
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

    A run that was interrupted is resumed by the same command. On several GPUs or machines:
    accelerate launch -m antifake.daemon train ...
    """
    target = new_file(Path(out) if lora else prompt_file(out))
    learn = labelled_pictures(real, fake, manifest, only)
    named = val_real or val_fake or val_manifest
    validate = labelled_pictures(val_real, val_fake, val_manifest, val_only) if named else []
    where = user_home()
    bundle = ensure_model(where, base)
    from antifake.core.promptbook import Promptbook
    from antifake.trainer.features import FeatureCache
    from antifake.trainer.presets import chosen
    from antifake.trainer.trainable import Shape
    from antifake.trainer.training import TrainingRequest, Workspace
    from antifake.trainer.training import train as run

    # LoRA's additions start at zero, so L2-SP has no start to measure distances from.
    more = {"warm": True if start else None, "l2_sp": 0.0 if lora else None}
    request = TrainingRequest(
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
    with progress_bar(_("Training")) as show:
        workspace = Workspace(bundle, Promptbook(where.prompts), cache)
        run(request, workspace, say, show, has_bar=sys.stderr.isatty())
