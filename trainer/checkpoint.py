"""The files of an unfinished run.

    OUT.partial/checkpoint.pt   the newest state, written atomically
    OUT.partial/log.csv         a row for each step, with the validation at the end of an epoch

The same command resumes from there. At the end the folder is removed, and the log is kept as
OUT.log.csv.
"""

import csv
import io
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from antifake.core.errors import ModelError, UsageError
from antifake.core.files import read_capped, refuse_zip_bomb, write_atomically
from antifake.core.i18n import _
from antifake.core.prompt_file import MAX_PROMPT_BYTES

CHECKPOINT_S = 60.0
"""Between checkpoints within an epoch. The end of each epoch is always saved."""

MOST_COPIES = 8
"""Of the trained tensors in a checkpoint. There are four: now, at best, and two averages."""


@dataclass(frozen=True)
class StepRecord:
    """One row of the log. Empty: not known at this step."""

    step: int
    epoch: int
    loss: float | str = ""
    accuracy: float | str = ""
    lr: float | str = ""
    gradient_norm: float | str = ""
    validation_loss: float | str = ""
    validation_accuracy: float | str = ""


class CheckpointFolder:
    """The folder of one unfinished run. Only the first process writes to it."""

    def __init__(self, out: Path, inputs: str, say: Callable[[str], None], *, writes: bool) -> None:
        """`inputs` is a digest of everything that the result depends on."""
        self.folder = out.with_name(f"{out.name}.partial")
        self._log_at_end = out.with_name(f"{out.stem}.log.csv")
        self._inputs, self._say, self._writes = inputs, say, writes
        self._written_s = time.monotonic()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def _log_file(self) -> Path:
        return self.folder / "log.csv"

    def load(self, tensors_bytes: int) -> dict[str, Any] | None:
        """Returns the state to resume from, or None if there is none or it is damaged.

        `tensors_bytes`: of what is trained, which limits the file. Raises UsageError where it
        belongs to a run with other inputs, and ModelError where it is too large.
        """
        if not self._checkpoint.exists():
            return None
        most = MOST_COPIES * tensors_bytes + 4 * MAX_PROMPT_BYTES
        data = read_capped(self._checkpoint, most, _("checkpoint"))
        try:
            refuse_zip_bomb(data, most, self._checkpoint.name)
            state = torch.load(io.BytesIO(data), weights_only=True)
            inputs = state["inputs"]
        except ModelError:
            raise
        except Exception:  # noqa: BLE001 - a damaged file may raise anything
            self._say(
                _("{file} is damaged, so the run starts from the beginning.", file=self._checkpoint)
            )
            return None
        if inputs != self._inputs:
            raise UsageError(
                _(
                    "{folder} is an unfinished run with other pictures, settings or another "
                    "model. Remove it, or choose another name to write to.",
                    folder=self.folder,
                )
            )
        self._say(_("Resuming the unfinished run in {folder}.", folder=self.folder))
        return dict(state)

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the checkpoint."""
        if self._writes:
            data = io.BytesIO()
            torch.save(state | {"inputs": self._inputs}, data)
            write_atomically(self._checkpoint, data.getvalue())
            self._written_s = time.monotonic()

    def is_due(self) -> bool:
        """Returns whether the last checkpoint is old enough to be replaced."""
        return time.monotonic() - self._written_s > CHECKPOINT_S

    def start_log(self, step: int) -> None:
        """Starts the log, or cuts the rows after `step` from an earlier one."""
        if not self._writes:
            return
        rows = []
        if step and self._log_file.is_file():
            with self._log_file.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if _is_before(row, step)]
        text = io.StringIO()
        table = csv.DictWriter(text, [field.name for field in fields(StepRecord)])
        table.writeheader()
        table.writerows(rows)
        write_atomically(self._log_file, text.getvalue().encode())

    def log(self, record: StepRecord) -> None:
        """Appends a row to the log."""
        if self._writes:
            with self._log_file.open("a", newline="") as file:
                csv.writer(file).writerow(asdict(record).values())

    def finish(self) -> None:
        """Keeps the log and removes the rest. Call it once the result is written."""
        if self._writes:
            self._log_file.replace(self._log_at_end)
            shutil.rmtree(self.folder)


def _is_before(row: dict[str, Any], step: int) -> bool:
    """Returns whether a row is of a step up to `step`. A torn last row is not."""
    return None not in row.values() and str(row["step"]).isdigit() and int(row["step"]) <= step
