"""The loop, top to bottom: a bridge between frozen features and frozen words.

Three questions are asked in every batch. With the pseudo-word: is it real?
With a word that means nothing: the answer must be an even chance, so that it
is the learned word and not the rest of the question that turns the model into
a detector. And in plain words, about what is shown: a model that answers those
can be prompt-tuned to other tasks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from antifake.core.instructblip import InstructBlip, Question
from antifake.core.prompt import SoftPrompt
from antifake.core.prompt_file import QUESTION, PromptMetadata
from antifake.trainer.examples import Example

from .bridge import is_trained, look_at_cls
from .features import CLIP_MEAN, CLIP_STD, Features
from .teacher import Teacher

Report = Callable[[int, float], None]

# What index.csv says of a picture, as answers to plain questions; other kinds say too little.
KINDS = {"photo": "photograph", "face": "photograph", "art": "painting", "screenshot": "screenshot",
         "chart": "chart"}  # fmt: skip
ASKED = ("photograph", "painting", "screenshot")


@dataclass(frozen=True)
class Schedule:
    """How long, how fast. The defaults are what MODEL_CARD.md reports on."""

    steps: int = 900
    batch: int = 48
    lr: float = 3e-4
    pretrained_lr: float = 0.3
    """Share of `lr` for matrices that begin pretrained."""
    weight_decay: float = 0.05
    label_share: float = 0.1
    """Of the label in the target; the rest is the teacher's opinion."""
    nothing: float = 0.15
    """Share of a batch that is asked with a meaningless word."""
    plain: float = 0.15
    """Share that is asked in plain words."""
    average: float = 0.99
    """Of the moving average of weights that is kept in the end."""
    word_steps: int = 200
    word_lr: float = 2e-3


@dataclass(frozen=True)
class Lessons:
    """Everything a run learns from."""

    examples: Sequence[Example]
    chosen: np.ndarray
    """Indices of the examples to train on."""
    weights: np.ndarray
    """How often each of them is drawn; sums to 1."""
    views: Sequence[Features]
    teacher: Teacher

    def draw(self, random: np.random.Generator, batch: int) -> "Batch":
        """Pictures in one of their views, and how to mix them.

        All their patches: with 64 random ones of the 196, as it once was, the bridge
        followed a noisy mean of them, and was 0.01 to 0.02 AUC worse on sources left out.
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
            torch.from_numpy(tokens).float(), torch.from_numpy(pooled), torch.from_numpy(labels),
            [KINDS.get(self.examples[i].kind) for i in picked], torch.from_numpy(share),
            torch.from_numpy(push),
        )  # fmt: skip


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
    """float32 [B], in [0, 1]: how much of the picture is left when it is mixed with the next"""
    push: Tensor
    """float32 [B], in [0, 1]: how far it is pushed along the way between two others"""

    def mixed(self, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, pooled features and labels of some rows, mixed and pushed.

        A mixture lies between pictures that are known. The push leads away from all of
        them, to where pictures of unknown sources lie: the bridge must not be surer
        there than its teacher.
        """
        share, push = self.share[rows], self.push[rows]
        tokens, pooled = (
            _mixed(value, share) + _beside(push, value) * (value.roll(2, 0) - value.roll(3, 0))
            for value in (self.tokens[rows], self.pooled[rows])
        )
        return tokens, pooled, _mixed(self.labels[rows], share)


def _mixed(value: Tensor, share: Tensor) -> Tensor:
    """Each row of `value` [b, ...] with its neighbour; `share` [b] of it is left."""
    left = _beside(share, value)
    return left * value + (1 - left) * value.roll(1, 0)


def _beside(numbers: Tensor, value: Tensor) -> Tensor:
    """Numbers [b], to be multiplied with the rows of `value` [b, ...]."""
    return numbers.view(-1, *[1] * (value.ndim - 1))


