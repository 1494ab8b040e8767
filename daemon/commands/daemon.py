"""The commands on the daemon itself: run, start, stop, status, its web page and its icon."""

from datetime import UTC, datetime
from typing import Any

import click

from antifake.core.i18n import _, ngettext
from antifake.core.terminal import Commands, json_option, say

from . import connection
from .printing import echo_json, echo_pairs, local
from .wording import shown


@click.group(cls=Commands)
def daemon() -> None:
    """The background program: it watches folders and answers the browser, tray and commands."""


@daemon.command("run")
def run() -> None:
    """Run the daemon in this terminal until Ctrl-C."""
    from antifake.daemon import app
    from antifake.daemon.places import places

    app.run(places(), say)


@daemon.command("start")
@json_option
def start(as_json: bool) -> None:
    """Start the daemon in the background. Exits with 5 if one is already running."""
    from antifake.daemon import launcher
    from antifake.daemon.places import places

    found = launcher.start(places())
    if as_json:
        echo_json({"running": True, "pid": found.pid, "port": found.port})
        return
    say(_("antifake runs on {address}.", address=found.address))


@daemon.command("stop")
def stop() -> None:
    """Stop the daemon. Exits with 4 if none is running."""
    from antifake.daemon import launcher
    from antifake.daemon.places import places

    launcher.stop(places())
    say(_("antifake has stopped."))


@daemon.command("status")
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show the state of the daemon. Exits with 4 if it is not running."""
    from antifake.daemon import client, instance
    from antifake.daemon.places import places

    where = places()
    found, asked = instance.find(where), client.find(where)
    if found is None or asked is None:
        if as_json:
            echo_json({"running": False, "starting": instance.is_running(where)})
        else:
            say(
                _("antifake is just starting.")
                if instance.is_running(where)
                else instance.NOT_RUNNING
            )
        ctx.exit(client.DaemonError.exit_code)
    connection.will_read_answers_of(asked)
    state, folders = asked.state(), asked.watches()["folders"]
    uptime_s = (datetime.now(UTC) - datetime.fromisoformat(found.started)).total_seconds()
    about = {
        "running": True,
        "pid": found.pid,
        "port": found.port,
        "version": found.version,
        "started": found.started,
        "uptime_s": round(uptime_s),
        **state,
        "folders": folders,
    }
    if as_json:
        echo_json(about)
    else:
        _show(about)


def _show(about: dict[str, Any]) -> None:
    lines = [
        (_("state"), shown(about["mode"])),
        (_("paused until"), local(about["paused_until"])),
        (_("model"), _model(about["model"])),
        (_("prompt"), about["model"].get("prompt") or ""),
        (_("waiting"), _waiting(about["waiting"])),
        (_("left"), _left(about["left_s"])),
        (_("folders"), ngettext("{n} watched", "{n} watched", len(about["folders"]))),
        *((_("problem"), one["problem"]) for one in about["folders"] if one["problem"]),
        *((_("notice"), notice) for notice in about["notices"]),
        (
            _("running"),
            _(
                "for {span}, process {pid}, port {port}, version {version}",
                span=_span(about["uptime_s"]),
                pid=about["pid"],
                port=about["port"],
                version=about["version"],
            ),
        ),
    ]
    echo_pairs(lines, 14)


def _model(model: dict[str, Any]) -> str:
    phase = " ".join(filter(None, (shown(model["phase"]), model.get("model"))))
    if model.get("why"):
        return f"{phase}: {model['why']}"
    if model["phase"] == "loading" and model["ready_in_s"]:
        seconds = model["ready_in_s"]
        return _("{model}, about {seconds:.0f} s left", model=phase, seconds=seconds)
    return phase


def _waiting(waiting: dict[str, int]) -> str:
    found = {
        "person": ngettext("{n} for you", "{n} for you", waiting.get("person", 0)),
        "folder": ngettext("{n} of folders", "{n} of folders", waiting.get("folder", 0)),
        "batch": ngettext("{n} of a batch", "{n} of a batch", waiting.get("batch", 0)),
    }
    return ", ".join(words for kind, words in found.items() if waiting.get(kind)) or _("none")


def _left(seconds: float | None) -> str:
    from antifake.core.durations import span

    return "" if seconds is None else span(seconds)


def _span(seconds: int) -> str:
    minutes = max(0, seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return _("{days} d {hours} h", days=days, hours=hours)
    return _("{hours} h {minutes} min", hours=hours, minutes=minutes % 60)


@click.command("open")
@click.option(
    "--print", "only_print", is_flag=True, help=_("Print the link instead; it opens once.")
)
def open_history(only_print: bool) -> None:
    """Open the page in your browser. Starts antifake if it does not run."""
    import webbrowser

    url = connection.started_daemon().login()
    if only_print or not webbrowser.open(url):
        click.echo(url)
        say(_("This link opens once, within a minute."))


@click.command("tray")
def tray() -> None:
    """Show the icon beside the clock, and start the daemon if none is running."""
    from antifake.daemon import launcher
    from antifake.daemon import tray as icon
    from antifake.daemon.places import places

    where = places()

    def start_daemon() -> None:
        launcher.start(where)

    icon.run(where, say, start_daemon)
