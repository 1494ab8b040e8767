"""Tower and probe tuned together, for a number of steps that fits a time."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from antifake.trainer.mini.sampling import sampling_weights

from .pictures import Draws, Pictures
from .probe import Probe, pooled
from .tower import LowRank, Tower, Way

SMOOTHING = 0.04
TIMED_STEPS = 8


@dataclass(frozen=True)
class Setting:
    """One way to tune the tower."""

    name: str
    layers: int
    way: Way
    lr: float = 3e-4
    rank: int = 16
    aligned: float = 0.0
    """Share of a batch that is pairs of a real picture and an aligned negative."""
    robust: float = 0.0
    """How much more a source counts whose loss is higher by one (as GroupDRO does)."""
    batch: int = 256
    average: float = 0.97
    """Decay of the moving average of the weights, which is what is judged."""
    probe_lr: float = 5e-4


@dataclass
class Tuned:
    """A tower and a probe, at their start and where training led."""

    tower: Tower
    probe: Probe
    start: list[Tensor]
    end: list[Tensor]
    seconds: float
    steps: int

    def go(self, share: float) -> "Tuned":
        """Sets the weights to a mean of start and end (as WiSE-FT does); 1 is the end."""
        with torch.no_grad():
            for p, before, after in zip(self._parameters(), self.start, self.end, strict=True):
                p.copy_(torch.lerp(before, after, share))
        return self

    def _parameters(self) -> list[nn.Parameter]:
        return tuned_parameters(self.tower, self.probe)


def tuned_parameters(tower: Tower, probe: Probe) -> list[nn.Parameter]:
    return [*(p for p in tower.parameters() if p.requires_grad), *probe.parameters()]


def device_of(tower: Tower) -> str:
    return tower.mean.device.type


def free(device: str) -> None:
    """Gives memory back that tuning used."""
    if device == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def half(device: str) -> Iterator[None]:
    """Products in bfloat16 on a GPU."""
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        yield


def warmed_probe(
    frozen: Tensor, pictures: Pictures, chosen: np.ndarray, seed: int, steps: int = 400
) -> Probe:
    """Returns a probe whose linear part knows the frozen tower.

    `frozen` [n, V, 2 Hv] are pooled tokens of every view.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    device = frozen.device
    probe = Probe(frozen[torch.from_numpy(chosen).to(device)].flatten(0, 1)).to(device)
    fakes = np.array([one.is_fake for one in pictures.examples])
    weights = sampling_weights(pictures.examples, chosen)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=1e-3, weight_decay=0.1)
    probe.train()
    for step in range(steps):
        rows = random.choice(chosen, 512, p=weights)
        view = random.integers(frozen.shape[1], size=512)
        x = frozen[torch.from_numpy(rows).to(device), torch.from_numpy(view).to(device)]
        y = torch.from_numpy(fakes[rows].astype(np.float32)).to(device)
        loss = _loss(probe.linear(x), y).mean()
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return probe.eval()


def _loss(margin: Tensor, labels: Tensor) -> Tensor:
    target = SMOOTHING / 2 + (1 - SMOOTHING) * labels
    return functional.binary_cross_entropy_with_logits(margin, target, reduction="none")


