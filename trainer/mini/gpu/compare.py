"""Ways to tune the tower, compared on left-out owners. Every result is written at once."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antifake.trainer.mini.sampling import sampling_weights
from antifake.trainer.mini.teacher import Machine, fit_machine
from antifake.trainer.mini.unseen import Estimate, Judged, Split, estimate, splits

from .pictures import Pictures, centre
from .probe import Probe
from .tower import Tower, TowerWeights
from .tuning import Loop, Setting, free, frozen_features, margins, warmed_probe

Say = Callable[[str], None]
SHARES = (0.5, 1.0)
"""Of the way from old to new weights that are judged."""

SETTINGS = (
    Setting("lora r16, 10 layers", 10, "lora"),
    Setting("lora r16, 8 layers", 8, "lora"),
    Setting("lora r16, 10 layers, aligned", 10, "lora", aligned=0.25),
    Setting("lora r16, 12 layers", 12, "lora"),
    Setting("lora r16, 8 layers, aligned", 8, "lora", aligned=0.25),
    Setting("last 4 of 10 layers, aligned", 10, "last", lr=3e-5, aligned=0.25),
    Setting("whole tower, 10 layers, aligned", 10, "whole", lr=1e-5, aligned=0.25),
    Setting("lora r16, 10 layers, aligned, robust", 10, "lora", aligned=0.25, robust=1.0),
    Setting("lora r4, 10 layers, aligned", 10, "lora", rank=4, aligned=0.25),
    Setting("lora r16, 10 layers, aligned, slow", 10, "lora", lr=1e-4, aligned=0.25),
)
"""The most promising first."""


@dataclass
class Bench:
    """Everything that ways are compared on."""

    pictures: Pictures
    weights: TowerWeights
    out: Path
    say: Say
    device: str
    layers: tuple[int, ...] = (8, 10, 12)
    n_splits: int = 4
    seed: int = 0
    warm_steps: int = 400
    frozen: dict[int, Tensor] = field(default_factory=dict)
    """Pooled tokens of every view at each of `layers`, [n, 1 + K, 2 Hv]."""
    splits: list[Split] = field(default_factory=list)
    towers: dict[int, Tower] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[list[Tensor], list[Tensor]]] = field(default_factory=dict)
    """Start and end of what was tuned, by setting and split."""
    probes: dict[tuple[int, bytes], Probe] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """Steps that each setting was given for a split."""

    def prepare(self) -> None:
        """Computes the frozen features, and from them the splits."""
        began = time.perf_counter()
        deepest = max(self.layers)
        self.towers = {
            layers: Tower(self.weights, layers).to(self.device) for layers in self.layers
        }
        tower, pictures = self.towers[deepest], self.pictures
        each = [frozen_features(tower, pictures.plain, self.layers)]
        for number in range(pictures.changed.shape[1]):
            view = centre(pictures.changed[:, number])
            each.append(frozen_features(tower, view, self.layers))
        self.frozen = {layer: torch.stack([one[layer] for one in each], 1) for layer in self.layers}
        looks = self.frozen[deepest][:, 0, : self.frozen[deepest].shape[2] // 2]
        self.splits = splits(pictures.examples, looks.cpu().numpy(), self.n_splits)
        self.say(f"frozen features: {time.perf_counter() - began:.0f} s")
        for one in self.splits:
            fakes = sum(pictures.examples[i].is_fake for i in one.held)
            self.say(
                f"{one.name}: {len(one.train)} to learn from; held {len(one.held) - fakes} real "
                f"and {fakes} AI-made of {len(set(one.sources))} sources"
            )
        self.record(
            splits=[
                {
                    "name": one.name,
                    "owners": sorted({pictures.examples[i].owner for i in one.held}),
                }
                for one in self.splits
            ]
        )

    def record(self, **facts: object) -> None:
        with (self.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(facts) + "\n")

    def judge(self, split: Split, found: np.ndarray) -> Judged:
        """Returns margins [m] of a split's pictures with what they are."""
        truth = np.array([self.pictures.examples[i].is_fake for i in split.held])
        return Judged(truth, found.astype(np.float64), split.sources)

    def summarise(self, name: str, judged: Sequence[Judged], **more: object) -> Estimate:
        """Writes and returns the estimate of a way."""
        found = estimate(judged, self.seed)
        self.say(f"== {name}: {found}")
        self.record(way=name, **asdict(found), **more)
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        folder = self.out / "margins"
        folder.mkdir(exist_ok=True)
        parts = [
            {
                "split": split.name,
                "names": [self.pictures.names[row] for row in split.held],
                "truth": one.truth.tolist(),
                "sources": one.sources,
                "margins": [round(float(margin), 4) for margin in one.margins],
            }
            for split, one in zip(self.splits, judged, strict=False)
        ]
        (folder / f"{safe}.json").write_text(json.dumps(parts))
        return found

    def baselines(self) -> dict[int, float]:
        """Judges the frozen tower, read by a probe and by the machine that teaches the bridge.

        Returns the better AUC of the two by the number of layers.
        """
        found = {}
        with ThreadPoolExecutor(2 * self.n_splits) as threads:
            machines = {
                (layers, split.name): threads.submit(self._machine, layers, split)
                for layers in self.layers
                for split in self.splits
            }
            for layers in self.layers:
                probes = [self._probed(layers, split) for split in self.splits]
                read = [self.summarise(f"frozen, {layers} layers", probes)]
                taught = [machines[layers, split.name].result() for split in self.splits]
                read.append(self.summarise(f"frozen, {layers} layers, machine", taught))
                found[layers] = max(one.auc for one in read)
        return found

    def _probed(self, layers: int, split: Split) -> Judged:
        held = self.frozen[layers][self._rows(split.held), 0]
        probe = self.warmed(layers, split.train)
        with torch.inference_mode():
            said = probe.linear(held).cpu().numpy()
        return self.judge(split, said)

    def _machine(self, layers: int, split: Split) -> Judged:
        teacher = self.machine(layers, split.train)
        held = self.frozen[layers][self._rows(split.held), 0]
        return self.judge(split, teacher.logits(held).cpu().numpy())

    def machine(self, layer: int, chosen: np.ndarray) -> Machine:
        """Fits a machine to the plain views of the pictures `chosen` [n] at one layer."""
        plain = self.frozen[layer][self._rows(chosen), 0].cpu().numpy()
        fakes = np.array([self.pictures.examples[i].is_fake for i in chosen])
        weights = sampling_weights(self.pictures.examples, chosen)
        return fit_machine(plain, fakes, weights, self.device)

    def _rows(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(indices).to(self.device)

    def tuned(
        self, setting: Setting, seconds: float, deadline: float, seed: int = 0
    ) -> Iterator[tuple[Split, dict[float, Judged]]]:
        """Tunes once for each split, at most `seconds` long, and judges what it held out.

        Stops at the deadline.
        """
        steps = None
        for split in self.splits:
            if time.monotonic() + 0.7 * seconds > deadline:
                self.say(f"no time for {split.name} of {setting.name}")
                return
            loop = self.loop(setting, split.train, seed)
            if steps is None:
                each = loop.seconds_per_step()
                steps = self.steps[setting.name] = max(2, int(seconds / each))
                self.say(f"{setting.name}: {each:.3f} s a step, {steps} steps")
            tuned = loop.run(steps)
            plain = self.pictures.plain[self._rows(split.held)]
            said = {}
            for share in SHARES:
                tuned.go(share)
                said[share] = self.judge(split, margins(tuned.tower, tuned.probe, plain))
            start, end = ([one.cpu() for one in some] for some in (tuned.start, tuned.end))
            self.kept[setting.name, split.name] = start, end
            yield split, said
            del tuned, loop
            free(self.device)

    def loop(self, setting: Setting, chosen: np.ndarray, seed: int = 0) -> Loop:
        """Returns a tuning of the frozen tower on the pictures `chosen` [n]."""
        tower = self.towers[setting.layers]
        warmed = self.warmed(setting.layers, chosen)
        return Loop(setting, tower, self.pictures, warmed, chosen, seed)

    def warmed(self, layers: int, chosen: np.ndarray) -> Probe:
        """Returns the probe of a frozen tower, trained once."""
        key = layers, chosen.tobytes()
        if key not in self.probes:
            self.probes[key] = warmed_probe(
                self.frozen[layers], self.pictures, chosen, self.seed, self.warm_steps
            )
        return self.probes[key]

    def compare(
        self, settings: Sequence[Setting], seconds: float, deadline: float
    ) -> list[tuple[Estimate, Setting, float]]:
        """Tries the settings in order until the deadline. Returns the best first."""
        ranking = []
        for setting in settings:
            judged: dict[float, list[Judged]] = {share: [] for share in SHARES}
            for split, said in self.tuned(setting, seconds, deadline):
                for share, one in said.items():
                    judged[share].append(one)
                each = " ".join(f"{estimate([one]).auc:.3f}" for one in said.values())
                self.say(f"  {split.name}: {each}")
            complete = len(judged[1.0]) == len(self.splits)
            for share, parts in judged.items():
                if parts:
                    name = f"{setting.name}, {share:.0%} of the way"
                    found = self.summarise(name, parts, setting=asdict(setting))
                    if complete:
                        ranking.append((found, setting, share))
        return sorted(ranking, key=lambda one: -one[0].auc)
