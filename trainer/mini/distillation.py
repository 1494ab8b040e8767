"""The training loop: a bridge between frozen tokens of pictures and a frozen word table.

Every batch is asked three questions.

- With the soft prompt: is the photo real?
- With a meaningless prompt in its place. Then the answer must be an even chance, so that the
  soft prompt, and not the rest of the question, turns the model into a detector.
- In plain words, about what is shown. A model that answers those can be prompt-tuned to other
  tasks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from antifake.core.instructblip import InstructBlip, Question
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import QUESTION, PromptMetadata
from antifake.trainer.examples import Example

from .bridge import attend_to_cls, is_trained, whiten_patches
from .teacher import Teacher
from .token_cache import Tokens
from .towers.layouts import CLIP_PIXELS, PixelScale

Report = Callable[[int, float], None]

# Kinds in index.csv, as answers to plain questions. Other kinds say too little.
KINDS = {
    "photo": "photograph",
    "face": "photograph",
    "art": "painting",
    "screenshot": "screenshot",
    "chart": "chart",
}
ASKED = ("photograph", "painting", "screenshot")


@dataclass(frozen=True)
class Schedule:
    """Steps, rates and shares. MODEL_CARD.md reports on the defaults."""

    steps: int = 700
    batch: int = 96
    lr: float = 3e-4
    pretrained_lr: float = 0.3
    """Share of `lr` for matrices that start from pretrained weights."""
    weight_decay: float = 0.05
    label_share: float = 0.1
    """Weight of the label in the target; the rest is the teacher's opinion."""
    nothing: float = 0.15
    """Share of a batch that is asked with a meaningless prompt."""
    plain: float = 0.15
    """Share that is asked in plain words."""
    average: float = 0.99
    """Decay of the moving average of the weights, which is the result."""
    prompt_steps: int = 200
    prompt_lr: float = 2e-3


@dataclass(frozen=True)
class TrainingData:
    """Everything that a run learns from."""

    examples: Sequence[Example]
    chosen: np.ndarray
    """Indices of the examples to train on, [n]"""
    weights: np.ndarray
    """How often each of them is drawn, [n]; sums to 1"""
    views: Sequence[Tokens]
    teacher: Teacher

    def draw(self, random: np.random.Generator, batch: int) -> "Batch":
        """Draws pictures, a view of each, and how to mix them.

        No patch is left out. With 64 random ones the bridge followed a noisy mean of them, and
        its AUC on left-out sources was 0.01 to 0.02 lower.
        """
        picked = random.choice(self.chosen, batch, p=self.weights)
        view = random.integers(len(self.views), size=batch)
        places = list(zip(picked, view, strict=True))
        tokens = np.stack([self.views[v].tokens[i] for i, v in places])
        pooled = np.stack([self.views[v].pooled[i] for i, v in places])
        labels = np.array([self.examples[i].is_fake for i in picked], np.float32)
        share = random.beta(0.4, 0.4, batch).astype(np.float32)
        push = np.where(random.random(batch) < 0.5, random.random(batch), 0).astype(np.float32)
        return Batch(
            tokens=torch.from_numpy(tokens).float(),
            pooled=torch.from_numpy(pooled),
            labels=torch.from_numpy(labels),
            kinds=[KINDS.get(self.examples[i].kind) for i in picked],
            share=torch.from_numpy(share),
            push=torch.from_numpy(push),
        )


