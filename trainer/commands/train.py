"""`antifake train`: tune a soft prompt on labelled pictures."""

import sys
from pathlib import Path

import click

from antifake.core.catalog import user_home
from antifake.core.loading import ensure_model
from antifake.core.terminal import progress_bar, say

from .arguments import labelled_pictures, new_file, prompt_file


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
@click.option(
    "--position", type=click.Choice(["suffix", "prefix", "replace"]), help="Where [*] stands."
)
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
    with progress_bar("train") as show:
        workspace = Workspace(bundle, Promptbook(where.prompts), cache)
        run(request, workspace, say, show, has_bar=sys.stderr.isatty())
