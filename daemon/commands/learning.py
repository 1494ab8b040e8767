"""`antifake retrain` and `antifake learning`: learning from the user's corrections."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
from antifake.core.i18n import _, ngettext
from antifake.core.terminal import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    Commands,
    json_option,
    progress_bar,
    say,
)
from antifake.trainer.personal.stages import STAGES

from .connection import connected, daemon
from .printing import echo_json, echo_pairs, echo_table, local
from .wording import shown

if TYPE_CHECKING:
    from antifake.daemon.client import LearningClient

_BINARY = getattr(os, "O_BINARY", 0)


def _learning() -> "LearningClient":
    """Returns the calls to the running daemon. Raises DaemonError if there is none."""
    from antifake.daemon.client import LearningClient

    return LearningClient(daemon())


@contextmanager
def _asking() -> "Iterator[LearningClient]":
    """Yields the calls to the daemon, or to the same app in this process where none runs."""
    from antifake.daemon.client import LearningClient

    with connected() as client:
        yield LearningClient(client)


@click.command()
@click.option("--wait", is_flag=True, help=_("Show the progress, and the result at the end."))
@json_option
def retrain(wait: bool, as_json: bool) -> None:
    """Learn from your corrections now.

    The result answers only if it is better on your own pictures and no worse elsewhere.
    """
    asked = _learning()
    found = asked.start("cli")
    if wait:
        found = _waited(asked, found["id"])
    if as_json:
        echo_json(found)
    elif wait:
        _say_result(found)
    else:
        say(_("Training {id} has begun: see `antifake learning`.", id=found["id"]))
    if found["state"] not in ("queued", "running", "done"):
        sys.exit(EXIT_SOME_FAILED)


def _waited(asked: "LearningClient", number: int) -> dict[str, Any]:
    """Shows the progress of a training until it is over. Ctrl-C cancels it."""
    last = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal last
        draw(done, total)
        if stage != last and not sys.stderr.isatty():
            say(f"{STAGES.get(stage, stage)} ...")
        last = stage

    with progress_bar(_("Learning")) as draw:
        try:
            return asked.wait(number, show)
        except KeyboardInterrupt:
            asked.cancel(number)
            say(_("The training was cancelled; nothing has changed."))
            sys.exit(EXIT_INTERRUPTED)


def _say_result(found: dict[str, Any]) -> None:
    if found["reason"]:
        say(found["reason"])
    if found["promoted"]:
        say(
            _(
                "{candidate} answers from now on; `antifake learning rollback` undoes that.",
                candidate=found["candidate"],
            )
        )
    elif found["candidate"]:
        say(
            _(
                "{candidate} is kept and does not answer; `antifake learning promote {id}` uses "
                "it all the same.",
                candidate=found["candidate"],
                id=found["id"],
            )
        )


@click.group(cls=Commands, invoke_without_command=True)
@json_option
@click.pass_context
def learning(ctx: click.Context, as_json: bool) -> None:
    """What antifake learns from your corrections."""
    if ctx.invoked_subcommand is not None:
        return
    with _asking() as asked:
        found = asked.state()
    if as_json:
        echo_json(found)
        return
    echo_pairs(_status(found), 12)


def _status(found: dict[str, Any]) -> list[tuple[str, str]]:
    running, last = found["running"], found["last"]
    return [
        (
            _("you said"),
            _(
                "{real} real, {fake} AI-made; {new} new since the last training",
                real=found["words_real"],
                fake=found["words_fake"],
                new=found["new_words"],
            ),
        ),
        ("", _lost(found["without_picture"])),
        (_("answers"), _answering(found["version"])),
        (_("running"), _progress(running) if running else ""),
        (
            _("last"),
            f"{local(last['at'])} {shown(last['state'])}: {last['reason'] or ''}"
            if last
            else _("never"),
        ),
        (_("next"), local(found["next_run"]) or _("only by hand: `antifake retrain`")),
        (_("not now"), found["why_not"] or ""),
        (_("skipped"), found["skipped"] or ""),
        (
            _("crops"),
            _(
                "{kept} kept with your corrections, {held} held for a while",
                kept=_crops(found["kept"]),
                held=_crops(found["held"]),
            ),
        ),
        (_("budget"), _budget(found["budget"])),
    ]


def _lost(n: int) -> str:
    if not n:
        return ""
    return ngettext(
        "{n} of them cannot be learned from: its picture is gone",
        "{n} of them cannot be learned from: their pictures are gone",
        n,
    )


def _answering(version: dict[str, Any] | None) -> str:
    if version is None:
        return _("no model")
    name = str(version["version"])
    return _("{version} (pinned)", version=name) if version["is_pinned"] else name


def _budget(budget: dict[str, Any]) -> str:
    limit = ""
    if budget["one_in"]:
        limit = _("at most 1 in {n} of your real pictures", n=budget["one_in"])
    return " ".join(filter(None, (limit, budget["reason"])))


def _progress(running: dict[str, Any]) -> str:
    told = STAGES.get(running["stage"], running["stage"])
    if running["total"]:
        done, total = running["done"], running["total"]
        told = _("{stage} ({done} of {total})", stage=told, done=done, total=total)
    return _("{stage}, waiting", stage=told) if running["is_suspended"] else told


def _crops(stats: dict[str, int]) -> str:
    return _("{n} ({megabytes:.1f} MB)", n=stats["n"], megabytes=stats["bytes"] / 1e6)


@learning.command("trainings")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@json_option
def trainings(limit: int, as_json: bool) -> None:
    """List the last trainings and what came of them."""
    with _asking() as asked:
        found = asked.trainings(limit)
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [one["id"], local(one["at"]), shown(one["state"]), one["candidate"], one["reason"]]
            for one in found
        ]
        echo_table([_("ID"), _("WHEN"), _("STATE"), _("VERSION"), _("RESULT")], rows)
    else:
        say(_("Nothing has been learned yet: `antifake retrain`."))


@learning.command("flips")
@click.argument("training", type=int, metavar="TRAINING")
@json_option
def flips(training: int, as_json: bool) -> None:
    """List the pictures that a training's version judges otherwise."""
    with _asking() as asked:
        found = asked.flips(training)
    if as_json:
        echo_json(found)
        return
    rows = [
        [
            shown(one["kind"]),
            one["check"]["id"],
            shown(one["before"]),
            shown(one["after"]),
            one["check"]["name"],
        ]
        for one in found
    ]
    if rows:
        echo_table([_("WHAT"), _("ID"), _("BEFORE"), _("AFTER"), _("PICTURE")], rows)
    else:
        say(_("No verdict changes."))


