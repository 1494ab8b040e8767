"""Browsers and programs that may ask the daemon: who they are, letting in, locking out."""

from datetime import UTC, datetime
from typing import Any

import click

from antifake.core.terminal import Commands, json_option, say

from .printing import echo_json, echo_table, local


@click.group(cls=Commands)
def pair() -> None:
    """Browsers and programs that are connected."""


@pair.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Who is connected, and who was."""
    found = _tokens()
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [one["id"], one["name"], " ".join(one["scopes"]), local(one["created"]),
             local(one["last_used"]), "revoked" if one["revoked"] else "connected"]
            for one in found
        ]  # fmt: skip
        echo_table(["ID", "NAME", "MAY", "SINCE", "LAST SEEN", "STATE"], rows)
    else:
        say("Nobody is connected: open the extension's page in your browser to connect it.")


def _tokens() -> list[dict[str, Any]]:
    from antifake.daemon.client import find
    from antifake.daemon.places import places

    asked = find(places())
    if asked is not None:
        return list(asked.get("/tokens")["tokens"])
    from antifake.daemon.store import tokens
    from antifake.daemon.web.api import serialize

    from .offline import open_log

    with open_log(places()) as store, store.reading() as session:
        return [serialize.token(one) for one in tokens.all_tokens(session)]


@pair.command("revoke")
@click.argument("token", type=int, metavar="ID")
def revoke(token: int) -> None:
    """Lock one out, at once."""
    from antifake.daemon.client import find
    from antifake.daemon.places import places

    asked = find(places())
    if asked is not None:
        asked.ask("DELETE", f"/tokens/{token}")
    else:
        from antifake.daemon.store import tokens

        from .offline import open_log

        with open_log(places()) as store, store.writing(durable=True) as session:
            tokens.revoke(session, token, datetime.now(UTC))
    say(f"{token} may ask nothing any more.")


@pair.command("pending")
@json_option
def pending(as_json: bool) -> None:
    """Who asks to be let in just now. Compare the code with the one that it shows."""
    from antifake.daemon.client import need
    from antifake.daemon.places import places

    found = need(places()).get("/pairings")["pairings"]
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [one["id"], one["code"], one["name"], one["origin"] or "", " ".join(one["scopes"])]
            for one in found
        ]
        echo_table(["ID", "CODE", "NAME", "FROM", "WANTS TO"], rows)
    else:
        say("Nobody asks.")


@pair.command("accept")
@click.argument("name", metavar="ID")
def accept(name: str) -> None:
    """Let one in."""
    _decide(name, "accept")
    say("It is connected.")


@pair.command("reject")
@click.argument("name", metavar="ID")
def reject(name: str) -> None:
    """Send one away."""
    _decide(name, "reject")
    say("It was sent away.")


def _decide(name: str, what: str) -> None:
    from urllib.parse import quote

    from antifake.daemon.client import need
    from antifake.daemon.places import places

    need(places()).post(f"/pairings/{quote(name, safe='')}/{what}")