@dataclass
class Loop:
    """One tuning of a copy of the frozen tower."""

    setting: Setting
    base: Tower
    pictures: Pictures
    warmed: Probe
    """Knows the frozen tower; a copy of it is tuned."""
    chosen: np.ndarray
    seed: int = 0

    @property
    def device(self) -> torch.device:
        return self.pictures.plain.device

    def run(self, steps: int) -> Tuned:
        """Tunes for so many steps and returns the moving average of the weights."""
        began = time.perf_counter()
        tower, probe = self._fresh()
        trained = tuned_parameters(tower, probe)
        start = [p.detach().clone() for p in trained]
        average = [p.detach().clone() for p in trained]
        optimizer = self._optimizer(tower, probe)
        peaks = [group["lr"] for group in optimizer.param_groups]
        draws = Draws(self.pictures, self.chosen, self.setting.aligned, self.seed)
        counts = torch.zeros(draws.n_groups, device=self.device)
        probe.train()
        for step in range(steps):
            factor = min(1.0, (step + 1) / (0.08 * steps + 1))
            factor *= 0.5 * (1 + math.cos(math.pi * step / steps))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            self._step(tower, probe, optimizer, draws, counts)
            keep = min(self.setting.average, (step + 1) / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(average, [p.detach() for p in trained], 1 - keep)
        probe.eval()
        _keep_directions(tower, start, average)
        tuned = Tuned(tower, probe, start, average, time.perf_counter() - began, steps)
        return tuned.go(1.0)

    def restore(self, start: list[Tensor], end: list[Tensor]) -> Tuned:
        """Returns what an earlier run led to, from its kept weights."""
        tower, probe = self._fresh()
        device = self.device
        before, after = ([one.to(device) for one in some] for some in (start, end))
        return Tuned(tower, probe, before, after, 0.0, 0).go(1.0)

    def seconds_per_step(self) -> float:
        """Measures some steps on a copy that is thrown away."""
        tower, probe = self._fresh()
        optimizer = self._optimizer(tower, probe)
        draws = Draws(self.pictures, self.chosen, self.setting.aligned, self.seed)
        counts = torch.zeros(draws.n_groups, device=self.device)
        for step in range(3 + TIMED_STEPS):
            if step == 3:
                _wait(self.device)
                began = time.perf_counter()
            self._step(tower, probe, optimizer, draws, counts)
        _wait(self.device)
        return (time.perf_counter() - began) / TIMED_STEPS

    def _fresh(self) -> tuple[Tower, Probe]:
        torch.manual_seed(self.seed)
        tower = copy.deepcopy(self.base)
        tower.open_up(self.setting.way, self.setting.rank)
        tower.to(self.device)
        return tower, copy.deepcopy(self.warmed)

    def _optimizer(self, tower: Tower, probe: Probe) -> torch.optim.Optimizer:
        mine = [p for p in tower.parameters() if p.requires_grad]
        groups = [
            {"params": mine, "lr": self.setting.lr, "weight_decay": 0.01},
            {"params": list(probe.parameters()), "lr": self.setting.probe_lr, "weight_decay": 0.1},
        ]
        fused = self.device.type == "cuda"
        return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=fused)

    def _step(
        self,
        tower: Tower,
        probe: Probe,
        optimizer: torch.optim.Optimizer,
        draws: Draws,
        losses: Tensor,
    ) -> None:
        """One step. `losses` [G] are means by group, which it keeps up to date."""
        batch = draws.batch(self.setting.batch)
        with half(device_of(tower)):
            tokens = tower(batch.pixels)
        each = _loss(probe(tokens), batch.labels)
        if self.setting.robust:
            each = each * self._importance(each.detach(), batch.sources, losses)
        optimizer.zero_grad()
        each.mean().backward()  # type: ignore[no-untyped-call]
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    def _importance(self, each: Tensor, sources: Tensor, losses: Tensor) -> Tensor:
        """Returns weights [B] whose mean is 1, from the losses that sources had so far."""
        known = losses[sources]
        losses[sources] = torch.where(known > 0, 0.9 * known + 0.1 * each, each)
        weight = torch.exp(self.setting.robust * (losses[sources] - losses[sources].mean()))
        weight = weight.clamp(1 / 3, 3)
        return weight / weight.mean()


def _keep_directions(tower: Tower, start: list[Tensor], end: list[Tensor]) -> None:
    """Starts low-rank updates at zero along their final directions: means are then linear."""
    names = [name for name, p in tower.named_parameters() if p.requires_grad]
    for i, name in enumerate(names):
        if isinstance(tower.get_submodule(name.rpartition(".")[0]), LowRank):
            start[i] = torch.zeros_like(end[i]) if name.endswith(".up") else end[i].clone()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def tokens_of(tower: Tower, pictures: Tensor, at_once: int = 512) -> Iterator[Tensor]:
    """Yields tokens float32 [B, N, Hv] of pictures uint8 [n, 224, 224, 3], a batch at a time."""
    for at in range(0, len(pictures), at_once):
        with half(device_of(tower)):
            yield tower(pictures[at : at + at_once])


@torch.inference_mode()
def margins(tower: Tower, probe: Probe, pictures: Tensor) -> np.ndarray:
    """Returns margins float32 [n] of pictures uint8 [n, 224, 224, 3]."""
    found = [probe(tokens) for tokens in tokens_of(tower, pictures)]
    return torch.cat(found).float().cpu().numpy()


@torch.no_grad()
def layer_tokens(
    tower: Tower, pictures: Tensor, layers: Sequence[int], at_once: int = 512
) -> Iterator[dict[int, Tensor]]:
    """Yields normalised tokens float32 [B, N, Hv] at the given layers, a batch at a time."""
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor]) -> None:
            seen[layer] = output if isinstance(output, Tensor) else output[0]

        module: nn.Module = tower.vision.encoder.layers[layer - 1]
        return module.register_forward_hook(hook)

    hooks = [keep(layer) for layer in layers]
    try:
        for at in range(0, len(pictures), at_once):
            with half(device_of(tower)):
                tower(pictures[at : at + at_once])
            yield {
                layer: functional.layer_norm(one.float(), one.shape[-1:])
                for layer, one in seen.items()
            }
    finally:
        for one in hooks:
            one.remove()


@torch.inference_mode()
def frozen_features(
    tower: Tower, pictures: Tensor, layers: tuple[int, ...], at_once: int = 512
) -> dict[int, Tensor]:
    """Returns pooled tokens [n, 2 Hv] at the given layers of a frozen tower, in one pass."""
    found: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for tokens in layer_tokens(tower, pictures, layers, at_once):
        for layer, one in tokens.items():
            found[layer].append(pooled(one))
    return {layer: torch.cat(parts) for layer, parts in found.items()}
