"""`antifake retrain` and `antifake learning`: learning from the user's corrections."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antifake.core.errors import UsageError
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
from .printing import echo_json, echo_table, local

if TYPE_CHECKING:
    from antifake.daemon.client import LearningClient

_BINARY = getattr(os, "O_BINARY", 0)
_LABELS = {"real": "real", "fake": "AI-made", "unsure": "cannot tell", None: "?"}


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
@click.option("--wait", is_flag=True, help="Show the progress, and the result at the end.")
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
        say(f"Training {found['id']} has begun: see `antifake learning`.")
    if found["state"] not in ("queued", "running", "done"):
        sys.exit(EXIT_SOME_FAILED)


def _waited(asked: "LearningClient", number: int) -> dict[str, Any]:
    """Shows the progress of a training until it is over. Ctrl-C cancels it."""
    shown = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown
        draw(done, total)
        if stage != shown and not sys.stderr.isatty():
            say(f"{STAGES.get(stage, stage)} ...")
        shown = stage

    with progress_bar("Learning") as draw:
        try:
            return asked.wait(number, show)
        except KeyboardInterrupt:
            asked.cancel(number)
            say("The training was cancelled; nothing has changed.")
            sys.exit(EXIT_INTERRUPTED)


def _say_result(found: dict[str, Any]) -> None:
    if found["reason"]:
        say(found["reason"])
    if found["promoted"]:
        say(f"{found['candidate']} answers from now on; `antifake learning rollback` undoes that.")
    elif found["candidate"]:
        say(
            f"{found['candidate']} is kept and does not answer; "
            f"`antifake learning promote {found['id']}` uses it all the same."
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
    for key, value in _status(found):
        if value:
            click.echo(f"{key:<12}{value}")


def _status(found: dict[str, Any]) -> list[tuple[str, str]]:
    from antifake.core.results import printable

    running, last, version = found["running"], found["last"], found["version"]
    held, kept, budget = found["held"], found["kept"], found["budget"]
    limit = f"at most 1 in {budget['one_in']} of your real pictures" if budget["one_in"] else ""
    lost = found["without_picture"]
    return [
        (
            "you said",
            f"{found['words_real']} real, {found['words_fake']} AI-made; "
            f"{found['new_words']} new since the last training",
        ),
        ("", f"{lost} of them cannot be learned from: their pictures are gone" if lost else ""),
        (
            "answers",
            version["version"] + (" (pinned)" if version["is_pinned"] else "")
            if version
            else "no model",
        ),
        ("running", _progress(running) if running else ""),
        (
            "last",
            printable(f"{local(last['at'])} {last['state']}: {last['reason'] or ''}")
            if last
            else "never",
        ),
        ("next", local(found["next_run"]) or "only by hand: `antifake retrain`"),
        ("not now", printable(found["why_not"] or "")),
        ("skipped", printable(found["skipped"] or "")),
        ("crops", f"{_crops(kept)} kept with your corrections, {_crops(held)} held for a while"),
        ("budget", printable(" ".join(filter(None, (limit, budget["reason"]))))),
    ]


def _progress(running: dict[str, Any]) -> str:
    stage = STAGES.get(running["stage"], running["stage"])
    of = f" ({running['done']} of {running['total']})" if running["total"] else ""
    return f"{stage}{of}{', waiting' if running['is_suspended'] else ''}"


def _crops(stats: dict[str, int]) -> str:
    return f"{stats['n']} ({stats['bytes'] / 1e6:.1f} MB)"


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
            [one["id"], local(one["at"]), one["state"], one["candidate"], one["reason"]]
            for one in found
        ]
        echo_table(["ID", "WHEN", "STATE", "VERSION", "RESULT"], rows)
    else:
        say("Nothing has been learned yet: `antifake retrain`.")


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
            one["kind"],
            one["check"]["id"],
            _LABELS[one["before"]],
            _LABELS[one["after"]],
            one["check"]["name"],
        ]
        for one in found
    ]
    if rows:
        echo_table(["WHAT", "ID", "BEFORE", "AFTER", "PICTURE"], rows)
    else:
        say("No verdict changes.")


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
            [number, one["id"], _LABELS[one["label"]], one["name"]]
            for number, group in enumerate(found, 1)
            for one in group
        ]
        echo_table(["GROUP", "ID", "YOU SAID", "PICTURE"], rows)
        say("Say which is right with `antifake label ID real` or `fake`.")
    else:
        say("Nothing that you said contradicts itself.")


@learning.command("cancel")
def cancel() -> None:
    """End the training that is running; nothing has changed then."""
    asked = _learning()
    running = asked.state()["running"]
    if running is None:
        raise UsageError("No training is running.")
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
        say(f"Against the advice: {found['reason']}", err="yellow")
    say(f"{found['candidate']} answers from now on; `antifake learning rollback` undoes that.")


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
            one["made"],
            f"{one['words_real']} real, {one['words_fake']} AI-made",
        ]
        for one in found
    ]
    echo_table(["VERSION", "ID", "SINCE", "MADE", "LEARNED FROM"], rows)


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
@click.option("--off", is_flag=True, help="Let trainings replace the version again.")
@json_option
def pin(name: str | None, off: bool, as_json: bool) -> None:
    """Keep a version whatever is learned."""
    if (name is None) != off:
        raise UsageError("Say which version, or --off.")
    with _asking() as asked:
        _say_used(asked.pin(name), as_json=as_json)


def _say_used(version: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json(version)
    else:
        say(f"{version['version']} answers{', pinned' if version['is_pinned'] else ''}.")


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
        [what, *(str(found[side][key]) for side in ("a", "b"))]
        for what, key in (
            ("version", "version"),
            ("made", "made"),
            ("from real", "words_real"),
            ("from AI-made", "words_fake"),
        )
    ]
    rows += [
        [key, f"{found[f'{key}_a']:.3f}", f"{found[f'{key}_b']:.3f}"]
        for key in ("threshold", "temperature")
    ]
    rows.append(["only its own corrections", str(found["only_a"]), str(found["only_b"])])
    echo_table(["", a, b], rows)
    if found["contrary"]:
        say(f"On {found['contrary']} pictures you gave another answer between the two.")


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
        say(f"At most 1 in {found['one_in']} of your real pictures may be called AI-made.")
    else:
        say("There is no limit to false alarms.")
    if found["reason"]:
        say(found["reason"])


@learning.command("review")
@click.option("--skip", multiple=True, metavar="ID", help="Do not ask about it for 30 days.")
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
        echo_table(["ID", "VERDICT", "WHY", "PICTURE"], rows)
        say("Say it with `antifake label ID real` or `fake`.")
    else:
        say("There is nothing to review today.")


@learning.command("crops")
@click.option("--delete", multiple=True, metavar="SHA256", help="Delete this one.")
@click.option("--delete-all", is_flag=True, help="Delete all of them.")
@json_option
def crops(delete: tuple[str, ...], delete_all: bool, as_json: bool) -> None:
    """List or delete the crops that are kept of pictures, as the model saw them."""
    with _asking() as asked:
        if delete or delete_all:
            gone = asked.delete_crops(None if delete_all else delete)
            what = "1 crop was" if gone == 1 else f"{gone} crops were"
            say(f"{what} deleted. What you said of the pictures stays.")
        found = list(asked.crops())
    if as_json:
        echo_json(found)
    elif found:
        rows = [
            [
                one["sha256"],
                one["bytes"],
                local(one["at"]),
                "kept" if one["is_kept"] else "held",
                one["check"],
            ]
            for one in found
        ]
        echo_table(["SHA256", "BYTES", "SINCE", "", "CHECK"], rows)
    else:
        say("No crops are kept.")


@learning.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--crops", "with_crops", is_flag=True, help="With the crops of your pictures.")
def export(file: Path, with_crops: bool) -> None:
    """Write what you said, the versions and the budget into a new FILE, for another computer.

    It contains no pictures unless you ask for --crops.
    """
    with _asking() as asked:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        except FileExistsError:
            raise UsageError(f"{file} exists already; nothing was overwritten.") from None
        try:
            with os.fdopen(handle, "wb") as out:
                asked.export(out, with_crops=with_crops)
        except BaseException:
            with suppress(OSError):
                file.unlink()
            raise
    say(f"{file} is written. It tells what you said of your pictures: keep it to yourself.")


@learning.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--preview", is_flag=True, help="Only say what would be taken in.")
@click.option("--use/--no-use", default=None, help="Whether the version of the pack answers then.")
@json_option
def import_(file: Path, preview: bool, use: bool | None, as_json: bool) -> None:
    """Take in what `learning export` wrote, beside what is here already."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    with _asking() as asked:
        data = file.read_bytes()
        found = asked.preview(data) if preview else asked.import_(data, use=use)
    if as_json:
        echo_json(found)
        return
    for sentence in found["sentences"]:
        say(sentence)
