"""`antifake train` from end to end: pictures, start, training loop, calibration, output file."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antifake.core.bundle import Bundle
from antifake.core.decoder import Decoder, jobs_beside_gpu, usable_cores
from antifake.core.detector import Detector
from antifake.core.errors import ModelError, UsageError
from antifake.core.files import write_atomically
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip, load
from antifake.core.precision import Precision
from antifake.core.prompt import SoftPrompt, load_prompt
from antifake.core.prompt_file import PromptMetadata
from antifake.core.promptbook import Promptbook

from .base_set.kept import BaseSet, base_set_for
from .base_set.rows import ReplaySettings, base_features, replayed
from .calibration import ENOUGH, calibrated, enough, quality
from .checkpoint import CheckpointFolder
from .dataset import SampleReader, Say, counts, load_dataset
from .distributed import ProcessGroup
from .examples import Example
from .features import FeatureCache, FeatureExtractor, vision_fingerprint
from .lora import save_lora, trainable_lora
from .objective import objective
from .presets import Settings
from .progress import ShowProgress, progress_report, result_summary, start_summary
from .replay import Replay
from .sampler import truth
from .trainable import Shape, Trainable, random_start, trainable_prompt, trained_prompt, warm_start
from .tune import Run, Task, TrainingLoop, tune


@dataclass(frozen=True)
class TrainingRequest:
    """What a person asked for."""

    out: Path
    learn: list[Example]
    validate: list[Example]
    """Empty: a part of `learn` is held back."""
    settings: Settings
    shape: Shape
    start: str | None = None
    """Name or file of the prompt to start from; None: the one in use."""
    lora: int = 0
    """Rank of LoRA; 0: a soft prompt is trained."""


@dataclass(frozen=True)
class Workspace:
    """The model, the prompts, and the cache of features if there is one."""

    bundle: Bundle
    book: Promptbook
    cache: FeatureCache | None
    precision: Precision | None = None
    """None: the best for the device."""
    base_sets: Callable[[Bundle], BaseSet | None] = base_set_for
    """Finds the pictures that are replayed."""


def train(
    request: TrainingRequest,
    workspace: Workspace,
    say: Say,
    show: ShowProgress,
    *,
    has_bar: bool = False,
) -> None:
    """Trains a soft prompt (or LoRA) and writes it to request.out. Raises AntifakeError.

    `has_bar`: what `show` moves is seen, and shows the time left.
    """
    process_group = ProcessGroup()
    say = say if process_group.is_first else _silently
    jobs = decoders_for(process_group)
    with Decoder(jobs, workspace.bundle.manifest.image_size) as decoder:
        model = load(workspace.bundle, workspace.precision, str(process_group.device))
        start = starting_prompt(request, workspace, model)
        settings, reader = request.settings, SampleReader(decoder, say)
        dataset = load_dataset(
            request.learn, request.validate, settings.seed, process_group, reader
        )
        task = Task(
            model=model,
            trainable=_trainable(request, model, start),
            objective=objective(settings.loss, model, start.about),
            extractor=_feature_extractor(workspace, model, start, decoder),
            learn=dataset.learn,
            validate=dataset.validate,
            settings=settings,
            threshold=start.about.threshold,
            replay=_replay(request, workspace, model, start, say),
        )
        checkpoints = CheckpointFolder(
            request.out, inputs_digest(request, task, start), say, writes=process_group.is_first
        )
        say(start_summary(dataset, model))
        report = progress_report(task.total_steps, say, show, has_bar=has_bar)
        run = tune(task, process_group, checkpoints, report)
        task.trainable.put(run.values)
        about = replace(start.about, made=provenance(task, run, str(start.about.made["id"])))
        if run.best_step:
            about = _recalibrated(about, TrainingLoop(task, process_group), say)
        if process_group.is_first:
            _write(request, task.trainable, run, replace(start, about=about))
            checkpoints.finish()
        process_group.wait()
    say(result_summary(run, request.out, is_prompt=not request.lora))


def decoders_for(process_group: ProcessGroup) -> int:
    """Returns how many processes decode for this one. A processor needs its cores for the model."""
    if process_group.device.type == "cpu":
        return 2
    return jobs_beside_gpu(max(1, usable_cores() // process_group.size))


def starting_prompt(
    request: TrainingRequest, workspace: Workspace, model: InstructBlip
) -> SoftPrompt:
    """Returns the prompt before the first step. Its `made` names the prompt that it starts from.

    Raises ModelError where there is none to start from.
    """
    used = _used_prompt(request, workspace)
    manifest = model.manifest
    if not request.settings.warm or request.lora:
        like = used.about if used else PromptMetadata()
        start, id_ = random_start(model, request.shape, like, request.settings.seed), "random"
    elif used is None:
        raise ModelError(
            _(
                "{model} has no prompt to start from: name one with --from, or start from nothing "
                "with --preset paper.",
                model=manifest.name,
            )
        )
    else:
        model.question(used)  # raises where it is another model's
        start, id_ = warm_start(used, request.shape), used.id
    about = replace(
        start.about, base=manifest.fingerprint, base_name=manifest.name, made={"id": id_}
    )
    return replace(start, about=about)


def _used_prompt(request: TrainingRequest, workspace: Workspace) -> SoftPrompt | None:
    """Returns the named prompt, or the one in use if there is one."""
    try:
        if request.start:
            return load_prompt(workspace.book.open(request.start, workspace.bundle).path)
        return load_prompt(workspace.book.active(workspace.bundle).file.path)
    except ModelError:
        if request.start:
            raise
        return None


def _trainable(request: TrainingRequest, model: InstructBlip, start: SoftPrompt) -> Trainable:
    if request.lora:
        return trainable_lora(model, request.lora, request.settings.seed)
    return trainable_prompt(model, start)


def _replay(
    request: TrainingRequest, workspace: Workspace, model: InstructBlip, start: SoftPrompt, say: Say
) -> Replay | None:
    """Returns pictures of the base set that are to keep the scores that they have at the start.

    A random start has none that are worth keeping, and LoRA starts from one.
    """
    settings = request.settings
    if not settings.replay or not settings.warm or request.lora:
        return None
    base = workspace.base_sets(workspace.bundle)
    if base is None:
        return None
    say(
        _(
            "Verdicts on {n:,} other pictures, which come with antifake, are to change as little "
            "as possible.",
            n=len(base.replay),
        )
    )
    rows = base_features(base.replay, model)
    much = ReplaySettings(batch=settings.replay, seed=settings.seed)
    return replayed(rows, rows.margins(model, start), start, much)


def _feature_extractor(
    workspace: Workspace, model: InstructBlip, start: SoftPrompt, decoder: Decoder
) -> FeatureExtractor:
    """Returns an extractor that normalises pictures as the prompt says."""
    depends_on = {
        "size": model.image_size,
        "mean": start.about.mean,
        "std": start.about.std,
        "tower": vision_fingerprint(workspace.bundle) if workspace.cache else "",
        "precision": str(model.precision),
    }
    pixels: Callable[..., Any] = Detector(model, start, "").pixels
    return FeatureExtractor(
        model, pixels, decoder, workspace.cache, json.dumps(depends_on, sort_keys=True)
    )


def inputs_digest(request: TrainingRequest, task: Task, start: SoftPrompt) -> str:
    """Returns the sha256 over everything that the result depends on."""
    parts: dict[str, Any] = {
        "settings": asdict(request.settings),
        "lora": request.lora,
        "start": start.to_bytes().hex(),
        "model": task.model.manifest.fingerprint,
        "precision": str(task.model.precision.dtype),
        "replayed": task.replayed,
        "pictures": [
            [(one.sha256, one.is_fake) for one in part] for part in (task.learn, task.validate)
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def provenance(task: Task, run: Run, start_id: str) -> dict[str, Any]:
    """Returns how the prompt was trained. Nothing in it identifies the pictures."""
    settings = task.settings
    return {
        "by": "antifake train",
        "preset": settings.preset,
        "start": start_id,
        "loss": settings.loss,
        "lr": settings.lr,
        "batch": settings.batch,
        "seed": settings.seed,
        "steps": run.step,
        "best_step": run.best_step,
        "validation_loss": [round(run.start.loss, 6), round(run.best.loss, 6)],
        "validation_accuracy": [round(run.start.accuracy, 6), round(run.best.accuracy, 6)],
        "precision": str(task.model.precision.dtype).removeprefix("torch."),
        "versions": {name: version(name) for name in ("antifake", "torch", "transformers")},
        "pictures": counts(task.learn),
        "validation": counts(task.validate),
        "replayed": task.replayed,
    }


def _recalibrated(about: PromptMetadata, loop: TrainingLoop, say: Say) -> PromptMetadata:
    """Returns threshold and temperature for the new prompt, if there are enough pictures."""
    pictures = loop.task.validate
    is_fake = truth(pictures).numpy()
    if not enough(is_fake):
        say(
            _(
                "It keeps the calibration of its start: a new one takes {n} real and {n} AI-made "
                "validation pictures. `antifake calibrate` makes one from more pictures.",
                n=ENOUGH,
            )
        )
        return about
    margins = loop.judge(pictures)[1].double().numpy()
    try:
        new = calibrated(about, margins, is_fake)
    except UsageError as error:
        say(_("It keeps the calibration of its start. {why}", why=error))
        return about
    found = counts(pictures) | quality(new, margins, is_fake).to_dict()
    return replace(new, made=new.made | {"calibration": found})


def _write(request: TrainingRequest, trainable: Trainable, run: Run, start: SoftPrompt) -> None:
    if not request.lora:
        trained_prompt(run.values, start).save(request.out)
        return
    save_lora(request.out, trainable, request.lora)
    metrics = json.dumps(asdict(start.about) | {"rank": request.lora}, indent=1, sort_keys=True)
    write_atomically(request.out / "metrics.json", metrics.encode())


def _silently(_sentence: str) -> None:
    """Says nothing: only the first of several processes speaks."""
