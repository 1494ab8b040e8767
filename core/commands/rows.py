"""`antifake rows`: the results of a scan with `--engine ray`, line by line."""

import json

import click


@click.command()
@click.argument("output", metavar="OUT")
def rows(output: str) -> None:
    """Print the results of `antifake scan --engine ray`, one JSON object a line."""
    from antifake.core.bulk.environment import require_extra

    require_extra()
    from antifake.core.bulk.output import Output
    from antifake.core.bulk.stores import place_of

    for row in Output(place_of(output)).results():
        click.echo(json.dumps(row))