@dataclass(frozen=True)
class Batch:
    """Drawn pictures, before they are mixed."""

    tokens: Tensor
    """float32 [B, N, Hv]"""
    pooled: Tensor
    """float32 [B, 2 Hv]"""
    labels: Tensor
    """float32 [B], 1 for AI-made"""
    kinds: list[str | None]
    share: Tensor
    """float32 [B], in [0, 1]: share of the picture in its mixture with the next one"""
    push: Tensor
    """float32 [B], in [0, 1]: how far it is moved along the difference of two others"""

    def mixed(self, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Returns tokens [b, N, Hv], pooled tokens [b, 2 Hv] and labels [b] of some rows, mixed.

        A mixture (mixup) lies between known pictures. The push leads away from all of them,
        to where pictures of unknown sources lie: the bridge must not be surer there than its
        teacher.
        """
        share, push = self.share[rows], self.push[rows]
        tokens, pooled = (
            _mixed(value, share) + _per_row(push, value) * (value.roll(2, 0) - value.roll(3, 0))
            for value in (self.tokens[rows], self.pooled[rows])
        )
        return tokens, pooled, _mixed(self.labels[rows], share)


def _mixed(value: Tensor, share: Tensor) -> Tensor:
    """Mixes each row of `value` [b, ...] with its neighbour; `share` [b] of it is kept."""
    left = _per_row(share, value)
    return left * value + (1 - left) * value.roll(1, 0)


def _per_row(numbers: Tensor, value: Tensor) -> Tensor:
    """Returns numbers [b] in a shape that multiplies the rows of `value` [b, ...]."""
    return numbers.view(-1, *[1] * (value.ndim - 1))


class Bridge:
    """A loaded model, its trainable weights, and the soft prompt's two tables."""

    def __init__(
        self,
        model: InstructBlip,
        seen: np.ndarray,
        seed: int,
        pixels: PixelScale = CLIP_PIXELS,
    ) -> None:
        """`seen` [n, N, Hv] are tokens that the start of the attention is fitted to."""
        torch.manual_seed(seed)
        self.model = model
        self.pixels = pixels
        weights = dict(model.named_parameters())
        with torch.no_grad():
            state = {name: value.data for name, value in weights.items()}
            if model.manifest.class_token:
                attend_to_cls(state, seen)
            else:
                whiten_patches(state, torch.from_numpy(seen).float())
        self.weights = {name: value for name, value in weights.items() if is_trained(name)}
        self.spread = (
            float(model.qformer.get_input_embeddings().words.weight.std()),
            float(model.language_model.get_input_embeddings().weight.std()),
        )
        self.soft_prompt = self.random_prompt()
        self._asked: dict[tuple[str, str, int, torch.device], Question] = {}

    def random_prompt(self) -> tuple[nn.Parameter, nn.Parameter]:
        """Returns random tables [1, Hq] and [1, Hl], as large as rows of the word tables."""
        widths = self.model.query_tokens.shape[2], self.model.language_projection.out_features
        qformer, llm = (
            nn.Parameter(torch.randn(1, width) * spread)
            for width, spread in zip(widths, self.spread, strict=True)
        )
        return qformer, llm

    def margin(self, tokens: Tensor, question: Question) -> Tensor:
        """Returns l_no - l_yes [B] of normalised tower tokens [B, N, Hv]."""
        features = self.model.vision_model.post_layernorm(tokens)
        return self.model.margin(features, question)

    def question(self, tables: tuple[Tensor, Tensor]) -> Question:
        """Returns the question with the tables [P, Hq] and [P, Hl] in it."""
        return self._ask(*QUESTION, *tables)

    def plain_question(self, what: str) -> Question:
        """Returns a question about what is shown, without a soft prompt."""
        none = [torch.zeros(0, table.shape[1]) for table in self.soft_prompt]
        before, after = QUESTION
        return self._ask(before.replace("real", f"a {what}"), after, *none)

    def _ask(self, before: str, after: str, qformer: Tensor, llm: Tensor) -> Question:
        """Encodes a question once: what is around the learned rows is frozen."""
        device = self.model.device
        key = before, after, len(qformer), device
        if key not in self._asked:
            with torch.inference_mode(False), torch.no_grad():
                self._asked[key] = self.model.ask(before, after, qformer, llm)
        rows = {"qformer_rows": qformer.to(device), "llm_rows": llm.to(device)}
        return replace(self._asked[key], **rows)

    def prompt(self) -> SoftPrompt:
        """Returns the soft prompt as it is stored."""
        qformer, llm = (table.detach().cpu().clone() for table in self.soft_prompt)
        return SoftPrompt(qformer, llm, PromptMetadata(mean=self.pixels.mean, std=self.pixels.std))


def train(
    bridge: Bridge, data: TrainingData, schedule: Schedule, seed: int, report: Report
) -> None:
    """Trains bridge and soft prompt together, and leaves the moving average of both in place."""
    random = np.random.default_rng(seed)
    trained = [*bridge.weights.values(), *bridge.soft_prompt]
    for parameter in trained:
        parameter.requires_grad_(True)
    bridge.model.qformer.train()
    fused = bridge.model.device.type == "cuda"
    optimizer = torch.optim.AdamW(_groups(bridge, schedule), betas=(0.9, 0.98), fused=fused)
    peaks = [group["lr"] for group in optimizer.param_groups]
    averages = [parameter.detach().clone() for parameter in trained]
    for step in range(schedule.steps):
        _set_rates(optimizer, peaks, step, schedule.steps)
        loss = _batch_loss(bridge, data, schedule, random)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        keep = min(schedule.average, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(averages, [p.detach() for p in trained], 1 - keep)
        report(step + 1, float(loss.detach()))
    for average, parameter in zip(averages, trained, strict=True):
        parameter.data.copy_(average)
    bridge.model.eval()
    bridge.model.requires_grad_(False)


def tune_soft_prompt(
    bridge: Bridge, data: TrainingData, schedule: Schedule, seed: int, report: Report
) -> None:
    """Tunes the soft prompt alone, as in the paper: everything else is frozen."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(bridge.soft_prompt, lr=schedule.prompt_lr, weight_decay=0.0)
    for step in range(schedule.prompt_steps):
        _set_rates(optimizer, [schedule.prompt_lr], step, schedule.prompt_steps)
        batch = data.draw(random, schedule.batch)
        loss = _prompt_loss(bridge, data, schedule, batch, slice(None)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1, float(loss.detach()))


def _groups(bridge: Bridge, schedule: Schedule) -> list[dict[str, object]]:
    new, pretrained, small = [], [], list(bridge.soft_prompt)
    for name, parameter in bridge.weights.items():
        if parameter.ndim < 2 or name == "query_tokens":
            small.append(parameter)
        elif "crossattention" in name or "language_projection" in name:
            new.append(parameter)
        else:
            pretrained.append(parameter)
    decay = schedule.weight_decay
    return [
        {"params": new, "lr": schedule.lr, "weight_decay": decay},
        {"params": pretrained, "lr": schedule.lr * schedule.pretrained_lr, "weight_decay": decay},
        {"params": small, "lr": schedule.lr, "weight_decay": 0.0},
    ]


def _set_rates(optimizer: torch.optim.Optimizer, peaks: list[float], step: int, steps: int) -> None:
    """Sets the rates of a step: linear warm-up over 6 % of the steps, times a cosine to zero."""
    factor = min(1.0, (step + 1) / (0.06 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor


def _batch_loss(
    bridge: Bridge, data: TrainingData, schedule: Schedule, random: np.random.Generator
) -> Tensor:
    batch = data.draw(random, schedule.batch)
    nothing = round(schedule.batch * schedule.nothing)
    plain = nothing + round(schedule.batch * schedule.plain)
    losses = [_prompt_loss(bridge, data, schedule, batch, slice(plain, None))]

    tables = [table.detach() * 0 for table in bridge.soft_prompt]
    if random.random() < 0.75:
        tables = [table.detach() for table in bridge.random_prompt()]
    margin = bridge.margin(batch.tokens[:nothing], bridge.question((tables[0], tables[1])))
    losses.append(_cross_entropy(margin, torch.full_like(margin, 0.5)))

    known = [i for i in range(nothing, plain) if batch.kinds[i]]
    if known:
        what = ASKED[random.integers(len(ASKED))]
        margin = bridge.margin(batch.tokens[known], bridge.plain_question(what))
        is_not = margin.new_tensor([float(batch.kinds[i] != what) for i in known])
        losses.append(0.5 * _cross_entropy(margin, is_not))
    return torch.cat(losses).mean()


def _prompt_loss(
    bridge: Bridge, data: TrainingData, schedule: Schedule, batch: Batch, rows: slice
) -> Tensor:
    """Returns losses [b] of the question with the soft prompt."""
    tokens, pooled, labels = batch.mixed(rows)
    opinion = torch.sigmoid(data.teacher.logits(pooled))
    target = schedule.label_share * labels + (1 - schedule.label_share) * opinion
    return _cross_entropy(bridge.margin(tokens, bridge.question(bridge.soft_prompt)), target)


def _cross_entropy(margin: Tensor, target: Tensor) -> Tensor:
    # Label smoothing keeps margins where a sigmoid still tells them apart.
    return functional.binary_cross_entropy_with_logits(
        margin, 0.02 + 0.96 * target, reduction="none"
    )


@torch.inference_mode()
def margins(bridge: Bridge, view: Tokens, chosen: np.ndarray, batch: int = 64) -> np.ndarray:
    """Returns l_no - l_yes, float32 [n], of the pictures at the indices `chosen` [n]."""
    bridge.model.eval()
    question = bridge.question(bridge.soft_prompt)
    parts = [
        bridge.margin(torch.from_numpy(view.tokens[chosen[at : at + batch]]).float(), question)
        for at in range(0, len(chosen), batch)
    ]
    return torch.cat(parts).numpy()
