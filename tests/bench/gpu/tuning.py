"""Measures how fast a word is tuned, with and without kept features of the vision tower."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from antifake.core.decoder import Decoder
from antifake.core.detector import Detector
from antifake.trainer.checkpoint import CheckpointFolder, StepRecord
from antifake.trainer.distributed import ProcessGroup
from antifake.trainer.examples import Example
from antifake.trainer.features import FLIPPED, PLAIN, FeatureCache, FeatureExtractor
from antifake.trainer.objective import PairLoss
from antifake.trainer.presets import CORRECTIONS
from antifake.trainer.samples import Sample, read_samples
from antifake.trainer.trainable import trainable_prompt
from antifake.trainer.tune import Run, Score, Task, TrainingLoop, tune
from bench.measure import seconds

from .clock import say, timed
from .files import photographs
from .floors import Products, only
from .setting import Bench
from .table import Aim, Line

SETTINGS = replace(CORRECTIONS, epochs=10, patience=0)
AFTER_TOWER = ("qformer", "language_projection", "language_model")
"""The parts that are still computed if features are kept."""
MANY = 1000
AIM_S = 60.0
"""For that many pictures on an H100."""


def tuning(bench: Bench) -> None:
    """Measures steps with kept features, beside their products and beside steps without them."""
    detector, batch = bench.detector(), SETTINGS.batch
    with TemporaryDirectory() as name, decoding(bench) as decoder:
        folder = Path(name)
        pictures = surveyed(bench, folder, decoder, bench.scale.pictures)
        keeping = task_of(detector, decoder, pictures, FeatureCache(folder / "kept"))
        anew = task_of(detector, decoder, pictures, None)
        look_s = fill(keeping.extractor, pictures)
        kept = Products(only(bench.products, AFTER_TOWER), batch, bench.precision, teaching=True)
        tower = Products(only(bench.products, ["vision_model"]), batch, bench.precision)
        say("tuning, with kept features and without")
        kept_s, anew_s, kept_floor_s, tower_floor_s = timed(
            bench.place, Steps(keeping), Steps(anew), kept, tower, for_s=5 * bench.scale.for_s
        )
    floor, anew_floor_s = "its products, forth and back", kept_floor_s + tower_floor_s
    step = f"tuning, a step of {batch}"
    bench.table.ms(f"{step}, features kept", kept_s, floor, kept_floor_s, pictures=batch)
    bench.table.ms(f"{step}, not kept", anew_s, floor, anew_floor_s, pictures=batch)
    bench.table.ms("  not kept beside kept", anew_s, "kept", kept_s)
    bench.table.ms("  a picture's first look", look_s, "tower's products", tower_floor_s / batch)
    extrapolated(bench, kept_s / batch, look_s)


def extrapolated(bench: Bench, kept_s: float, look_s: float) -> None:
    """Each picture is encoded plain and flipped. The other eight epochs use the kept features."""
    whole_s = MANY * (SETTINGS.epochs * kept_s + 2 * look_s)
    what = f"{MANY} pictures x {SETTINGS.epochs} epochs, extrapolated"
    add_seconds(bench, what, whole_s, "the aim, without validation")


def long_tuning(bench: Bench) -> None:
    """Measures a real run with validation, after the survey of the pictures."""
    detector, count, held = bench.detector(), bench.scale.long, bench.scale.long // 10
    with TemporaryDirectory() as name, decoding(bench) as decoder:
        folder = Path(name)
        pictures = surveyed(bench, folder, decoder, count + held)
        task = task_of(detector, decoder, pictures, FeatureCache(folder / "kept"), held)
        checkpoints = CheckpointFolder(folder / "word.safetensors", "", say, writes=True)
        say(f"tuning for {task.total_steps} steps")
        took_s = seconds(lambda: tune(task, ProcessGroup(), checkpoints, tell))
        shutil.rmtree(checkpoints.folder)
    what = f"{count} pictures x {SETTINGS.epochs} epochs, really"
    add_seconds(bench, what, took_s, f"the aim for {MANY}, with validation on {held}")


def tell(_: Run, step: StepRecord) -> None:
    if step.validation_loss != "":
        say(f"epoch {step.epoch + 1}: validation loss {step.validation_loss:.4f}")


def add_seconds(bench: Bench, what: str, took_s: float, beside: str) -> None:
    beside = f"{beside}: {AIM_S:.0f} s"
    bench.table.add(Line(what, f"{took_s:.1f} s", took_s / AIM_S, beside, Aim(at_most=1.0)))


def decoding(bench: Bench) -> Decoder:
    return Decoder(bench.scale.jobs, bench.image_size)


def surveyed(bench: Bench, folder: Path, decoder: Decoder, count: int) -> list[Sample]:
    """Returns pictures as `antifake train` takes them. Every other one is labelled AI-made."""
    paths = photographs(folder, count, bench.scale.side)
    examples = [Example(path, is_fake=number % 2 == 1) for number, path in enumerate(paths)]
    say("surveying them")
    return read_samples(examples, decoder)[0]


def task_of(
    detector: Detector,
    decoder: Decoder,
    pictures: list[Sample],
    cache: FeatureCache | None,
    held: int = 0,
) -> Task:
    """Returns a run that learns from all pictures except the last `held`."""
    model, about = detector.model, detector.prompt.about
    parted = len(pictures) - held
    return Task(
        model=model,
        trainable=trainable_prompt(model, detector.prompt),
        objective=PairLoss(model, about),
        extractor=FeatureExtractor(model, detector.pixels, decoder, cache, "random weights"),
        learn=pictures[:parted],
        validate=pictures[parted:],
        settings=SETTINGS,
        threshold=about.threshold,
    )


def fill(extractor: FeatureExtractor, pictures: list[Sample]) -> float:
    """Reads all pictures in both views with SampleReader. Returns the seconds of one pass."""
    say(f"looking at {len(pictures)} pictures, plain and flipped")

    def look() -> None:
        for view in (PLAIN, FLIPPED):
            for start in range(0, len(pictures), SETTINGS.batch):
                some = pictures[start : start + SETTINGS.batch]
                extractor.features(some, [view] * len(some))

    return seconds(look) / (2 * len(pictures))


class Steps:
    """A run that does one more step each time."""

    def __init__(self, task: Task) -> None:
        self._loop = TrainingLoop(task, ProcessGroup())
        nothing = Score(loss=float("inf"), accuracy=0.0)
        self._run = Run(start=nothing, best=nothing, values={})

    def __call__(self) -> None:
        self._loop.step(self._run)
