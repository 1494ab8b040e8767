"""The one loop that teaches a word: a frozen model, two tensors, a loss, the best epoch.

Every process of a crew runs it and does its share of each batch; the result does not depend on
how many they are, beyond rounding. Nor does it depend on an interruption: all that is random is
drawn anew from the seed and the step.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from antifake.core.errors import AntifakeError
from antifake.core.instructblip import InstructBlip

from .batches import batch_of, class_weights, truth
from .crew import Crew
from .features import PLAIN, Eyes, View
from .journal import Journal, Line
from .learner import Learner, check_frozen, versions
from .objective import Objective
from .presets import Settings
from .survey import Surveyed


@dataclass(frozen=True)
class Task:
    """What is taught, on what, by what."""

    model: InstructBlip
    learner: Learner
    objective: Objective
    eyes: Eyes
    learn: Sequence[Surveyed]
    validate: Sequence[Surveyed]
    settings: Settings
    threshold: float
    """Of the start: a margin above it counts as "AI-made"."""

    @property
    def total_steps(self) -> int:
        return self.settings.total_steps(len(self.learn))


@dataclass(frozen=True)
class Score:
    """How good the word is on the validation pictures."""

    loss: float
    accuracy: float
    """At the prompt's own threshold."""


@dataclass
class Run:
    """Where a run is."""

    start: Score
    best: Score
    values: dict[str, Tensor]
    """The learned tensors when validation was best."""
    step: int = 0
    best_step: int = 0
    stale_epochs: int = 0
    """Epochs in a row without a better validation loss."""

    def take(self, score: Score, learner: Learner) -> None:
        """Count a validated epoch in; its tensors are kept where it is the best so far."""
        self.stale_epochs += 1
        if score.loss < self.best.loss:
            self.best, self.best_step, self.values = score, self.step, learner.copy()
            self.stale_epochs = 0


Report = Callable[[Run, Line], None]
"""Told of every step, and with it of the validation at an epoch's end."""


def tune(task: Task, crew: Crew, journal: Journal, report: Report) -> Run:
    """Teach the word; gives the run with the best epoch's tensors. Raises AntifakeError."""
    frozen = versions(task.model, task.learner)
    loop = Loop(task, crew)
    run = loop.go_on(crew.as_first(journal.load() if crew.is_first else None)) or loop.begin()
    journal.begin(run.step)
    while run.step < task.total_steps and not is_stale(run, task.settings):
        line, ends_epoch = loop.step(run)
        if ends_epoch:
            score = loop.validation()
            run.take(score, task.learner)
            line = replace(line, validation_loss=score.loss, validation_accuracy=score.accuracy)
        journal.write(line)
        report(run, line)
        if ends_epoch or journal.is_due():
            journal.keep(loop.state(run))
    check_frozen(task.model, task.learner, frozen)
    return run


def is_stale(run: Run, settings: Settings) -> bool:
    return 0 < settings.patience <= run.stale_epochs


