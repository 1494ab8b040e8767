"""A history with answers and trainings, as the Learning page shows them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from conftest import tiny_prompt

from antifake.core.bundle import PROMPT, file_entry, seal
from antifake.core.catalog import Home
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook
from antifake.daemon.learning.running import Run
from antifake.daemon.store import crops, trainings
from antifake.daemon.store.checks import Check
from antifake.daemon.store.tables import TrainingState
from antifake.daemon.store.trainings import Training
from antifake.daemon.worker.judge import lossless

from .pages import NOW, World, ago, scene

BETTER = (
    "On your own pictures it is right more often: 88 % instead of 71 %. That is hardly chance: its "
    "percentages are closer to your answers, too. On other pictures its verdicts are "
    "not worse: right on 97 % of real ones (before: 97 %) and 95 % of AI-made ones (before: 96 %), "
    "where “cannot tell” counts half."
)
TOO_FEW_TO_TELL = (
    "On your own pictures it would be right more often (78 % instead of 71 %), but that may be "
    "chance: 14 real and 12 AI-made pictures are too few to tell."
)
MODEL = "tiny@bb19fdc3"


def home_as_shipped(root: Path, source: Path) -> Home:
    """Installs the tiny model with a prompt of its own, as `mini` has one."""
    home = Home(root)
    bundle = prepare(Source(source), home.models / "tiny", dtype="fp32")
    tiny_prompt(1).save(bundle.folder / PROMPT)
    files = {**bundle.manifest.files, PROMPT: file_entry(bundle.folder / PROMPT)}
    seal(bundle.folder, replace(bundle.manifest, files=files))
    home.use("tiny")
    return home


def answer(world: World, n_real: int, n_fake: int) -> list[Check]:
    """Adds pictures that the user has said something of, half of them against the model."""
    found = []
    for number in range(n_real + n_fake):
        label = "real" if number < n_real else "fake"
        judged = label if number % 2 else ("fake" if label == "real" else "real")
        check = world.add(
            f"answered-{number:03d}.jpg",
            at=ago(hours=number + 1),
            thumb=scene(number),
            label=judged,
            p_fake=0.83 if judged == "fake" else 0.12,
        )
        world.service.correct([check.id], label, "page")  # type: ignore[arg-type]
        found.append(check)
    return found


def keep_crops(world: World, checks: Sequence[Check], n_bytes: int = 104_000) -> None:
    """Keeps a copy of each of these pictures."""
    files = world.service.learning._place.crop_files
    for check in checks:
        assert check.sha256 is not None
        files.write(check.sha256, b"\0" * n_bytes)
        with world.store.writing() as session:
            crops.note(session, check.sha256, n_bytes, 224, NOW)


def keep_real_crops(world: World, checks: Sequence[Check]) -> None:
    """Keeps what the model would have seen of each of these pictures."""
    files = world.service.learning._place.crop_files
    size = world.service.learning._place.versions.bundle().manifest.image_size
    for number, check in enumerate(checks):
        assert check.sha256 is not None
        webp = lossless(np.asarray(scene(number, size, size)))
        files.write(check.sha256, webp)
        with world.store.writing() as session:
            crops.note(session, check.sha256, len(webp), size, NOW)


def rates(before: tuple[float, float], after: tuple[float, float], n: tuple[int, int]) -> Any:
    """Returns shares of pictures that are judged correctly, as a report has them."""
    return {
        "real_before": before[0],
        "real_after": after[0],
        "fake_before": before[1],
        "fake_after": after[1],
        "n_real": n[0],
        "n_fake": n[1],
    }


def report(
    outcome: str, reason: str, checks: Sequence[Check], others: Sequence[Check] = ()
) -> dict[str, Any]:
    """Returns a trainer's report: of the checks the first is broken, the others are mended."""
    own = rates((0.64, 0.78), (0.86, 0.9), (14, 12))
    base = rates((0.972, 0.961), (0.971, 0.954), (600, 600))
    tried = [
        {"kind": "bias", "passes": False, "reason": TOO_FEW_TO_TELL, "own": own, "base": base},
        {
            "kind": "calibration",
            "passes": outcome == "promote",
            "reason": reason,
            "own": own,
            "base": base,
        },
    ]
    names = [one.sha256 for one in checks]
    return {
        "schema": 1,
        "outcome": outcome,
        "reason": reason,
        "chosen": None if outcome == "nothing" else "calibration",
        "candidates": tried,
        "words": {"contradictions": [[*names[:2], names[-1]]]},
        "flips": {
            "broken": names[:1],
            "mended": names[1:],
            "judged": len(checks) + len(others),
            "verdicts": [_flip(one) for one in (*checks, *others)],
        },
        "budget": None,
    }


def _flip(check: Check) -> dict[str, Any]:
    other = "real" if check.label == "fake" else "fake"
    return {
        "id": check.id,
        "before": {"label": check.label, "p_fake": check.p_fake},
        "after": {"label": other, "p_fake": 0.7 if other == "fake" else 0.3},
    }


def trained(
    world: World,
    state: TrainingState,
    reason: str,
    report: dict[str, Any] | None = None,
    candidate: str | None = None,
    *,
    promoted: bool = False,
    at: datetime = NOW,
) -> Training:
    """Records a training, with its prompt in the promptbook, in use if it was promoted."""
    versions = world.service.learning._place.versions
    bundle = versions.bundle()
    if candidate is not None:
        made = {"kind": "calibration", "scores": (report or {"candidates": [{}]})["candidates"][-1]}
        labels = ["real"] * 14 + ["fake"] * 12
        made["answers"] = [[f"{n:064x}", label, 1.0] for n, label in enumerate(labels)]
        prompt = tiny_prompt(7 + len(versions.files(bundle)), made=made, threshold=0.25)
        Promptbook(world.service.learning._place.versions.home.prompts).add(
            candidate, prompt.to_bytes()
        )
        if promoted:
            versions.use(candidate)
    with world.store.writing() as session:
        begun = trainings.begin(session, "nightly", bundle.manifest.version, "0" * 64, at)
        if report is not None:
            trainings.reported(session, begun.id, report, candidate)
        return trainings.finish(session, begun.id, state, reason, at, promoted=promoted)


def begin_training(world: World) -> Run:
    """Puts a training into the state of running. Nothing runs: the test tells of it."""
    learning = world.service.learning
    with world.store.writing() as session:
        begun = trainings.begin(session, "page", MODEL, "0" * 64, NOW)
    learning._run = Run(begun, learning._place, learning._callbacks)
    return learning._run
