"""The two programs that run on the other machine while pieces still arrive."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import torch

from antifake.trainer.mini.distillation import Schedule
from antifake.trainer.mini.unseen import Estimate

from .bridge import Bridges
from .compare import SETTINGS, Bench
from .pictures import drawn_pieces, load, load_plain
from .pieces import Arrived
from .tower import TowerWeights
from .tuning import Setting
from .views import Drawing

BETTER_BY = 0.01
"""A tuned tower must be that much better than the best frozen one."""
PAUSE_S = 0.3


def until(ready: Callable[[], bool]) -> None:
    while not ready():
        time.sleep(PAUSE_S)


def draw_all(root: Path, device: str, processes: int, changed: int, aligned: bool) -> None:
    """Draws the views of each piece of pictures as it arrives."""
    arrived = Arrived(root)
    until(lambda: bool(arrived.names()))
    drawing = Drawing(root / "data", root / "views", device, changed, aligned)
    # Forked before anything touches the GPU.
    with get_context("fork").Pool(processes) as pool:
        for name in arrived.names():
            if "pictures" not in name and "test" not in name:
                continue
            until(lambda name=name: arrived.has(name))  # type: ignore[misc]
            began = time.perf_counter()
            drawing.draw(name, arrived.pictures(name), pool)
            print(f"views of {name}: {time.perf_counter() - began:.0f} s", flush=True)  # noqa: T201


@dataclass(frozen=True)
class Plan:
    """How long things may take, and at what size they run."""

    minutes: float
    """Of comparing, from when the views are there."""
    more_minutes: float
    """For the bridges and what ships."""
    seconds: float = 14.0
    """Of tuning a split."""
    n_splits: int = 4
    settings: tuple[Setting, ...] = SETTINGS
    layers: tuple[int, ...] = (8, 10, 12)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=900, batch=64))
    warm_steps: int = 400
    fold_steps: int = 300
    chosen: str = ""
    """The setting that ships, by name; the best where it is empty."""

    def small(self) -> "Plan":
        """Returns the same for a few pictures on a processor."""
        few = [replace(one, layers=1, batch=8, rank=2) for one in self.settings[:1]]
        few.append(replace(few[0], name="aligned", aligned=0.5, robust=1.0))
        few.append(replace(few[0], name="last", way="last"))
        schedule = replace(self.schedule, batch=8, steps=4, prompt_steps=2)
        return replace(
            self,
            settings=tuple(few),
            layers=(1,),
            seconds=1.0,
            schedule=schedule,
            fold_steps=2,
            warm_steps=10,
            n_splits=2,
        )


def run(root: Path, device: str, plan: Plan) -> None:
    """Compares, then trains what ships. Whatever is found is in root/out at once."""
    with benching(root, device, plan.layers, plan.n_splits) as bench:
        deadline = time.monotonic() + 60 * plan.minutes
        bench.prepare()
        frozen = bench.baselines()
        ranking = bench.compare(plan.settings, plan.seconds, deadline)
        setting, share = _choose(plan, ranking, frozen)
        bench.say(f"goes on with {setting.name}, {share:.0%} of the way")
        arrived = Arrived(root)
        bridge = next(name for name in arrived.names() if "bridge" in name)
        until(lambda: arrived.has(bridge))
        bridges = Bridges(bench, setting, root / "untrained", plan.schedule)
        end = time.monotonic() + 60 * plan.more_minutes
        # What ships comes first: an estimate without it would be worth nothing.
        bridge_of_all, tower = bridges.finish(
            share, plan.schedule.steps, time.monotonic() + 0.45 * (end - time.monotonic())
        )
        for name in drawn_pieces(root / "views").keys() & {"7-test"}:
            bridges.judge_test(
                bridge_of_all, tower, *load_plain(root / "views", root / "data", name, device)
            )
        bridges.judge_splits(share, plan.fold_steps, end)


@contextmanager
def benching(root: Path, device: str, layers: Sequence[int], n_splits: int) -> Iterator[Bench]:
    """Yields what ways are compared on. At the end root/out says that all is finished."""
    out = root / "out"
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)  # noqa: T201

    card = torch.cuda.get_device_name() if device == "cuda" else device
    say(f"torch {torch.__version__} on {card}")
    yield _bench(root, device, layers, n_splits, say)
    (out / "finished").write_text(json.dumps({"seconds": time.monotonic() - began}))
    say("finished")


def _bench(
    root: Path, device: str, layers: Sequence[int], n_splits: int, say: Callable[[str], None]
) -> Bench:
    """Waits for the tower and the views, and returns what ways are compared on."""
    arrived = Arrived(root)
    until(lambda: bool(arrived.names()))
    learned = [name for name in arrived.names() if "pictures" in name]
    towers = [name for name in arrived.names() if "tower" in name]
    until(lambda: all(map(arrived.has, towers)))
    weights = TowerWeights.read(root / "weights")
    say("the tower is there")
    until(lambda: drawn_pieces(root / "views").keys() >= set(learned))
    pictures = load(root / "views", root / "data", learned, device)
    say(f"views of {len(pictures.examples)} pictures are there")
    torch.set_float32_matmul_precision("high")
    layers = tuple(min(one, weights.layers) for one in layers)
    return Bench(pictures, weights, root / "out", say, device, layers, n_splits)


def _choose(
    plan: Plan, ranking: Sequence[tuple[Estimate, Setting, float]], frozen: dict[int, float]
) -> tuple[Setting, float]:
    """Returns what ships: the best setting, or the frozen tower where tuning did not help."""
    for _, setting, share in ranking:
        if plan.chosen == setting.name:
            return setting, share
    layers = max(frozen, key=lambda one: frozen[one])
    still = Setting(f"frozen, {layers} layers", layers, "frozen")
    if not ranking or plan.chosen == "frozen":
        return still, 1.0
    best, setting, share = ranking[0]
    return (setting, share) if best.auc > frozen[layers] + BETTER_BY else (still, 1.0)
