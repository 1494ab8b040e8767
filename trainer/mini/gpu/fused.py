"""Bridges that machines on several layers of the frozen tower teach, and that read some of them.

A mean of machines on layers 6, 8 and 12 was right about more left-out owners than any tuned tower.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antifake.trainer.mini import distillation
from antifake.trainer.mini.distillation import Bridge, Schedule
from antifake.trainer.mini.export import round_to_int8
from antifake.trainer.mini.teacher import Ensemble, Machine
from antifake.trainer.mini.unseen import Judged

from .bridge import VIEWS, Bridges, DeviceData, Seen, margins
from .compare import Bench
from .pictures import centre, drawn_pieces, load_plain
from .pieces import Arrived
from .run import benching, until
from .tuning import Setting, free, layer_tokens

ALL = "all learned from"
PROMPT_SHARE = 0.35
"""Of the time of a step: what a step of the soft prompt alone takes, at most."""


@dataclass(frozen=True)
class FusedPlan:
    """What is trained, in this order, until the time is over."""

    seconds: float
    """From when the views are there."""
    teachers: tuple[int, ...] = (6, 8, 12)
    readings: tuple[tuple[int, ...], ...] = ((8,), (8, 6), (8, 6, 12))
    """Layers that a bridge reads."""
    n_splits: int = 4
    split_steps: int = 300
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=785, batch=64))

    def small(self) -> "FusedPlan":
        """Returns the same for a few pictures on a processor."""
        schedule = replace(self.schedule, batch=4, steps=2, prompt_steps=1)
        return replace(
            self,
            teachers=(1, 2),
            readings=((1, 2),),
            n_splits=2,
            split_steps=2,
            schedule=schedule,
        )


def run(root: Path, device: str, plan: FusedPlan) -> None:
    """Trains and judges a bridge of each reading for each split, then the ones that ship.

    Whatever is found is in root/out at once.
    """
    with benching(root, device, plan.teachers, plan.n_splits) as bench:
        deadline = time.monotonic() + plan.seconds
        bench.prepare()
        Fusing(bench, root, plan, deadline).run()


@dataclass
class Fusing:
    """One run."""

    bench: Bench
    root: Path
    plan: FusedPlan
    deadline: float
    machines: dict[tuple[str, int], "Future[Machine]"] = field(default_factory=dict)
    tokens: dict[int, Tensor] = field(default_factory=dict)
    """Of each layer, float16 [V, n, N, Hv]"""
    seconds_per_step: float = 0.0

    def run(self) -> None:
        """Does it all, the most informative first."""
        self._fit()
        arrived = Arrived(self.root)
        bridge = next(name for name in arrived.names() if "bridge" in name)
        until(lambda: arrived.has(bridge))
        found: dict[tuple[int, ...], float] = {}
        for number, reading in enumerate(self.plan.readings):
            # The third reading is tried only if the best can be trained for long, too.
            steps = self.plan.schedule.steps if number > 1 else 0
            if self.left() < self.cost(self.plan.n_splits * self.plan.split_steps + steps):
                self.bench.say(f"no time for {_name(reading)}")
                continue
            found[reading] = self._splits(reading)
        for reading in sorted(found, key=lambda one: -found[one]):
            self._finish(reading)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def cost(self, steps: int) -> float:
        """Seconds that so many steps take, as far as is known."""
        return 1.1 * steps * self.seconds_per_step

    def _fit(self) -> None:
        """Starts to fit the machines, computes tokens meanwhile, and judges the machines."""
        bench, layers = self.bench, self.plan.teachers
        parts = [*((one.name, one.train) for one in bench.splits), (ALL, bench.pictures.learned)]
        threads = ThreadPoolExecutor(len(parts) * len(layers))
        for name, chosen in parts:
            for layer in layers:
                self.machines[name, layer] = threads.submit(bench.machine, layer, chosen)
        self.tokens = self._tokens()
        self.bench.say("tokens are there")
        said = {
            (split.name, layer): self._opinion(split.name, (layer,), split.held)
            for split in bench.splits
            for layer in layers
        }
        for some in (*((layer,) for layer in layers), layers):
            judged = [
                bench.judge(split, np.mean([said[split.name, layer] for layer in some], 0))
                for split in bench.splits
            ]
            bench.summarise(f"machines on {_name(some)}", judged)
        threads.shutdown(wait=False)

    def _opinion(self, name: str, layers: Sequence[int], rows: np.ndarray) -> np.ndarray:
        """Returns the opinion of machines on the plain views of pictures, [m]."""
        where = torch.from_numpy(rows).to(self.bench.device)
        pooled = torch.cat([self.bench.frozen[layer][where, 0] for layer in layers], 1)
        return self._teacher(name, layers).logits(pooled).cpu().numpy()

    def _teacher(self, name: str, layers: Sequence[int]) -> Ensemble:
        return Ensemble([self.machines[name, layer].result() for layer in layers])

    def _tokens(self) -> dict[int, Tensor]:
        pictures, layers = self.bench.pictures, self.plan.teachers
        tower = self.bench.towers[max(layers)]
        changed = (centre(pictures.changed[:, v]) for v in range(self._views() - 1))
        found: dict[int, Tensor] = {}
        for number, view in enumerate([pictures.plain, *changed]):
            at = 0
            for some in layer_tokens(tower, view, layers):
                for layer, one in some.items():
                    if layer not in found:
                        shape = self._views(), len(view), *one.shape[1:]
                        found[layer] = torch.empty(shape, dtype=torch.float16, device=one.device)
                    found[layer][number, at : at + len(one)] = one.half()
                at += len(one)
        return found

    def _views(self) -> int:
        return min(VIEWS, 1 + self.bench.pictures.changed.shape[1])

    def _seen(self, reading: Sequence[int]) -> Seen:
        pooled = [self.bench.frozen[layer][:, : self._views()] for layer in self.plan.teachers]
        together = torch.cat(pooled, 2).transpose(0, 1)
        return Seen(tuple(self.tokens[layer] for layer in reading), together)

    def _bridges(self, reading: Sequence[int]) -> Bridges:
        still = Setting(_name(reading), max(reading), "frozen")
        return Bridges(self.bench, still, self.root / "untrained", self.plan.schedule)

    def _trained(
        self, reading: Sequence[int], part: str, chosen: np.ndarray, steps: int
    ) -> tuple[Bridges, Bridge, DeviceData]:
        """Trains a bridge on the pictures `chosen` [n], whose machines are those of `part`."""
        bridges = self._bridges(reading)
        teacher = self._teacher(part, self.plan.teachers)
        data = bridges.data(self._seen(reading), chosen, teacher)
        bridge = bridges.start(data.seen, chosen)
        schedule = replace(self.plan.schedule, steps=steps)
        began = time.perf_counter()
        distillation.train(bridge, data, schedule, self.bench.seed, lambda _step, _loss: None)
        self.seconds_per_step = (time.perf_counter() - began) / steps
        self.bench.say(f"  {part}: {steps} steps of {self.seconds_per_step:.3f} s")
        return bridges, bridge, data

    def _splits(self, reading: Sequence[int]) -> float:
        """Judges a bridge of each split, as far as the time reaches. Returns the AUC."""
        judged: list[Judged] = []
        auc = 0.0
        for split in self.bench.splits:
            if self.left() < self.cost(self.plan.split_steps):
                self.bench.say(f"no time for {split.name} of {_name(reading)}")
                break
            _, bridge, data = self._trained(reading, split.name, split.train, self.plan.split_steps)
            held = torch.from_numpy(split.held).to(self.bench.device)
            said = margins(bridge, tuple(one[0, held] for one in data.seen.tokens))
            judged.append(self.bench.judge(split, said))
            name = f"bridge that reads {_name(reading)}"
            auc = self.bench.summarise(name, judged, steps=self.plan.split_steps).auc
            free(self.bench.device)
        return auc

    def _finish(self, reading: Sequence[int]) -> None:
        """Trains on all that may be learned from, as long as the time reaches, and judges."""
        schedule = self.plan.schedule
        rest = self.left() - self.cost(1) * PROMPT_SHARE * schedule.prompt_steps
        steps = min(schedule.steps, int(rest / max(1e-6, self.cost(1))))
        if steps < schedule.steps / 3:
            self.bench.say(f"no time for {_name(reading)} on what ships learns from")
            return
        learned = self.bench.pictures.learned
        bridges, bridge, data = self._trained(reading, ALL, learned, steps)
        round_to_int8(bridge)
        distillation.tune_soft_prompt(
            bridge, data, schedule, self.bench.seed, lambda _step, _loss: None
        )
        name = "final-" + "-".join(map(str, reading))
        bridges.write(bridge, data, name)
        for piece in drawn_pieces(self.root / "views"):
            if "test" in piece:
                self._judge_test(name, bridges, bridge, reading, piece)

    def _judge_test(
        self, name: str, bridges: Bridges, bridge: Bridge, reading: Sequence[int], piece: str
    ) -> None:
        examples, plain = load_plain(
            self.root / "views", self.root / "data", piece, self.bench.device
        )
        tower = self.bench.towers[max(reading)]
        each = list(layer_tokens(tower, plain, reading))
        tokens = tuple(torch.cat([one[layer] for one in each]).half() for layer in reading)
        bridges.judge_test_tokens(f"test-{name}", bridge, examples, tokens)


def _name(layers: Sequence[int]) -> str:
    """
    >>> _name((8,)), _name((8, 6))
    ('layer 8', 'layers 8, 6')
    """
    return ("layer " if len(layers) == 1 else "layers ") + ", ".join(map(str, layers))
