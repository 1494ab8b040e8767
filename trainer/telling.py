"""What a run of training says to the person who waits for it."""

import time
from collections.abc import Callable
from pathlib import Path

from antifake.core.instructblip import InstructBlip

from .journal import Line
from .lessons import Lessons, Say, counts
from .tune import Report, Run

Show = Callable[[int, int], None]
"""Told how many steps are done, of how many."""


def what_begins(lessons: Lessons, model: InstructBlip) -> str:
    learn, validate = counts(lessons.learn), counts(lessons.validate)
    return (
        f"Learning from {learn['real']} real and {learn['fake']} AI-made pictures, validating on "
        f"{validate['real']} and {validate['fake']}; {model.manifest.version}, {model.precision}."
    )


def teller(total: int, say: Say, show: Show) -> Report:
    """A bar for the steps, a line for every epoch. `total` steps are the most there can be."""
    began_s, done = time.monotonic(), 0

    def report(run: Run, line: Line) -> None:
        nonlocal done
        done += 1
        show(line.step, total)
        if line.validation_loss != "":
            left_s = (time.monotonic() - began_s) / done * (total - line.step)
            best = " (best)" if run.best_step == line.step else ""
            say(
                f"epoch {line.epoch + 1}, step {line.step} of {total}: "
                f"loss {line.loss:.4f}, accuracy {line.accuracy:.0%}; validation "
                f"{line.validation_loss:.4f}, {line.validation_accuracy:.0%}{best}; "
                f"{left_s:.0f} s left at most"
            )

    return report


def what_came_out(run: Run, out: Path, *, is_prompt: bool) -> str:
    before, after = run.start, run.best
    if run.best_step == 0:
        text = (
            f"Nothing that was learned was better on the validation pictures than the start "
            f"(loss {before.loss:.4f}), so {out} holds the start."
        )
    else:
        text = (
            f"{out}: validation loss {before.loss:.4f} before, {after.loss:.4f} after; "
            f"accuracy {before.accuracy:.1%} before, {after.accuracy:.1%} after."
        )
    return f"{text}\n{how_to_use(out)}" if is_prompt and run.best_step else text


def how_to_use(out: Path) -> str:
    return f"Put it into use with\n  antifake prompt import {out}\n  antifake prompt use {out.stem}"
