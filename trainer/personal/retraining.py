"""A retraining from end to end: answers in, a report and perhaps a candidate out.

The candidate is a function of the set of answers, the model and the seed: it starts from the
shipped prompt, never from an earlier retraining, and nothing in its file tells when or where it
was made. So an answer that is taken back leaves nothing behind.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from antifake.core.bundle import Bundle
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip, load
from antifake.core.precision import Precision, choose
from antifake.core.prompt import SoftPrompt, load_prompt
from antifake.core.promptbook import Promptbook
from antifake.trainer.base_set.kept import BaseSet, base_set_for
from antifake.trainer.base_set.rows import BaseRows, base_rows

from . import gate
from .flips import answer_flips, judged_again
from .material import Material
from .needed import needed
from .pictures import Grouped, KeptFeatures, Progress, Seen, grouped, see
from .report import AnswerCounts, Flips, Report
from .request import Request
from .trials import Known, Trial, judged_before, label_of, trials

CANDIDATE = "candidate.safetensors"
REPORT = "report.json"


@dataclass(frozen=True)
class Tools:
    """What a retraining works with."""

    model: InstructBlip
    decoder: Decoder
    start: SoftPrompt
    current: SoftPrompt
    base: BaseSet | None


@dataclass
class Clock:
    """How long each stage took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


def retrain(
    request: Request,
    progress: Progress,
    base_sets: Callable[[Bundle], BaseSet | None] = base_set_for,
) -> Report:
    """Fits candidates, judges them, and writes report.json and the candidate if there is one.

    Raises AntifakeError.
    """
    clock = Clock()
    torch.set_num_threads(request.threads)
    with clock.stage("loading"):
        bundle, book = Bundle.open(request.bundle), Promptbook(request.prompts)
        start, current = (
            load_prompt(book.open(name, bundle).path) for name in (request.start, request.current)
        )
        model, base = load(bundle, precision_for(bundle)), base_sets(bundle)
    with Decoder(jobs=1, size=model.image_size, view="kept") as decoder:
        tools = Tools(model, decoder, start, current, base)
        report, candidate = run(request, tools, progress, clock)
    if candidate:
        candidate.save(request.out / CANDIDATE)
    write_atomically(request.out / REPORT, report.to_json())
    return report


def precision_for(bundle: Bundle) -> Precision | None:
    """Returns float32 where a small model runs on a processor; None: the best for the device.

    With bfloat16 a candidate's hash would depend on what was measured to be faster that day.
    """
    place = choose().device
    exact = bundle.manifest.is_small and place.type == "cpu"
    return Precision(place, torch.float32) if exact else None


@dataclass(frozen=True)
class Looked:
    """The answers after a look at their crops, and the base set as the model reads it."""

    seen: list[Seen]
    groups: Grouped
    kept: KeptFeatures
    replay: BaseRows | None
    gate: BaseRows | None


def run(
    request: Request, tools: Tools, progress: Progress, clock: Clock
) -> tuple[Report, SoftPrompt | None]:
    """Returns the report and the candidate. Writes nothing. Raises AntifakeError."""
    with clock.stage("features"):
        looked = look(request, tools, progress)
    known = Known.of(tools.current)
    taken_back = known.taken_back(
        {one.sha256: label_of(is_fake=one.is_fake) for one in request.answers}
    )
    report = Report(
        outcome="nothing",
        reason=too_few(looked) or "",
        chosen=None,
        base=tools.model.manifest.fingerprint,
        start=tools.start.id,
        current=tools.current.id,
        answers=count(request, looked),
        candidates=[],
        flips=Flips(),
        budget=None,
        taken_back=taken_back,
        seconds=clock.seconds,
    )
    if report.reason:
        return report, None
    model = tools.model
    with (
        clock.stage("candidates"),
        model.reading_keys_and_values(),
        model.skipping_redundant_work(),
    ):
        material = material_of(request, tools, looked)
        before = judged_before(material, tools.start if taken_back else tools.current, known)
        tried = list(trials(material, before, request.budget, progress))
        best = next((one for one in tried if one.judged.passes), None) or max(
            tried, key=lambda one: one.judged.own.difference
        )
        prompt = signed(best, material)
        mended, broken = answer_flips(material, tools.current, prompt)
    with clock.stage("verdicts"):
        detectors = Detector(tools.model, tools.current, ""), Detector(tools.model, prompt, "")
        changed, judged = judged_again(
            request.judge, detectors, tools.decoder, looked.kept, progress
        )
    return replace(
        report,
        outcome="promote" if best.judged.passes else "candidate",
        reason=best.judged.reason,
        chosen=best.candidate.kind,
        candidates=[one.judged for one in tried],
        flips=Flips(mended, broken, changed, judged),
        budget=best.budget,
    ), prompt


