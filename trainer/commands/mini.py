"""`antifake mini`: build the embedded model."""

from pathlib import Path

import click

from antifake.core.terminal import say


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", default="build/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--out", default="core/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
def mini(data: Path, work: Path, out: Path, seed: int) -> None:
    """Build the embedded model again, out of pretrained parts and the pictures in DATA."""
    from antifake.trainer.mini.recipe import Recipe

    Recipe(data, work, out, seed).run(say)
