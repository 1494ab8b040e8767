"""The stage that judges what was decoded, in as many processes as there are detectors.

Torch is imported where a model is loaded, as the process of the command loads none.
"""

import socket
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from antifake.core.bundle import Bundle, Manifest
from antifake.core.catalog import user_home
from antifake.core.errors import ModelError
from antifake.core.i18n import _
from antifake.core.pipeline import result_of, verdicts_of

from .decoding import from_row
from .output import ROWS, row_of

if TYPE_CHECKING:
    from antifake.core.detector import Detector


@dataclass(frozen=True)
class Expected:
    """The model and the prompt that every worker must judge with."""

    antifake: str
    """The version of the program."""
    name: str
    """Of the model: its name in a worker's home, or a folder that all machines share."""
    manifest: Manifest
    """What its bundle says on the machine where the scan was started."""
    prompt: bytes
    """The prompt file itself, of some 20 kB: it need not be on every machine."""
    prompt_version: str

    def bundle(self) -> Bundle:
        """Returns the model on this machine. Raises ModelError if it is missing or another."""
        here = socket.gethostname()
        if (found := version("antifake")) != self.antifake:
            raise ModelError(
                _(
                    "{host} has antifake {found}, and this scan is by {expected}.",
                    host=here,
                    found=found,
                    expected=self.antifake,
                )
            )
        try:
            bundle = user_home().bundle(self.name)
        except ModelError as error:
            raise ModelError(f"{here}: {error}") from error
        if bundle.manifest.files != self.manifest.files:
            raise ModelError(
                _(
                    "{host} has another model named {name}, {found} in {dtype}: give all machines "
                    "the same.",
                    host=here,
                    name=self.name,
                    found=bundle.manifest.version,
                    dtype=bundle.manifest.dtype,
                )
            )
        return bundle


class Judge:
    """Judges what was decoded, with a model that is loaded once."""

    def __init__(self, expected: Expected, threads: int | None) -> None:
        """`threads` are torch's; None leaves them as they are. Raises ModelError."""
        self._detector = _loaded(expected, threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Table of DECODED -> table of ROWS."""
        began, detector, rows = time.perf_counter(), self._detector, table.to_pylist()
        items = [from_row(row, detector.model.image_size) for row in rows]
        verdicts = verdicts_of(detector, [item.decoded for item in items])
        ms = 1000 * (time.perf_counter() - began) / len(rows)
        judged = [
            row_of(row["id"], result_of(detector, item, found, row["ms"] + ms))
            for row, item, found in zip(rows, items, verdicts, strict=True)
        ]
        return pa.Table.from_pylist(judged, ROWS)


def _loaded(expected: Expected, threads: int | None) -> "Detector":
    """Loads the model with the prompt. Raises ModelError."""
    import torch

    from antifake.core.detector import Detector
    from antifake.core.dtype_benchmark import DtypeBenchmark
    from antifake.core.instructblip import load
    from antifake.core.prompt import load_prompt

    bundle = expected.bundle()
    if threads:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "prompt.safetensors")
        file.write_bytes(expected.prompt)
        soft = load_prompt(file)
    model = load(bundle, benchmark=DtypeBenchmark.at(user_home().root))
    return Detector(model, soft, expected.prompt_version)