class Bridge:
    """A loaded untrained model, its trainable weights, and the two learned words."""

    def __init__(self, model: InstructBlip, seen: np.ndarray, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = model
        weights = dict(model.named_parameters())
        with torch.no_grad():
            look_at_cls({name: value.data for name, value in weights.items()}, seen)
        self.weights = {name: value for name, value in weights.items() if is_trained(name)}
        self.spread = (
            float(model.qformer.get_input_embeddings().words.weight.std()),
            float(model.language_model.get_input_embeddings().weight.std()),
        )
        self.word = self.random_word()

    def random_word(self) -> tuple[nn.Parameter, nn.Parameter]:
        """A pseudo-word [1, H] a side, as large as a real word."""
        widths = self.model.query_tokens.shape[2], self.model.language_projection.out_features
        qformer, llm = (
            nn.Parameter(torch.randn(1, width) * spread)
            for width, spread in zip(widths, self.spread, strict=True)
        )
        return qformer, llm

    def margin(self, tokens: Tensor, question: Question) -> Tensor:
        """Normalised tower tokens [B, N, Hv] -> l_no - l_yes [B]."""
        features = self.model.vision_model.post_layernorm(tokens)
        return self.model.margin(features, question)

    def asked(self, word: tuple[Tensor, Tensor]) -> Question:
        return self.model.ask(*QUESTION, *word)

    def asked_plainly(self, what: str) -> Question:
        none = [torch.zeros(0, part.shape[1]) for part in self.word]
        before, after = QUESTION
        return self.model.ask(before.replace("real", f"a {what}"), after, *none)

    def prompt(self) -> SoftPrompt:
        qformer, llm = (part.detach().clone() for part in self.word)
        return SoftPrompt(qformer, llm, PromptMetadata(mean=CLIP_MEAN, std=CLIP_STD))


def train(bridge: Bridge, lessons: Lessons, plan: Schedule, seed: int, report: Report) -> None:
    """Train bridge and words together; leaves the moving average of both in place."""
    random = np.random.default_rng(seed)
    trained = [*bridge.weights.values(), *bridge.word]
    for parameter in trained:
        parameter.requires_grad_(True)
    bridge.model.qformer.train()
    optimizer = torch.optim.AdamW(_groups(bridge, plan), betas=(0.9, 0.98))
    peaks = [group["lr"] for group in optimizer.param_groups]
    averages = [parameter.detach().clone() for parameter in trained]
    for step in range(plan.steps):
        _set_rates(optimizer, peaks, step, plan.steps)
        loss = _loss(bridge, lessons, plan, random)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        keep = min(plan.average, (step + 1) / (step + 10))
        for average, parameter in zip(averages, trained, strict=True):
            average.lerp_(parameter.detach(), 1 - keep)
        report(step + 1, float(loss.detach()))
    for average, parameter in zip(averages, trained, strict=True):
        parameter.data.copy_(average)
    bridge.model.eval()
    bridge.model.requires_grad_(False)


def tune_word(bridge: Bridge, lessons: Lessons, plan: Schedule, seed: int, report: Report) -> None:
    """Prompt tuning as in the paper: everything frozen but the two words."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(bridge.word, lr=plan.word_lr, weight_decay=0.0)
    for step in range(plan.word_steps):
        _set_rates(optimizer, [plan.word_lr], step, plan.word_steps)
        batch = lessons.draw(random, plan.batch)
        loss = _judged(bridge, lessons, plan, batch, slice(None)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1, float(loss.detach()))


def _groups(bridge: Bridge, plan: Schedule) -> list[dict[str, object]]:
    new, pretrained, small = [], [], list(bridge.word)
    for name, parameter in bridge.weights.items():
        if parameter.ndim < 2 or name == "query_tokens":
            small.append(parameter)
        elif "crossattention" in name or "language_projection" in name:
            new.append(parameter)
        else:
            pretrained.append(parameter)
    decay = plan.weight_decay
    return [
        {"params": new, "lr": plan.lr, "weight_decay": decay},
        {"params": pretrained, "lr": plan.lr * plan.pretrained_lr, "weight_decay": decay},
        {"params": small, "lr": plan.lr, "weight_decay": 0.0},
    ]


def _set_rates(optimizer: torch.optim.Optimizer, peaks: list[float], step: int, steps: int) -> None:
    """Linear warm-up over 6 %, then a cosine to zero."""
    factor = min(1.0, (step + 1) / (0.06 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor


def _loss(bridge: Bridge, lessons: Lessons, plan: Schedule, random: np.random.Generator) -> Tensor:
    batch = lessons.draw(random, plan.batch)
    nothing = round(plan.batch * plan.nothing)
    plain = nothing + round(plan.batch * plan.plain)
    losses = [_judged(bridge, lessons, plan, batch, slice(plain, None))]

    word = [part.detach() * 0 for part in bridge.word]
    if random.random() < 0.75:
        word = [part.detach() for part in bridge.random_word()]
    margin = bridge.margin(batch.tokens[:nothing], bridge.asked((word[0], word[1])))
    losses.append(_cross_entropy(margin, torch.full_like(margin, 0.5)))

    known = [i for i in range(nothing, plain) if batch.kinds[i]]
    if known:
        what = ASKED[random.integers(len(ASKED))]
        margin = bridge.margin(batch.tokens[known], bridge.asked_plainly(what))
        is_not = torch.tensor([float(batch.kinds[i] != what) for i in known])
        losses.append(0.5 * _cross_entropy(margin, is_not))
    return torch.cat(losses).mean()


def _judged(bridge: Bridge, lessons: Lessons, plan: Schedule, batch: Batch, rows: slice) -> Tensor:
    """Loss of the question with the pseudo-word, [b]."""
    tokens, pooled, labels = batch.mixed(rows)
    opinion = torch.sigmoid(lessons.teacher.logits(pooled))
    target = plan.label_share * labels + (1 - plan.label_share) * opinion
    return _cross_entropy(bridge.margin(tokens, bridge.asked(bridge.word)), target)


def _cross_entropy(margin: Tensor, target: Tensor) -> Tensor:
    # A little doubt in every target keeps margins where a sigmoid still tells them apart.
    return functional.binary_cross_entropy_with_logits(
        margin, 0.02 + 0.96 * target, reduction="none"
    )


@torch.inference_mode()
def margins(bridge: Bridge, features: Features, chosen: np.ndarray, batch: int = 64) -> np.ndarray:
    """l_no - l_yes of whole pictures, float32 [n]."""
    bridge.model.eval()
    question = bridge.asked(bridge.word)
    parts = [
        bridge.margin(torch.from_numpy(features.tokens[chosen[at : at + batch]]).float(), question)
        for at in range(0, len(chosen), batch)
    ]
    return torch.cat(parts).numpy()
