"""The InstructBLIP itself on a tuned tower: for owners left out, and for what ships."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from antifake.core.bundle import QFORMER_TOKENIZER, TOKENIZER, Bundle, Manifest, file_entry, seal
from antifake.core.embedded import TOWER_SHARD
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.trainer.examples import Example
from antifake.trainer.mini import distillation
from antifake.trainer.mini.bridge import BRIDGE_SHARD, is_trained
from antifake.trainer.mini.distillation import KINDS, Batch, Bridge, Schedule, TrainingData
from antifake.trainer.mini.export import round_to_int8, stored
from antifake.trainer.mini.sampling import sampling_weights
from antifake.trainer.mini.teacher import Machine, Teacher, fit_machine
from antifake.trainer.mini.unseen import Judged, Split

from .compare import Bench
from .layers import read_layers
from .pictures import Pictures, centre
from .probe import pooled
from .tower import Tower, TowerWeights
from .tuning import Setting, free, tokens_of
from .views import ALIGNED

VIEWS = 4
"""Views that the bridge learns from: the plain one and changed ones."""
STARTING_PICTURES = 400
MOST_ALIGNED = 1000
"""Aligned negatives that the teacher is fitted to."""
MADE = Example(Path(), True, "autoencoder", "autoencoder")
MANIFEST = "untrained.json"
LARGE = "large"
"""Folder for files that come back one by one."""


@dataclass(frozen=True)
class Seen:
    """Tokens of all pictures and of aligned ones behind them, as one tower sees them."""

    tokens: tuple[Tensor, ...]
    """Of each layer that the bridge reads, float16 [V, n + m, N, Hv]; view 0 is the plain one"""
    pooled: Tensor
    """Of each layer that teaches it, side by side, float32 [V, n + m, D]"""

    @classmethod
    @torch.no_grad()
    def by(cls, tower: Tower, pictures: Pictures, aligned: bool) -> "Seen":
        n = len(pictures.plain)
        total = n + (len(pictures.aligned) if aligned else 0)
        shape = _tokens(tower, pictures.plain[:1]).shape[1:]
        device = pictures.plain.device
        tokens = torch.empty(VIEWS, total, *shape, dtype=torch.float16, device=device)
        for view in range(VIEWS):
            own = pictures.plain if view == 0 else centre(pictures.changed[:, view - 1])
            tokens[view, :n] = _tokens(tower, own)
            if total > n:
                tokens[view, n:] = _tokens(tower, centre(pictures.aligned[:, view % ALIGNED]))
        return cls((tokens,), torch.stack([_pooled(one) for one in tokens]))

    @property
    def count(self) -> int:
        """How many pictures there are, n + m."""
        return self.pooled.shape[1]

    def at(self, view: Tensor | int, rows: Tensor) -> Tensor:
        """Returns tokens of all layers that are read, side by side, float32 [B, L N, Hv]."""
        return torch.cat([one[view, rows].float() for one in self.tokens], 1)


def _tokens(tower: Tower, pictures: Tensor) -> Tensor:
    """uint8 [n, 224, 224, 3] -> float16 [n, N, Hv]."""
    return torch.cat([part.half() for part in tokens_of(tower, pictures)])


def _pooled(tokens: Tensor) -> Tensor:
    return torch.cat([pooled(part.float()) for part in torch.split(tokens, 1024)])


@dataclass(frozen=True)
class DeviceData(TrainingData):
    """What a run learns from, on the device that trains."""

    seen: Seen

    def draw(self, random: np.random.Generator, batch: int) -> Batch:
        picked = random.choice(self.chosen, batch, p=self.weights)
        view = random.integers(len(self.seen.pooled), size=batch)
        device = self.seen.pooled.device
        where = torch.from_numpy(view).to(device), torch.from_numpy(picked).to(device)
        labels = np.array([self.examples[i].is_fake for i in picked], np.float32)
        share = random.beta(0.4, 0.4, batch).astype(np.float32)
        push = np.where(random.random(batch) < 0.5, random.random(batch), 0).astype(np.float32)
        return Batch(
            tokens=self.seen.at(*where),
            pooled=self.seen.pooled[where],
            labels=torch.from_numpy(labels).to(device),
            kinds=[KINDS.get(self.examples[i].kind) for i in picked],
            share=torch.from_numpy(share).to(device),
            push=torch.from_numpy(push).to(device),
        )


@dataclass
class Bridges:
    """Trains bridges on towers of one depth."""

    bench: Bench
    setting: Setting
    folder: Path
    """Where the untrained bridge was unpacked."""
    schedule: Schedule
    seconds_per_step: float = 0.0
    """Known after the first training."""

    def bundle(self) -> Bundle:
        """Writes the untrained bundle of this depth, once."""
        layers = self.setting.layers
        into = self.bench.out.parent / f"untrained-{layers}"
        if (into / "bundle.json").is_file():
            return Bundle.open(into)
        return untrained_bundle(self.folder, self.bench.weights, layers, into)

    def data(self, seen: Seen, chosen: np.ndarray, teacher: Teacher | None = None) -> DeviceData:
        """Returns what a bridge learns from `chosen` [n] and from what was made of them.

        Without a teacher, one is fitted.
        """
        pictures = self.bench.pictures
        examples = [*pictures.examples, *[MADE] * (seen.count - len(pictures.examples))]
        weights = sampling_weights(pictures.examples, chosen)
        if len(examples) > len(pictures.examples):
            made = len(pictures.examples) + np.flatnonzero(np.isin(pictures.origin, chosen))
            share = self.setting.aligned / 2
            each = np.full(len(made), share / len(made))
            weights = np.concatenate([weights * (1 - share), each])
            chosen = np.concatenate([chosen, made])
        teacher = teacher or self._teacher(seen, examples, chosen, weights)
        return DeviceData(examples, chosen, weights, (), teacher, seen)

    def _teacher(
        self, seen: Seen, examples: Sequence[Example], chosen: np.ndarray, weights: np.ndarray
    ) -> Machine:
        """Fits a machine to plain views, and to a part of the aligned ones: they take long."""
        n = len(self.bench.pictures.examples)
        random = np.random.default_rng(self.bench.seed)
        made = np.flatnonzero(chosen >= n)
        some = random.permutation(made)[:MOST_ALIGNED]
        kept = np.concatenate([np.flatnonzero(chosen < n), np.sort(some)])
        weights = weights.copy()
        weights[some] *= len(made) / max(1, len(some))
        rows = torch.from_numpy(chosen[kept]).to(seen.pooled.device)
        fakes = np.array([examples[i].is_fake for i in chosen[kept]])
        plain = seen.pooled[0, rows].cpu().numpy()
        return fit_machine(plain, fakes, weights[kept], self.bench.device)

    def start(self, seen: Seen, chosen: np.ndarray) -> Bridge:
        """Returns an untrained bridge whose attention starts at [CLS], of every layer it reads."""
        random = np.random.default_rng(self.bench.seed)
        chosen = chosen[chosen < len(self.bench.pictures.examples)]
        some = np.sort(random.choice(chosen, min(STARTING_PICTURES, len(chosen)), replace=False))
        model = load(self.bundle(), Precision(torch.device("cpu"), torch.float32))
        rows = torch.from_numpy(some).to(seen.pooled.device)
        layers = [one[0, rows].cpu() for one in seen.tokens]
        bridge = Bridge(model, layers[0].numpy(), self.bench.seed)
        if len(layers) > 1:
            read_layers(model, layers)
        device = torch.device(self.bench.device)
        model.to(device)
        bridge.weights = {name: p for name, p in model.named_parameters() if is_trained(name)}
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        model.precision = replace(model.precision, device=device, dtype=dtype)
        qformer, llm = (nn.Parameter(one.detach().to(device)) for one in bridge.soft_prompt)
        bridge.soft_prompt = qformer, llm
        return bridge

    def train(self, bridge: Bridge, data: DeviceData, steps: int, seconds: float) -> None:
        """Trains for `steps`, or fewer where they would take longer than `seconds`."""
        if not self.seconds_per_step:
            timer = _Timer()
            short = replace(self.schedule, steps=12)
            trial = self.start(data.seen, data.chosen)
            distillation.train(trial, data, short, self.bench.seed, timer)
            self.seconds_per_step = timer.each()
        steps = max(2, min(steps, int(seconds / self.seconds_per_step)))
        self.bench.say(f"  bridge: {self.seconds_per_step:.3f} s a step, {steps} steps")
        schedule = replace(self.schedule, steps=steps)
        distillation.train(bridge, data, schedule, self.bench.seed, lambda _step, _loss: None)

    def judge_splits(self, share: float, steps: int, deadline: float) -> list[Judged]:
        """Trains a bridge for each split on the tower that was tuned for it, and judges."""
        judged, machines = [], []
        setting, bench = self.setting, self.bench
        for split in bench.splits:
            left = deadline - time.monotonic()
            if left < 10:
                bench.say(f"no time for the bridge of {split.name}")
                break
            tower = self._tower(split, share)
            free(bench.device)
            seen = Seen.by(tower, bench.pictures, aligned=setting.aligned > 0)
            data = self.data(seen, split.train)
            bridge = self.start(data.seen, split.train)
            self.train(bridge, data, steps, left / 2)
            held = torch.from_numpy(split.held).to(bench.device)
            judged.append(
                bench.judge(split, margins(bridge, tuple(one[0, held] for one in data.seen.tokens)))
            )
            opinion = data.teacher.logits(data.seen.pooled[0, held]).cpu().numpy()
            machines.append(bench.judge(split, opinion))
            name = f"bridge on {setting.name}, {share:.0%}"
            bench.summarise(f"{name} (teacher)", machines)
            bench.summarise(name, judged)
            del seen, data, bridge, tower
        return judged

    def _tower(self, split: Split, share: float) -> Tower:
        if self.setting.way == "frozen":
            return self.bench.towers[self.setting.layers]
        loop = self.bench.loop(self.setting, split.train)
        kept = self.bench.kept[self.setting.name, split.name]
        return loop.restore(*kept).go(share).tower

    def finish(self, share: float, steps: int, deadline: float) -> tuple[Bridge, Tower]:
        """Tunes tower and bridge on all that may be learned from. Writes and returns both."""
        bench, setting, out = self.bench, self.setting, self.bench.out
        learned = bench.pictures.learned
        tower = bench.towers[setting.layers]
        differences: dict[str, Tensor] = {}
        if setting.way != "frozen":
            mean = np.mean([len(split.train) for split in bench.splits])
            more = round(bench.steps[setting.name] * len(learned) / mean)
            tuned = bench.loop(setting, learned).run(more)
            tower = tuned.go(share).tower
            low = setting.way == "lora"
            differences = (
                tower.updates() if low else tower.differences(bench.weights, setting.layers)
            )
            bench.say(
                f"tuned on what ships learns from: {tuned.steps} steps, {tuned.seconds:.0f} s"
            )
        about = {"setting": setting.__dict__, "share": share, "layers": setting.layers}
        (out / "final.json").write_text(json.dumps(about, indent=1))
        if differences:
            write_pieces(differences, out / LARGE, "tower-delta")
        free(bench.device)
        seen = Seen.by(tower, bench.pictures, aligned=setting.aligned > 0)
        data = self.data(seen, learned)
        bridge = self.start(data.seen, learned)
        self.train(bridge, data, steps, 0.7 * max(10.0, deadline - time.monotonic()))
        self.write(bridge, data, "early")
        round_to_int8(bridge)
        distillation.tune_soft_prompt(
            bridge, data, self.schedule, bench.seed, lambda _step, _loss: None
        )
        self.write(bridge, data, "final")
        return bridge, tower

    def write(self, bridge: Bridge, data: DeviceData, name: str) -> None:
        """Writes what was trained, under that name."""
        out = self.bench.out
        (out / LARGE).mkdir(exist_ok=True)
        save_file(stored(bridge.model), out / LARGE / f"{name}.safetensors")
        bridge.prompt().save(out / f"{name}-prompt.safetensors")
        self.bench.say(f"wrote {name}: {len(data.chosen)} pictures")

    def judge_test(
        self, bridge: Bridge, tower: Tower, examples: Sequence[Example], plain: Tensor
    ) -> None:
        """Judges pictures of which training knows some sources. `plain` is [n, 224, 224, 3]."""
        self.judge_test_tokens("test", bridge, examples, (_tokens(tower, plain),))

    def judge_test_tokens(
        self,
        name: str,
        bridge: Bridge,
        examples: Sequence[Example],
        tokens: tuple[Tensor, ...],
    ) -> None:
        """Does so where the tokens of each layer are known, float16 [n, N, Hv]."""
        found = margins(bridge, tokens)
        truth = np.array([one.is_fake for one in examples])
        auc = float((found[truth][:, None] > found[~truth][None]).mean())
        self.bench.say(f"{name}, sources that training knows among them: AUC {auc:.3f}")
        self.bench.record(**{name: auc})
        part = {"split": "test", "truth": truth.tolist(), "margins": found.tolist()}
        (self.bench.out / "margins" / f"{name}.json").write_text(json.dumps([part]))


class _Timer:
    """Called after each step; the first ones do not count."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def __call__(self, _step: int, _loss: float) -> None:
        self._times.append(time.perf_counter())

    def each(self) -> float:
        """Seconds a step."""
        skipped = len(self._times) // 2
        return (self._times[-1] - self._times[skipped]) / (len(self._times) - 1 - skipped)