@learning.command("contradictions")
@click.argument("training", type=int, metavar="TRAINING")
@json_option
def contradictions(training: int, as_json: bool) -> None:
    """List pictures that look the same and of which you said different things.

    A training leaves them out until you say which is right.
    """
    with _asking() as asked:
        found = asked.contradictions(training)
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [number, one["id"], shown(one["label"]), one["name"]]
            for number, group in enumerate(found, 1)
            for one in group
        ]
        echo_table([_("GROUP"), _("ID"), _("YOU SAID"), _("PICTURE")], rows)
        say(_("Say which is right with `antifake label ID real` or `fake`."))
    else:
        say(_("Nothing that you said contradicts itself."))


@learning.command("cancel")
def cancel() -> None:
    """End the training that is running; nothing has changed then."""
    asked = _learning()
    running = asked.state()["running"]
    if running is None:
        raise UsageError(_("No training is running."))
    say(str(asked.cancel(running["id"])["reason"]))


@learning.command("promote")
@click.argument("training", type=int, metavar="TRAINING")
@json_option
def promote(training: int, as_json: bool) -> None:
    """Let a training's version answer, whatever was advised."""
    with _asking() as asked:
        found = asked.promote(training)
    if as_json:
        echo_json(found)
        return
    if found["outcome"] == "candidate" and found["reason"]:
        say(_("Against the advice: {reason}", reason=found["reason"]), err="yellow")
    say(
        _(
            "{candidate} answers from now on; `antifake learning rollback` undoes that.",
            candidate=found["candidate"],
        )
    )


@learning.command("versions")
@json_option
def versions(as_json: bool) -> None:
    """List the versions that can answer; * answers, ! is pinned."""
    with _asking() as asked:
        found = asked.versions()
    if as_json:
        echo_json(found)
        return
    rows = [
        [
            f"{'*' if one['is_active'] else ' '}{'!' if one['is_pinned'] else ' '} {one['name']}",
            one["version"].rpartition("@")[2],
            local(one["at"]),
            shown(one["made"]),
            _("{real} real, {fake} AI-made", real=one["words_real"], fake=one["words_fake"]),
        ]
        for one in found
    ]
    echo_table([_("VERSION"), _("ID"), _("SINCE"), _("MADE"), _("LEARNED FROM")], rows)


@learning.command("use")
@click.argument("name")
@json_option
def use(name: str, as_json: bool) -> None:
    """Let a version answer from now on."""
    with _asking() as asked:
        _say_used(asked.use(name), as_json=as_json)


@learning.command("rollback")
@json_option
def rollback(as_json: bool) -> None:
    """Take the last change of the version back."""
    with _asking() as asked:
        _say_used(asked.roll_back(), as_json=as_json)


@learning.command("pin")
@click.argument("name", required=False)
@click.option("--off", is_flag=True, help=_("Let trainings replace the version again."))
@json_option
def pin(name: str | None, off: bool, as_json: bool) -> None:
    """Keep a version whatever is learned."""
    if (name is None) != off:
        raise UsageError(_("Say which version, or --off."))
    with _asking() as asked:
        _say_used(asked.pin(name), as_json=as_json)