def look(request: Request, tools: Tools, progress: Progress) -> Looked:
    """Reads the crops, computes what the model sees of them, and groups them."""
    kept, base, model = KeptFeatures(), tools.base, tools.model
    shown = Detector(model, tools.start, "")
    seen = see(request.answers, shown, tools.decoder, kept, progress)
    return Looked(
        seen=seen,
        groups=grouped(seen, by_content=base is not None),
        kept=kept,
        replay=base_rows(base.replay, model) if base else None,
        gate=base_rows(base.gate, model) if base else None,
    )


def material_of(request: Request, tools: Tools, looked: Looked) -> Material:
    """Returns what candidates are fitted to, inside reading_keys_and_values."""
    clear = looked.groups.is_clear
    return Material(
        model=tools.model,
        start=tools.start,
        samples=[one.sample for one, is_clear in zip(looked.seen, clear, strict=True) if is_clear],
        groups=looked.groups.groups[clear],
        kept=looked.kept,
        replay=looked.replay,
        held=looked.gate,
        seed=request.seed,
    )


def count(request: Request, looked: Looked) -> AnswerCounts:
    """Returns what there was to learn from."""
    fakes, groups = sum(one.is_fake for one in request.answers), looked.groups
    clear = groups.groups[groups.is_clear]
    n_groups = len(np.unique(clear))
    return AnswerCounts(
        real=len(request.answers) - fakes,
        fake=fakes,
        groups=n_groups,
        contradictions=groups.contradictions,
        counted_once=len(clear) - n_groups,
        unreadable=len(request.answers) - len(looked.seen),
    )


def too_few(looked: Looked) -> str | None:
    """Returns what is missing, in a sentence; None: there is enough to learn from."""
    is_fake = np.array([one.sample.is_fake for one in looked.seen], bool)
    groups, is_clear = looked.groups.groups, looked.groups.is_clear
    real, fake = (len(np.unique(groups[is_clear & (is_fake == label)])) for label in (False, True))
    missing = needed({"real": real, "fake": fake})
    return missing and _("{missing} Copies of one picture count once.", missing=missing)


def signed(best: Trial, material: Material) -> SoftPrompt:
    """Returns the candidate's prompt, which says what it was made of. No dates, paths or names."""
    found, manifest = best.candidate, material.model.manifest
    rows = [
        [one.sha256, label_of(is_fake=one.is_fake), round(float(right), 4), round(float(p), 4)]
        for one, right, p in zip(
            material.samples, found.held_out.right, found.held_out.p_fake, strict=True
        )
    ]
    scores = {"own": gate.rounded(best.judged.own)}
    if best.judged.base:
        scores["base"] = gate.rounded(best.judged.base)
    made: dict[str, Any] = {
        "by": "antifake retrain",
        "kind": found.kind,
        "start": material.start.id,
        "base": manifest.fingerprint,
        "seed": material.seed,
        "answers": rows,
        "scores": scores,
    }
    about = replace(
        found.prompt.about, base=manifest.fingerprint, base_name=manifest.name, made=made
    )
    return replace(found.prompt, about=about)