class Loop:
    """The optimiser and what one step of it is."""

    def __init__(self, task: Task, crew: Crew) -> None:
        self.task, self.crew = task, crew
        self._settings, self._device = task.settings, task.model.device
        self._tensors = task.learner.tensors
        self._origin = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}
        self._weights = class_weights(task.learn, task.settings).to(self._device)
        self._optimizer = torch.optim.AdamW(
            list(self._tensors.values()),
            lr=task.settings.lr,
            betas=(0.9, 0.999),
            weight_decay=task.settings.weight_decay,
        )
        is_half = task.model.precision.dtype == torch.float16
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=is_half)

    def begin(self) -> Run:
        """A new run, its start validated."""
        score = self.validation()
        # A random start is no result: there the best of those that learned is taken.
        bar = score if self._settings.warm else Score(float("inf"), 0.0)
        return Run(start=score, best=bar, values=self.task.learner.copy())

    def go_on(self, state: dict[str, Any] | None) -> Run | None:
        """The run that a checkpoint is of."""
        if state is None:
            return None
        self.task.learner.put(state["now"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        return Run(
            **state["run"] | {name: Score(**state["run"][name]) for name in ("start", "best")}
        )

    def state(self, run: Run) -> dict[str, Any]:
        """All that `go_on` needs, as weights_only reads it."""
        return {
            "run": asdict(run),
            "now": self.task.learner.copy(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def step(self, run: Run) -> tuple[Line, bool]:
        """Learn from the next batch; gives the log's line, and whether an epoch ends with it."""
        settings, n = self._settings, len(self.task.learn)
        epoch, within = divmod(run.step, settings.steps_per_epoch(n))
        lr = settings.lr_at(epoch, within)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad(set_to_none=True)
        loss, accuracy = self._backward(batch_of(n, epoch, within, settings), run.step)
        self._scaler.unscale_(self._optimizer)
        norm = checked_norm(
            self.task.learner, is_first=run.step == 0, may_overflow=self._scaler.is_enabled()
        )
        self._scaler.step(self._optimizer)
        self._scaler.update()
        run.step += 1
        is_last = run.step == self.task.total_steps
        ends_epoch = is_last or within + 1 == settings.steps_per_epoch(n)
        return Line(run.step, epoch, loss, accuracy, lr, norm), ends_epoch

    def _backward(self, batch: Sequence[tuple[int, View]], step: int) -> tuple[float, float]:
        """Gradients of the whole batch, in every process; gives its loss and accuracy."""
        task, crew = self.task, self.crew
        task.model.qformer.train(self._settings.dropout)
        # Drawn anew for each step, so that a run that goes on drops what it would have dropped.
        torch.manual_seed(int(np.random.default_rng([step, crew.rank]).integers(2**62)))
        told = torch.zeros(2, device=self._device)  # loss, right answers
        mine = crew.share(batch)
        if mine:
            chosen = [i for i, _ in mine]
            pictures = [task.learn[i] for i in chosen]
            features = task.eyes.features(pictures, [view for _, view in mine])
            is_fake = truth(pictures).to(self._device)
            losses, margins = task.objective(features, task.learner.question, is_fake)
            loss = (losses * self._weights[chosen]).sum() / len(batch)
            torch.autograd.backward(self._scaler.scale(loss))
            right = ((margins > task.threshold) == is_fake).sum()
            told += torch.stack([loss.detach(), right / len(batch)])
        if self._settings.tether and crew.is_first:
            torch.autograd.backward(self._scaler.scale(self._settings.tether * self._wandered()))
        crew.sum_gradients(list(self._tensors.values()))
        loss_sum, accuracy = crew.summed(told).tolist()
        return loss_sum, accuracy

    def _wandered(self) -> Tensor:
        """The squared distance from the start, in squared lengths of the start."""
        moved = [(t - self._origin[name]).square().sum() for name, t in self._tensors.items()]
        whole = [start.square().sum() for start in self._origin.values()]
        return torch.stack(moved).sum() / torch.stack(whole).sum()

    def validation(self) -> Score:
        """The mean loss and the accuracy on the validation pictures, as they are judged."""
        pictures = self.task.validate
        losses, margins = self.judge(pictures)
        weight = class_weights(pictures, self._settings)
        right = (margins > self.task.threshold) == truth(pictures)
        return Score(float((losses * weight).mean()), float(right.float().mean()))

    @torch.no_grad()
    def judge(self, pictures: Sequence[Surveyed]) -> tuple[Tensor, Tensor]:
        """Losses and margins [n] on the CPU: plain pictures, no dropout."""
        task = self.task
        found: list[tuple[float, float]] = []
        task.model.qformer.eval()
        mine = self.crew.share(pictures)
        for start in range(0, len(mine), self._settings.eval_batch):
            batch = mine[start : start + self._settings.eval_batch]
            features = task.eyes.features(batch, [PLAIN] * len(batch))
            is_fake = truth(batch).to(self._device)
            losses, margins = task.objective(features, task.learner.question, is_fake)
            found += zip(losses.tolist(), margins.tolist(), strict=True)
        columns = torch.tensor(self.crew.gathered(found))  # [n, 2]
        return columns[:, 0], columns[:, 1]


def checked_norm(learner: Learner, *, is_first: bool, may_overflow: bool) -> float:
    """The length of the gradient. Raises AntifakeError where it cannot teach anything."""
    grads = {name: t.grad for name, t in learner.tensors.items() if t.grad is not None}
    norm = float(torch.stack([grad.norm() for grad in grads.values()]).norm())
    # In fp16 the scaler leaves out a step that overflowed, and tries smaller numbers.
    if not np.isfinite(norm) and not may_overflow:
        raise AntifakeError("The gradient is not a number, so nothing can be learned from it.")
    if is_first and not all(grads[name].any() for name in learner.moved_at_once):
        raise AntifakeError(
            "The first step has no gradient: nothing that the pictures show reaches the word, "
            "so it cannot learn. Is the model whole?"
        )
    return norm
