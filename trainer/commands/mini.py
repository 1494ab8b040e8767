"""`antifake mini`: build the embedded model, or another like it on another vision tower."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import UsageError
from antifake.core.terminal import say

if TYPE_CHECKING:
    from antifake.trainer.mini.recipe import Recipe


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--tower",
    metavar="NAME|DIR",
    help="Vision tower: a folder with config.json and safetensors, or a name of the Hugging Face "
    "hub (CLIP, SigLIP, DINOv2, ViTs of timm). [default: CLIP ViT-B/16, as shipped]",
)
@click.option(
    "--layers",
    type=click.IntRange(1, 512),
    help="How many of its layers to keep. [default: five sixths of them]",
)
@click.option(
    "--image-size",
    type=click.IntRange(32, 1024),
    help="Side of the squares that are judged, in pixels. [default: the tower's own]",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Where everything is kept. [default: build/mini, or build/mini-TOWER]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the package data goes; only with the shipped tower. [default: core/mini]",
)
@click.option("--seed", default=0, show_default=True)
def mini(
    data: Path,
    tower: str | None,
    layers: int | None,
    image_size: int | None,
    work: Path | None,
    out: Path | None,
    seed: int,
) -> None:
    """Build the embedded model again, out of pretrained parts and the pictures in DATA.

    On another tower it becomes a model of its own, for `antifake check --model FOLDER`.
    """
    if tower is None:
        if image_size:
            raise UsageError("--image-size needs --tower: the shipped one reads 224 pixels.")
        recipe = _on_shipped(data, work, out, layers)
    elif out:
        raise UsageError("--out is for the package's own model, which has the shipped tower.")
    else:
        recipe = _on_other(data, work, tower, layers)
    replace(recipe, seed=seed, image_size=image_size).run(say)


def _on_shipped(data: Path, work: Path | None, out: Path | None, layers: int | None) -> "Recipe":
    from antifake.trainer.mini.bridge import Sizes
    from antifake.trainer.mini.recipe import Recipe

    sizes = Sizes(vision_layers=layers) if layers else Sizes()
    return Recipe(data, work or Path("build/mini"), out or Path("core/mini"), sizes=sizes)


def _on_other(data: Path, work: Path | None, name: str, layers: int | None) -> "Recipe":
    from antifake.core.catalog import user_home
    from antifake.trainer.mini.bridge import Sizes
    from antifake.trainer.mini.recipe import Recipe
    from antifake.trainer.mini.towers.tower import TowerFolder

    tower = TowerFolder.find(name, user_home())
    has = tower.layers()
    sizes = Sizes(vision_layers=layers or max(1, round(5 / 6 * has)))
    say(f"{tower.name} has {has} layers; {sizes.vision_layers} of them are kept.")
    work = work or Path("build") / f"mini-{tower.slug}"
    return Recipe(data, work, None, sizes=sizes, tower=tower)