@torch.inference_mode()
def margins(bridge: Bridge, tokens: tuple[Tensor, ...]) -> np.ndarray:
    """Tokens of each layer float16 [n, N, Hv] -> margins float32 [n]."""
    question = bridge.question(bridge.soft_prompt)
    parts = [
        bridge.margin(torch.cat([one[at : at + 256].float() for one in tokens], 1), question)
        for at in range(0, len(tokens[0]), 256)
    ]
    found: np.ndarray = torch.cat(parts).float().cpu().numpy()
    return found


def untrained_bundle(folder: Path, weights: TowerWeights, layers: int, into: Path) -> Bundle:
    """Writes a bundle of the frozen tower's first layers and the untrained bridge in `folder`."""
    into.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
    config = json.loads(json.dumps(manifest.config))
    config["vision_config"]["num_hidden_layers"] = layers
    tower = {name: value.contiguous() for name, value in weights.first(layers).items()}
    save_file(tower, into / TOWER_SHARD)
    for name in (BRIDGE_SHARD, TOKENIZER, QFORMER_TOKENIZER):
        (into / name).write_bytes((folder / name).read_bytes())
    names = (TOWER_SHARD, BRIDGE_SHARD, TOKENIZER, QFORMER_TOKENIZER)
    files = {name: file_entry(into / name) for name in names}
    return seal(into, replace(manifest, config=config, files=files))


def write_pieces(tensors: dict[str, Tensor], out: Path, name: str, limit: int = 15_500_000) -> None:
    """Writes tensors into files of at most `limit` bytes each."""
    out.mkdir(exist_ok=True)
    sizes = {key: value.numel() * value.element_size() for key, value in tensors.items()}
    for number, names in enumerate(grouped(sizes, limit)):
        piece = {key: tensors[key].contiguous() for key in names}
        save_file(piece, out / f"{name}-{number}.safetensors")


def grouped(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Returns names in groups whose sizes add up to at most `limit`, in their order.

    >>> grouped({"a": 2, "b": 2, "c": 3}, 4)
    [['a', 'b'], ['c']]
    """
    groups: list[list[str]] = [[]]
    size = 0
    for name, more in sizes.items():
        if size + more > limit and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += more
    return groups
