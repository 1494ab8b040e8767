"""`python -m antifake.daemon` is the command `antifake`, where no script was installed."""

from .cli import main

main(prog_name="antifake")
