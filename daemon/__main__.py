"""Runs the command `antifake` as `python -m antifake.daemon`, without an installed script."""

from .cli import main

main(prog_name="antifake")
