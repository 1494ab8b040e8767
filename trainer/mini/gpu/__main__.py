"""Starts what runs on the other machine: `python -m antifake.trainer.mini.gpu`."""

from pathlib import Path

import click

from .compare import SETTINGS
from .fused import FusedPlan
from .fused import run as fuse_layers
from .run import Plan, draw_all
from .run import run as run_plan

ROOT = click.option("--root", required=True, type=click.Path(path_type=Path))
DEVICE = click.option("--device", default="cuda", show_default=True)


@click.group()
def main() -> None:
    """Tune the tower of `mini` on a machine with a GPU."""


@main.command()
@ROOT
@DEVICE
@click.option("--processes", default=14, show_default=True)
@click.option("--changed", default=8, show_default=True, help="Views of a picture.")
@click.option("--aligned/--no-aligned", default=True, help="Use the autoencoder.")
def views(*, root: Path, device: str, processes: int, changed: int, aligned: bool) -> None:
    """Draw the views of pictures while they arrive."""
    draw_all(root, device, processes, changed, aligned)


@main.command()
@ROOT
@DEVICE
@click.option("--seconds", default=290.0, show_default=True, help="From when views are there.")
@click.option("--small", is_flag=True, help="A few steps on a processor, to try it.")
def fuse(root: Path, device: str, seconds: float, *, small: bool) -> None:
    """Train bridges that several layers of the frozen tower teach, and that read some."""
    plan = FusedPlan(seconds)
    fuse_layers(root, device, plan.small() if small else plan)


@main.command()
@ROOT
@DEVICE
@click.option("--minutes", default=8.0, show_default=True, help="Of comparing.")
@click.option("--more-minutes", default=5.0, show_default=True, help="Of training what ships.")
@click.option("--seconds", default=14.0, show_default=True, help="Of tuning one split.")
@click.option("--chosen", default="", help="The setting that ships; the best if empty.")
@click.option("--only", default="", help="Compare settings with this text in their name.")
@click.option("--small", is_flag=True, help="A few pictures on a processor, to try it.")
def run(  # noqa: PLR0913 - one for each option
    *,
    root: Path,
    device: str,
    minutes: float,
    more_minutes: float,
    seconds: float,
    chosen: str,
    only: str,
    small: bool,
) -> None:
    """Compare ways of tuning, then train what ships."""
    settings = tuple(one for one in SETTINGS if only in one.name)
    plan = Plan(minutes, more_minutes, seconds, settings=settings, chosen=chosen)
    run_plan(root, device, plan.small() if small else plan)


if __name__ == "__main__":
    main()
