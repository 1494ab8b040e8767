"""The commands on browsers and programs that may use the daemon: list, accept, reject, revoke."""

import click

from antifake.core.terminal import Commands, json_option, say

from .connection import connected, daemon
from .printing import echo_json, echo_table, local


@click.group(cls=Commands)
def pair() -> None:
    """Browsers and programs that are connected to antifake."""


@pair.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List what is connected, and what was."""
    with connected() as client:
        found = client.tokens()
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [
                one["id"],
                one["name"],
                " ".join(one["scopes"]),
                local(one["created"]),
                local(one["last_used"]),
                "revoked" if one["revoked"] else "connected",
            ]
            for one in found
        ]
        echo_table(["ID", "NAME", "MAY", "SINCE", "LAST SEEN", "STATE"], rows)
    else:
        say("Nothing is connected: open the extension's page in your browser to connect it.")


@pair.command("revoke")
@click.argument("token", type=int, metavar="ID")
def revoke(token: int) -> None:
    """Revoke the access of one, at once."""
    with connected() as client:
        client.revoke(token)
    say(f"{token} has no access any more.")


@pair.command("pending")
@json_option
def pending(as_json: bool) -> None:
    """List what asks to connect now. Compare the code with the one that it shows."""
    found = daemon().pairings()
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [one["id"], one["code"], one["name"], one["origin"] or "", " ".join(one["scopes"])]
            for one in found
        ]
        echo_table(["ID", "CODE", "NAME", "FROM", "WANTS TO"], rows)
    else:
        say("Nobody asks to connect.")


@pair.command("accept")
@click.argument("name", metavar="ID")
def accept(name: str) -> None:
    """Allow one to connect."""
    daemon().accept(name)
    say("It is connected.")


@pair.command("reject")
@click.argument("name", metavar="ID")
def reject(name: str) -> None:
    """Refuse one."""
    daemon().reject(name)
    say("It was refused.")
