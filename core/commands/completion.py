"""`antifake completion`: the script that completes the command line in a shell."""

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete antifake's words; add it to the shell's start file."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(_("{shell} cannot be completed.", shell=shell))
    click.echo(kind(root, {}, "antifake", "_ANTIFAKE_COMPLETE").source())
