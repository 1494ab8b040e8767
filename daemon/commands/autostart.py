"""Starting with the user's session."""

from typing import TYPE_CHECKING

import click

from antifake.core.i18n import _
from antifake.core.terminal import Commands, json_option, say

from .printing import echo_json, echo_table

if TYPE_CHECKING:
    from antifake.daemon.autostart import Status


@click.group(cls=Commands)
def autostart() -> None:
    """Start antifake with your session."""


@autostart.command("on")
@json_option
def on(as_json: bool) -> None:
    """Start antifake at each login."""
    _note(is_on=True)
    _show(keep_in_step(is_on=True), as_json)


@autostart.command("off")
@json_option
def off(as_json: bool) -> None:
    """Stop starting it at login. A running daemon keeps running."""
    _note(is_on=False)
    _show(keep_in_step(is_on=False), as_json)


@autostart.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show which autostart entries exist."""
    from antifake.daemon import autostart as mechanism

    _show(mechanism.status(mechanism.Session.of_this_process()), as_json)


def keep_in_step(*, is_on: bool) -> "list[Status]":
    """Install or remove the autostart entries. Does not write the setting."""
    from antifake.daemon import autostart as mechanism

    session = mechanism.Session.of_this_process()
    return mechanism.turn_on(session) if is_on else mechanism.turn_off(session)


def keep_menu_in_step(*, is_on: bool) -> None:
    """Put antifake into the desktop's menu, or take it out. Only Linux has such a menu."""
    from antifake.daemon import autostart as mechanism

    session = mechanism.Session.of_this_process()
    if session.has_menu:
        (session.menu.on if is_on else session.menu.off)()


def _note(*, is_on: bool) -> None:
    from antifake.daemon.config import load, put
    from antifake.daemon.places import places

    path = places().config
    if load(path).login.start != is_on:
        put(path, "login.start", is_on)


def _show(found: "list[Status]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        echo_json([asdict(one) for one in found])
        return
    rows = [[one.name, _("on") if one.is_on else _("off"), one.way, one.where] for one in found]
    echo_table([_("PROGRAM"), _("STATE"), _("WAY"), _("WHERE")], rows)
    for one in found:
        if one.problem:
            say(f"{one.name}: {one.problem}", err="yellow")
