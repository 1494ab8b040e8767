"""Checks on sample pictures that this machine computes the scores it should.

It runs when a model is installed, and again whenever torch, transformers, the device or the
precision has changed since the check last passed.
"""

import json
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from .detector import Detector
from .files import write_atomically
from .i18n import _
from .images import decode
from .samples import samples

TOLERANCE = 0.05
"""Allowed change of p_fake: between float32 and bfloat16 it is below 0.02."""


class Baseline(TypedDict):
    """The record of one model with one prompt."""

    scores: dict[str, float]
    passed: list[str]
    """The environments in which these scores were reached."""


@dataclass(frozen=True)
class SelfCheck:
    """Known scores and the scores of this machine, by sample."""

    expected: dict[str, float]
    found: dict[str, float]

    @property
    def drift(self) -> str | None:
        """Returns which scores moved too far, in words; None if none did."""
        moved = [
            f"{name} {self.expected[name]:.2f} -> {score:.2f}"
            for name, score in self.found.items()
            # Written this way round so that NaN counts as moved.
            if name in self.expected and not abs(score - self.expected[name]) <= TOLERANCE
        ]
        return ", ".join(moved) or None


def scores(detector: Detector) -> dict[str, float]:
    """Returns p_fake of every sample picture."""
    crops = {name: decode(data, detector.model.image_size).crop for name, data in samples().items()}
    verdicts = detector.judge(list(crops.values()))
    return {name: round(verdict.p_fake, 4) for name, verdict in zip(crops, verdicts, strict=True)}


def environment(detector: Detector) -> str:
    """Returns everything outside the model that a score could depend on."""
    libraries = (f"{name} {version(name)}" for name in ("torch", "transformers", "pillow"))
    return " · ".join([*libraries, platform.machine(), str(detector.model.precision)])


def check_if_changed(detector: Detector, record: Path) -> str | None:
    """Judges the samples if the environment is new. Returns a warning, or None.

    The record keeps the scores that the model had at first. A machine with other scores does not
    change it.
    """
    key = f"{detector.model.manifest.version} {detector.prompt_version}"
    now = environment(detector)
    book = _read(record)
    entry = book.get(key)
    if entry and now in entry["passed"]:
        return None
    found = scores(detector)
    entry = entry or Baseline(scores=found, passed=[])
    drift = SelfCheck(entry["scores"], found).drift
    if drift:
        return _(
            "This machine scores the sample pictures differently than before ({drift}). "
            "Something in it changed ({environment}); its verdicts may be wrong.",
            drift=drift,
            environment=now,
        )
    entry["passed"] = [*entry["passed"][-9:], now]
    with suppress(OSError):  # without the note the samples are judged again next time
        write_atomically(record, json.dumps(book | {key: entry}, indent=1).encode())
    return None


def trust(detector: Detector, expected: dict[str, float], record: Path) -> None:
    """Records the scores that were known when the model was built."""
    key = f"{detector.model.manifest.version} {detector.prompt_version}"
    entry = Baseline(scores=expected, passed=[environment(detector)])
    write_atomically(record, json.dumps(_read(record) | {key: entry}, indent=1).encode())


def _read(record: Path) -> dict[str, Baseline]:
    try:
        book = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return book if isinstance(book, dict) else {}
