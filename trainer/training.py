"""`antifake train` from end to end: pictures, start, the loop, calibration, the file."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from antifake.core.bundle import Bundle
from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.core.errors import ModelError, UsageError
from antifake.core.files import write_atomically
from antifake.core.instructblip import InstructBlip, load
from antifake.core.precision import Precision
from antifake.core.prompt import SoftPrompt, load_prompt
from antifake.core.prompt_file import PromptMetadata
from antifake.core.promptbook import Promptbook

from .batches import truth
from .calibrate import ENOUGH, calibrated, enough, quality
from .crew import Crew
from .examples import Example
from .features import Eyes, FeatureCache, vision_fingerprint
from .journal import Journal
from .learner import Learner, Shape, random_start, warm_start, word_learner, word_of
from .lessons import Look, Say, counts, gather
from .lora import lora_learner, save_lora
from .objective import objective
from .presets import Settings
from .telling import Show, teller, what_begins, what_came_out
from .tune import Loop, Run, Task, tune


@dataclass(frozen=True)
class Order:
    """What a person asked for."""

    out: Path
    learn: list[Example]
    validate: list[Example]
    """Empty: a part of `learn` is held back."""
    settings: Settings
    shape: Shape
    start: str | None = None
    """Prompt to start from, by name or file; None: the one in use."""
    lora: int = 0
    """Rank; 0: a word is learned."""


@dataclass(frozen=True)
class Place:
    """Where it is done: with which model and prompts, and where features are kept, if at all."""

    bundle: Bundle
    book: Promptbook
    cache: FeatureCache | None
    precision: Precision | None = None
    """None: the best of the device."""


def train(order: Order, place: Place, say: Say, show: Show) -> None:
    """Learn a word (or LoRA) and write it to order.out. Raises AntifakeError."""
    crew = Crew()
    say = say if crew.is_first else _silently
    with Decoder(jobs=2, size=place.bundle.manifest.image_size) as decoder:
        model = load(place.bundle, place.precision, str(crew.device))
        start = starting_word(order, place, model)
        settings, look = order.settings, Look(decoder, say)
        lessons = gather(order.learn, order.validate, settings.seed, crew, look)
        task = Task(
            model=model,
            learner=_learner(order, model, start),
            objective=objective(settings.loss, model, start.about),
            eyes=_eyes(place, model, start, decoder),
            learn=lessons.learn,
            validate=lessons.validate,
            settings=settings,
            threshold=start.about.threshold,
        )
        journal = Journal(order.out, digest_of(order, task, start), say, writes=crew.is_first)
        say(what_begins(lessons, model))
        run = tune(task, crew, journal, teller(task.total_steps, say, show))
        task.learner.put(run.values)
        about = replace(start.about, made=account(task, run, str(start.about.made["id"])))
        about = _recalibrated(about, Loop(task, crew), say) if run.best_step else about
        if crew.is_first:
            _write(order, task.learner, run, replace(start, about=about))
            journal.finish()
        crew.wait()
    say(what_came_out(run, order.out, is_prompt=not order.lora))


def starting_word(order: Order, place: Place, model: InstructBlip) -> SoftPrompt:
    """The word before the first step; `made` names the prompt it is from, if any."""
    used = _used_prompt(order, place)
    manifest = model.manifest
    if not order.settings.warm or order.lora:
        like = used.about if used else PromptMetadata()
        start, id_ = random_start(model, order.shape, like, order.settings.seed), "random"
    elif used is None:
        raise ModelError(
            f"{manifest.name} has no prompt to start from: name one with --from, or begin anew "
            f"with --preset paper."
        )
    else:
        model.question(used)  # raises where it is another model's
        start, id_ = warm_start(used, order.shape), used.id
    about = replace(
        start.about, base=manifest.fingerprint, base_name=manifest.name, made={"id": id_}
    )
    return replace(start, about=about)


def _used_prompt(order: Order, place: Place) -> SoftPrompt | None:
    """The prompt that was named, or the one in use, if there is one."""
    try:
        if order.start:
            return load_prompt(place.book.open(order.start, place.bundle).path)
        return load_prompt(place.book.active(place.bundle).file.path)
    except ModelError:
        if order.start:
            raise
        return None


def _learner(order: Order, model: InstructBlip, start: SoftPrompt) -> Learner:
    if order.lora:
        return lora_learner(model, order.lora, order.settings.seed)
    return word_learner(model, start)


def _eyes(place: Place, model: InstructBlip, start: SoftPrompt, decoder: Decoder) -> Eyes:
    """Pictures normalised as this prompt has it, seen by this tower in this precision."""
    depends_on = {
        "size": model.image_size,
        "mean": start.about.mean,
        "std": start.about.std,
        "tower": vision_fingerprint(place.bundle) if place.cache else "",
        "precision": str(model.precision),
    }
    pixels: Callable[..., Any] = Detector(model, start, "").pixels
    return Eyes(model, pixels, decoder, place.cache, json.dumps(depends_on, sort_keys=True))


def digest_of(order: Order, task: Task, start: SoftPrompt) -> str:
    """sha256 over all that the result depends on."""
    parts: dict[str, Any] = {
        "settings": asdict(order.settings),
        "lora": order.lora,
        "start": start.to_bytes().hex(),
        "model": task.model.manifest.fingerprint,
        "precision": str(task.model.precision.dtype),
        "pictures": [
            [(one.sha256, one.is_fake) for one in part] for part in (task.learn, task.validate)
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def account(task: Task, run: Run, start_id: str) -> dict[str, Any]:
    """How the word came to be; nothing in it tells whose pictures they were."""
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
    }


def _recalibrated(about: PromptMetadata, loop: Loop, say: Say) -> PromptMetadata:
    """Threshold and temperature for the new word, where there are pictures enough."""
    pictures = loop.task.validate
    is_fake = truth(pictures).numpy()
    if not enough(is_fake):
        say(
            f"Its calibration is that of its start: it takes {ENOUGH} real and {ENOUGH} AI-made "
            f"validation pictures for a new one. `antifake calibrate` makes one of more pictures."
        )
        return about
    margins = loop.judge(pictures)[1].double().numpy()
    try:
        new = calibrated(about, margins, is_fake)
    except UsageError as error:
        say(f"Its calibration is that of its start. {error}")
        return about
    found = counts(pictures) | quality(new, margins, is_fake).to_dict()
    return replace(new, made=new.made | {"calibration": found})


def _write(order: Order, learner: Learner, run: Run, start: SoftPrompt) -> None:
    if not order.lora:
        word_of(run.values, start).save(order.out)
        return
    save_lora(order.out, learner, order.lora)
    metrics = json.dumps(asdict(start.about) | {"rank": order.lora}, indent=1, sort_keys=True)
    write_atomically(order.out / "metrics.json", metrics.encode())


def _silently(_: str) -> None:
    """Only the first of several processes speaks."""
