"""`antifake demo`: judge the sample photographs."""

import click

from antifake.core.errors import ModelError
from antifake.core.terminal import say

from .check import check


@click.command()
def demo() -> None:
    """Judge the photographs and drawings that antifake brings along, and say where to go next."""
    from antifake.core.samples import photographs

    paths = photographs()
    if not paths:
        raise ModelError("scikit-learn, whose two photographs are judged here, is not installed.")
    context = click.get_current_context()
    context.invoke(check, paths=tuple(map(str, paths)), verbose=True)
    say(
        "\nBoth are photographs that scikit-learn ships. Next:\n"
        "  antifake check PICTURE...      your own pictures\n"
        "  antifake scan -r ~/Pictures    a whole folder\n"
        "  antifake --help                everything else"
    )