def _say_used(version: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json(version)
    else:
        name, is_pinned = version["version"], version["is_pinned"]
        if is_pinned:
            say(_("{version} answers, pinned.", version=name))
        else:
            say(_("{version} answers.", version=name))


@learning.command("compare")
@click.argument("a")
@click.argument("b")
@json_option
def compare(a: str, b: str, as_json: bool) -> None:
    """Show how two versions differ."""
    with _asking() as asked:
        found = asked.compare(a, b)
    if as_json:
        echo_json(found)
        return
    rows = [
        [what, *(shown(str(found[side][key])) for side in ("a", "b"))]
        for what, key in (
            (_("version"), "version"),
            (_("made"), "made"),
            (_("from real"), "words_real"),
            (_("from AI-made"), "words_fake"),
        )
    ]
    rows += [
        [what, f"{found[f'{key}_a']:.3f}", f"{found[f'{key}_b']:.3f}"]
        for what, key in ((_("threshold"), "threshold"), (_("temperature"), "temperature"))
    ]
    rows.append([_("only its own corrections"), str(found["only_a"]), str(found["only_b"])])
    echo_table(["", a, b], rows)
    if found["contrary"]:
        say(
            ngettext(
                "For {n} picture you gave another answer between the two.",
                "For {n} pictures you gave another answer between the two.",
                found["contrary"],
            )
        )


@learning.command("budget")
@click.argument("one_in", type=click.IntRange(0, 10_000), required=False, metavar="[N]")
@json_option
def budget(one_in: int | None, as_json: bool) -> None:
    """Call at most 1 in N of your real pictures AI-made; 0 ends the limit.

    It counts from the next training on. Without N, show it.
    """
    with _asking() as asked:
        if one_in is not None:
            asked.set_budget(one_in)
        found = asked.state()["budget"]
    if as_json:
        echo_json(found)
        return
    if found["one_in"]:
        say(
            _(
                "At most 1 in {n} of your real pictures may be called AI-made.",
                n=found["one_in"],
            )
        )
    else:
        say(_("There is no limit to false alarms."))
    if found["reason"]:
        say(found["reason"])


@learning.command("review")
@click.option("--skip", multiple=True, metavar="ID", help=_("Do not ask about it for 30 days."))
@json_option
def review(skip: tuple[str, ...], as_json: bool) -> None:
    """List today's pictures that your correction would help most with."""
    with _asking() as asked:
        if skip:
            asked.skip(skip)
        found = asked.review()
    if as_json:
        echo_json(found)
    elif found["items"]:
        rows = [
            [
                one["check"]["id"],
                one["check"]["word"],
                one["why"],
                one["check"]["path"] or one["check"]["name"] or one["check"]["page"],
            ]
            for one in found["items"]
        ]
        echo_table([_("ID"), _("VERDICT"), _("WHY"), _("PICTURE")], rows)
        say(_("Say what they are with `antifake label ID real` or `fake`."))
    else:
        say(_("There is nothing to review today."))


@learning.command("crops")
@click.option("--delete", multiple=True, metavar="SHA256", help=_("Delete this one."))
@click.option("--delete-all", is_flag=True, help=_("Delete all of them."))
@json_option
def crops(delete: tuple[str, ...], delete_all: bool, as_json: bool) -> None:
    """List or delete the crops that are kept of pictures, as the model saw them."""
    with _asking() as asked:
        if delete or delete_all:
            gone = asked.delete_crops(None if delete_all else delete)
            say(
                ngettext(
                    "{n} crop was deleted. What you said of the picture stays.",
                    "{n} crops were deleted. What you said of the pictures stays.",
                    gone,
                )
            )
        found = list(asked.crops())
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [
                one["sha256"],
                one["bytes"],
                local(one["at"]),
                _("kept") if one["is_kept"] else _("held"),
                one["check"],
            ]
            for one in found
        ]
        echo_table(["SHA256", _("BYTES"), _("SINCE"), "", _("CHECK")], rows)
    else:
        say(_("No crops are kept."))


@learning.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--crops", "with_crops", is_flag=True, help=_("With the crops of your pictures."))
def export(file: Path, with_crops: bool) -> None:
    """Write what you said, the versions and the budget into a new FILE, for another computer.

    It contains no pictures unless you ask for --crops.
    """
    with _asking() as asked:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        except FileExistsError:
            raise UsageError(
                _("{file} exists already; nothing was overwritten.", file=file)
            ) from None
        try:
            with os.fdopen(handle, "wb") as out:
                asked.export(out, with_crops=with_crops)
        except BaseException:
            with suppress(OSError):
                file.unlink()
            raise
    say(
        _(
            "{file} is written. It tells what you said of your pictures: keep it to yourself.",
            file=file,
        )
    )


@learning.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--preview", is_flag=True, help=_("Only say what would be taken in."))
@click.option(
    "--use/--no-use", default=None, help=_("Whether the version of the pack answers then.")
)
@json_option
def import_(file: Path, preview: bool, use: bool | None, as_json: bool) -> None:
    """Take in what `learning export` wrote, beside what is here already."""
    if not file.is_file():
        raise UsageError(_("There is no file {file}.", file=file))
    with _asking() as asked:
        data = file.read_bytes()
        found = asked.preview(data) if preview else asked.import_(data, use=use)
    if as_json:
        echo_json(found)
        return
    for sentence in found["sentences"]:
        say(sentence)
