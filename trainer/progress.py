"""The messages of a training run."""

import time
from collections.abc import Callable
from pathlib import Path

from antifake.core.durations import span
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip

from .checkpoint import StepRecord
from .dataset import Dataset, Say, counts
from .tune import Report, Run

ShowProgress = Callable[[int, int], None]
"""Called with the number of finished steps and of all steps."""


def start_summary(dataset: Dataset, model: InstructBlip) -> str:
    """Returns what is said before the first step."""
    learn, validate = counts(dataset.learn), counts(dataset.validate)
    return _(
        "Learning from {real} real and {fake} AI-made pictures, validating on {val_real} real and "
        "{val_fake} AI-made ones; {model}, {precision}.",
        real=learn["real"],
        fake=learn["fake"],
        val_real=validate["real"],
        val_fake=validate["fake"],
        model=model.manifest.version,
        precision=model.precision,
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
            parts = [_epoch_line(record, total)]
            parts += [_("the best so far")] if run.best_step == record.step else []
            parts += [] if has_bar else [_("{time} left at most", time=span(left_s))]
            say("; ".join(parts))

    return report


def _epoch_line(record: StepRecord, total: int) -> str:
    return _(
        "epoch {epoch}, step {step} of {total}: loss {loss:.4f}, accuracy {accuracy:.0f} %; "
        "validation {val_loss:.4f}, {val_accuracy:.0f} %",
        epoch=record.epoch + 1,
        step=record.step,
        total=total,
        loss=record.loss,
        accuracy=100 * float(record.accuracy),
        val_loss=record.validation_loss,
        val_accuracy=100 * float(record.validation_accuracy),
    )


def result_summary(run: Run, out: Path, *, is_prompt: bool) -> str:
    """Returns what is said at the end."""
    before, after = run.start, run.best
    if run.best_step == 0:
        text = _(
            "Nothing that was learned was better on the validation pictures than the start "
            "(loss {loss:.4f}), so {file} holds the start.",
            loss=before.loss,
            file=out,
        )
    else:
        text = _(
            "{file}: validation loss {loss_before:.4f} before, {loss_after:.4f} after; accuracy "
            "{before:.1f} % before, {after:.1f} % after.",
            file=out,
            loss_before=before.loss,
            loss_after=after.loss,
            before=100 * before.accuracy,
            after=100 * after.accuracy,
        )
    return f"{text}\n{usage_hint(out)}" if is_prompt and run.best_step else text


def usage_hint(out: Path) -> str:
    """Returns the commands that put a prompt file into use."""
    lines = (
        _("Put it into use with"),
        f"antifake prompt import {out}",
        f"antifake prompt use {out.stem}",
    )
    return "\n  ".join(lines)
