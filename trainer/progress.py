"""The messages of a training run."""

import time
from collections.abc import Callable
from pathlib import Path

from antifake.core.durations import span
from antifake.core.instructblip import InstructBlip

from .checkpoint import StepRecord
from .dataset import Dataset, Say, counts
from .tune import Report, Run

ShowProgress = Callable[[int, int], None]
"""Called with the number of finished steps and of all steps."""


def start_summary(dataset: Dataset, model: InstructBlip) -> str:
    """Returns what is said before the first step."""
    learn, validate = counts(dataset.learn), counts(dataset.validate)
    return (
        f"Learning from {learn['real']} real and {learn['fake']} AI-made pictures, validating on "
        f"{validate['real']} and {validate['fake']}; {model.manifest.version}, {model.precision}."
    )


def progress_report(total: int, say: Say, show: ShowProgress, *, has_bar: bool = False) -> Report:
    """Returns a report that moves a bar with each step and says a line for each epoch.

    `total` is the largest possible number of steps. The lines say how long it will take at most,
    unless `has_bar`: then the bar does.
    """
    began_s, done = time.monotonic(), 0

    def report(run: Run, record: StepRecord) -> None:
        nonlocal done
        done += 1
        show(record.step, total)
        if record.validation_loss != "":
            left_s = (time.monotonic() - began_s) / done * (total - record.step)
            left = "" if has_bar else f"; {span(left_s)} left at most"
            best = " (best)" if run.best_step == record.step else ""
            say(
                f"epoch {record.epoch + 1}, step {record.step} of {total}: "
                f"loss {record.loss:.4f}, accuracy {record.accuracy:.0%}; validation "
                f"{record.validation_loss:.4f}, {record.validation_accuracy:.0%}{best}{left}"
            )

    return report


def result_summary(run: Run, out: Path, *, is_prompt: bool) -> str:
    """Returns what is said at the end."""
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
    return f"{text}\n{usage_hint(out)}" if is_prompt and run.best_step else text


def usage_hint(out: Path) -> str:
    """Returns the commands that put a prompt file into use."""
    return f"Put it into use with\n  antifake prompt import {out}\n  antifake prompt use {out.stem}"
