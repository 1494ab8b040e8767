"""What a run leaves on the way: where it was, and a table of how it went.

    OUT.partial/checkpoint.pt   the newest state, all or nothing
    OUT.partial/log.csv         a line a step, and one more where it was validated

The same command goes on from there. At the end the folder is gone and the table lies beside OUT.
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

from antifake.core.errors import UsageError
from antifake.core.files import write_atomically

CHECKPOINT_S = 60.0
"""Within an epoch; each epoch's end is kept anyway."""


@dataclass(frozen=True)
class Line:
    """One step of the log. Empty: not known at this step."""

    step: int
    epoch: int
    loss: float | str = ""
    accuracy: float | str = ""
    lr: float | str = ""
    gradient_norm: float | str = ""
    validation_loss: float | str = ""
    validation_accuracy: float | str = ""


class Journal:
    """The folder of one unfinished run. Only the first process writes."""

    def __init__(self, out: Path, inputs: str, say: Callable[[str], None], *, writes: bool) -> None:
        """`inputs` is a digest of all that the result depends on."""
        self.folder = out.with_name(f"{out.name}.partial")
        self._log_at_end = out.with_name(f"{out.stem}.log.csv")
        self._inputs, self._say, self._writes = inputs, say, writes
        self._written_s = time.monotonic()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def _log(self) -> Path:
        return self.folder / "log.csv"

    def load(self) -> dict[str, Any] | None:
        """The state to go on from; None: there is none that is whole.

        Raises UsageError where it is that of a run with other inputs.
        """
        try:
            state = torch.load(io.BytesIO(self._checkpoint.read_bytes()), weights_only=True)
            inputs = state["inputs"]
        except FileNotFoundError:
            return None
        except Exception:  # noqa: BLE001 - a damaged file raises whatever it likes
            self._say(f"{self._checkpoint} is damaged, so the run begins anew.")
            return None
        if inputs != self._inputs:
            raise UsageError(
                f"{self.folder} is an unfinished run with other pictures, settings or another "
                f"model. Remove it, or choose another name to write to."
            )
        self._say(f"Going on with the unfinished run in {self.folder}.")
        return dict(state)

    def keep(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        if self._writes:
            data = io.BytesIO()
            torch.save(state | {"inputs": self._inputs}, data)
            write_atomically(self._checkpoint, data.getvalue())
            self._written_s = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._written_s > CHECKPOINT_S

    def begin(self, step: int) -> None:
        """Start the log, or cut it to what was before `step`."""
        if not self._writes:
            return
        lines = []
        if step and self._log.is_file():
            with self._log.open(newline="") as file:
                lines = [row for row in csv.DictReader(file) if _is_before(row, step)]
        text = io.StringIO()
        table = csv.DictWriter(text, [field.name for field in fields(Line)])
        table.writeheader()
        table.writerows(lines)
        write_atomically(self._log, text.getvalue().encode())

    def write(self, line: Line) -> None:
        if self._writes:
            with self._log.open("a", newline="") as file:
                csv.writer(file).writerow(asdict(line).values())

    def finish(self) -> None:
        """The result is safe: keep the table, drop the rest."""
        if self._writes:
            self._log.replace(self._log_at_end)
            shutil.rmtree(self.folder)


def _is_before(row: dict[str, Any], step: int) -> bool:
    """Whether a line is of a step up to `step`; a torn last line is not."""
    return None not in row.values() and str(row["step"]).isdigit() and int(row["step"]) <= step
