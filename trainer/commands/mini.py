"""`antifake mini`: build the embedded model, or another like it on another vision tower."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.terminal import say

if TYPE_CHECKING:
    from antifake.trainer.mini.recipe import Recipe

KEPT = 2 / 3
"""Of a tower's layers, as of the shipped one: the last know what a picture shows, less how it was
made."""
FUSED = (0.75, 1.0)
"""Which of the layers that are kept are read: of the shipped tower 6 and 8 of 8."""


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--tower",
    metavar="NAME|DIR",
    help=_(
        "Vision tower: a folder with config.json and safetensors, or a name on the Hugging Face "
        "hub (CLIP, SigLIP, DINOv2, timm's ViTs). [default: CLIP ViT-B/16, as shipped]"
    ),
)
@click.option(
    "--layers",
    type=click.IntRange(1, 512),
    help=_("With --tower: how many of its layers to keep. [default: two thirds of them]"),
)
@click.option(
    "--image-size",
    type=click.IntRange(32, 1024),
    help=_("With --tower: side of the squares that are judged, in pixels. [default: its own]"),
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help=_("Where everything is kept. [default: build/mini, or build/mini-TOWER]"),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=_("Without --tower: where the package data goes. [default: core/mini]"),
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

    With --tower it becomes a model of its own, for `antifake check --model FOLDER`.
    """
    from antifake.trainer.mini.recipe import Recipe

    if tower is None:
        if layers or image_size:
            raise UsageError(_("--layers and --image-size need --tower."))
        recipe = Recipe(data, work or Path("build/mini"), out or Path("core/mini"))
    elif out:
        raise UsageError(_("--out is for the package's own model, which has the shipped tower."))
    else:
        recipe = replace(_on_other(data, work, tower, layers), image_size=image_size)
    replace(recipe, seed=seed).run(say)


def _on_other(data: Path, work: Path | None, name: str, layers: int | None) -> "Recipe":
    from antifake.core.catalog import user_home
    from antifake.trainer.mini.bridge import Sizes
    from antifake.trainer.mini.recipe import Recipe
    from antifake.trainer.mini.towers.tower import TowerFolder

    tower = TowerFolder.find(name, user_home())
    has = tower.layers()
    kept = layers or max(1, round(KEPT * has))
    fused = sorted({max(1, int(share * kept)) for share in FUSED})
    sizes = Sizes(kept, tuple(fused))
    say(
        f"{tower.name} has {has} layers; {kept} of them are kept, and the mean of "
        f"{', '.join(map(str, fused))} is read."
    )
    work = work or Path("build") / f"mini-{tower.slug}"
    return Recipe(data, work, None, sizes=sizes, tower=tower)
