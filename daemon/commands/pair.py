"""The commands on browsers and programs that may use the daemon: list, accept, reject, revoke."""

from datetime import UTC, datetime
from typing import Any

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _
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
                _state(one),
            ]
            for one in found
        ]
        echo_table([_("ID"), _("NAME"), _("MAY"), _("SINCE"), _("LAST SEEN"), _("STATE")], rows)
    else:
        say(_("Nothing is connected: open the extension's page in your browser to connect it."))


def _state(token: dict[str, Any]) -> str:
    if token["revoked"]:
        return _("revoked")
    expires = token["expires"]
    is_over = expires and datetime.fromisoformat(expires) <= datetime.now(UTC)
    return _("expired") if is_over else _("connected")


@pair.command("revoke")
@click.argument("token", type=int, metavar="ID", required=False)
@click.option("--all", "is_all", is_flag=True, help=_("All of them, and every open page."))
def revoke(token: int | None, is_all: bool) -> None:
    """Revoke the access of one, or of all, at once."""
    if is_all == (token is not None):
        raise UsageError(_("Give the ID of one, as `antifake pair list` shows it, or --all."))
    with connected() as client:
        if token is None:
            client.revoke_all()
        else:
            client.revoke(token)
    if token is None:
        say(_("None of them has access any more."))
    else:
        say(_("{id} has no access any more.", id=token))


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
        echo_table([_("ID"), _("CODE"), _("NAME"), _("FROM"), _("WANTS TO")], rows)
    else:
        say(_("Nobody asks to connect."))


@pair.command("accept")
@click.argument("name", metavar="ID")
def accept(name: str) -> None:
    """Allow one to connect."""
    daemon().accept(name)
    say(_("It is connected."))


@pair.command("reject")
@click.argument("name", metavar="ID")
def reject(name: str) -> None:
    """Refuse one."""
    daemon().reject(name)
    say(_("It was refused."))
