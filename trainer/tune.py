"""The training loop of prompt tuning: a frozen model, two tensors, a loss, the best epoch.

Every process of a group runs it on its shard of each batch. The result does not depend on their
number, up to rounding. Nor does it depend on an interruption: everything random is drawn from
the seed and the step.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from antifake.core.errors import AntifakeError
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip

from .checkpoint import CheckpointFolder, StepRecord
from .distributed import ProcessGroup
from .features import PLAIN, Features, View
from .objective import Objective
from .presets import Settings
from .replay import Replay
from .sampler import batch_of, class_weights, truth
from .samples import Sample
from .trainable import Trainable, check_frozen, tensor_versions


@dataclass(frozen=True)
class Task:
    """What is trained, on which samples, and how."""

    model: InstructBlip
    trainable: Trainable
    objective: Objective
    extractor: Features
    learn: Sequence[Sample]
    validate: Sequence[Sample]
    settings: Settings
    threshold: float
    """The start's: a margin above it counts as "AI-made"."""
    counts: Sequence[float] | None = None
    """How much each picture to learn from counts, such as 1/3 for one of three copies."""
    replay: Replay | None = None
    """What must stay as it is while the samples are learned."""

    @property
    def replayed(self) -> int:
        """Returns how many pictures there are to replay."""
        return len(self.replay.is_fake) if self.replay else 0

    @property
    def total_steps(self) -> int:
        return self.settings.total_steps(len(self.learn))


@dataclass(frozen=True)
class Score:
    """How good a prompt is on the validation samples."""

    loss: float
    accuracy: float
    """At the prompt's threshold."""


@dataclass
class Run:
    """The state of a run."""

    start: Score
    best: Score
    values: dict[str, Tensor]
    """The trained tensors of the epoch with the best validation loss."""
    step: int = 0
    best_step: int = 0
    stale_epochs: int = 0
    """Epochs in a row without a better validation loss."""

    def take(self, score: Score, trainable: Trainable) -> None:
        """Counts a validated epoch. Keeps its tensors if it is the best so far."""
        self.stale_epochs += 1
        if score.loss < self.best.loss:
            self.best, self.best_step, self.values = score, self.step, trainable.copy()
            self.stale_epochs = 0


Report = Callable[[Run, StepRecord], None]
"""Called after every step. At the end of an epoch the record has the validation, too."""


def tune(
    task: Task, process_group: ProcessGroup, checkpoints: CheckpointFolder, report: Report
) -> Run:
    """Trains, and returns the run with the best epoch's tensors. Raises AntifakeError."""
    frozen = tensor_versions(task.model, task.trainable)
    loop = TrainingLoop(task, process_group)
    found = checkpoints.load(task.trainable.n_bytes) if process_group.is_first else None
    run = loop.resume(process_group.broadcast(found)) or loop.start()
    checkpoints.start_log(run.step)
    while run.step < task.total_steps and not is_stale(run, task.settings):
        record, ends_epoch = loop.step(run)
        if ends_epoch:
            score = loop.validation()
            run.take(score, task.trainable)
            record = replace(record, validation_loss=score.loss, validation_accuracy=score.accuracy)
        checkpoints.log(record)
        report(run, record)
        if ends_epoch or checkpoints.is_due():
            checkpoints.save(loop.state(run))
    check_frozen(task.model, task.trainable, frozen)
    return run


def fit(task: Task, process_group: ProcessGroup, report: Callable[[int], None]) -> None:
    """Trains for all steps, without validation and without files. Raises AntifakeError.

    The trainable has the last step's tensors then. For samples that are too few to hold some back
    for the choice of an epoch.
    """
    frozen = tensor_versions(task.model, task.trainable)
    loop = TrainingLoop(task, process_group)
    unknown = Score(float("nan"), float("nan"))
    run = Run(start=unknown, best=unknown, values={})
    while run.step < task.total_steps:
        loop.step(run)
        report(run.step)
    check_frozen(task.model, task.trainable, frozen)


def is_stale(run: Run, settings: Settings) -> bool:
    return 0 < settings.patience <= run.stale_epochs


class TrainingLoop:
    """The optimiser, and one step of it."""

    def __init__(self, task: Task, process_group: ProcessGroup) -> None:
        self.task, self.process_group = task, process_group
        self._settings, self._device = task.settings, task.model.device
        self._tensors = task.trainable.tensors
        self._origin = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}
        self._weights = class_weights(task.learn, task.settings, task.counts).to(self._device)
        self._optimizer = torch.optim.AdamW(
            list(self._tensors.values()),
            lr=task.settings.lr,
            betas=(0.9, 0.999),
            weight_decay=task.settings.weight_decay,
        )
        is_half = task.model.precision.dtype == torch.float16
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=is_half)

    def start(self) -> Run:
        """Returns a new run, after validating its start."""
        score = self.validation()
        # A random start is not a result, so any trained epoch is better.
        bar = score if self._settings.warm else Score(float("inf"), 0.0)
        return Run(start=score, best=bar, values=self.task.trainable.copy())

    def resume(self, state: dict[str, Any] | None) -> Run | None:
        """Returns the run of a checkpoint's state, and restores tensors and optimiser."""
        if state is None:
            return None
        self.task.trainable.put(state["now"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        return Run(
            **state["run"] | {name: Score(**state["run"][name]) for name in ("start", "best")}
        )

    def state(self, run: Run) -> dict[str, Any]:
        """Returns all that `resume` needs, in types that torch.load reads with weights_only."""
        return {
            "run": asdict(run),
            "now": self.task.trainable.copy(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def step(self, run: Run) -> tuple[StepRecord, bool]:
        """Trains on the next batch. Returns its record, and whether an epoch ends with it."""
        settings, n = self._settings, len(self.task.learn)
        epoch, within = divmod(run.step, settings.steps_per_epoch(n))
        lr = settings.lr_at(epoch, within)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad(set_to_none=True)
        loss, accuracy = self._backward(batch_of(n, epoch, within, settings), run.step)
        self._scaler.unscale_(self._optimizer)
        norm = checked_norm(
            self.task.trainable, is_first=run.step == 0, may_overflow=self._scaler.is_enabled()
        )
        self._scaler.step(self._optimizer)
        self._scaler.update()
        run.step += 1
        is_last = run.step == self.task.total_steps
        ends_epoch = is_last or within + 1 == settings.steps_per_epoch(n)
        return StepRecord(run.step, epoch, loss, accuracy, lr, norm), ends_epoch

    def _seed_dropout(self, step: int) -> None:
        """Seeds the generator for each step, so that a resumed run has the same dropout."""
        random = np.random.default_rng([step, self.process_group.rank])
        seed = int(random.integers(2**62))
        if self._device.type == "cpu":
            # For a device that is never used, torch.manual_seed keeps every call with its stack.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def _backward(self, batch: Sequence[tuple[int, View]], step: int) -> tuple[float, float]:
        """Computes the gradients of the whole batch, in every process.

        Returns its loss and accuracy.
        """
        task, process_group = self.task, self.process_group
        task.model.qformer.train(self._settings.dropout)
        self._seed_dropout(step)
        sums = torch.zeros(2, device=self._device)  # loss, accuracy
        mine = process_group.shard(batch)
        if mine:
            chosen = [i for i, _ in mine]
            pictures = [task.learn[i] for i in chosen]
            features = task.extractor.features(pictures, [view for _, view in mine])
            is_fake = truth(pictures).to(self._device)
            losses, margins = task.objective(features, task.trainable.question, is_fake)
            loss = (losses * self._weights[chosen]).sum() / len(batch)
            torch.autograd.backward(self._scaler.scale(loss))
            right = ((margins > task.threshold) == is_fake).sum()
            sums += torch.stack([loss.detach(), right / len(batch)])
        if task.replay and process_group.is_first:
            penalty = task.replay.penalty(task.model, task.trainable.question, step)
            torch.autograd.backward(self._scaler.scale(penalty))
        if self._settings.l2_sp and process_group.is_first:
            torch.autograd.backward(
                self._scaler.scale(self._settings.l2_sp * self._l2_sp_penalty())
            )
        process_group.all_reduce_gradients(list(self._tensors.values()))
        loss_sum, accuracy = process_group.all_reduce(sums).tolist()
        return loss_sum, accuracy

    def _l2_sp_penalty(self) -> Tensor:
        """Returns L2-SP: the squared distance from the start over the start's squared length."""
        moved = [(t - self._origin[name]).square().sum() for name, t in self._tensors.items()]
        whole = [start.square().sum() for start in self._origin.values()]
        return torch.stack(moved).sum() / torch.stack(whole).sum()

    def validation(self) -> Score:
        """Returns mean loss and accuracy on the validation samples, judged as in use."""
        pictures = self.task.validate
        losses, margins = self.judge(pictures)
        weight = class_weights(pictures, self._settings)
        right = (margins > self.task.threshold) == truth(pictures)
        return Score(float((losses * weight).mean()), float(right.float().mean()))

    @torch.no_grad()
    def judge(self, pictures: Sequence[Sample]) -> tuple[Tensor, Tensor]:
        """Returns losses [n] and margins [n] on the CPU, of plain views and without dropout."""
        task = self.task
        found: list[tuple[float, float]] = []
        task.model.qformer.eval()
        mine = self.process_group.shard(pictures)
        for start in range(0, len(mine), self._settings.eval_batch):
            batch = mine[start : start + self._settings.eval_batch]
            features = task.extractor.features(batch, [PLAIN] * len(batch))
            is_fake = truth(batch).to(self._device)
            losses, margins = task.objective(features, task.trainable.question, is_fake)
            found += zip(losses.tolist(), margins.tolist(), strict=True)
        columns = torch.tensor(self.process_group.gather(found))  # [n, 2]
        return columns[:, 0], columns[:, 1]


def checked_norm(trainable: Trainable, *, is_first: bool, may_overflow: bool) -> float:
    """Returns the gradient's norm. Raises AntifakeError where it is useless."""
    grads = {name: t.grad for name, t in trainable.tensors.items() if t.grad is not None}
    norm = float(torch.stack([grad.norm() for grad in grads.values()]).norm())
    # In fp16 the scaler skips a step that overflowed, and lowers its scale.
    if not np.isfinite(norm) and not may_overflow:
        raise AntifakeError(_("The gradient is not a number, so nothing can be learned from it."))
    if is_first and not all(grads[name].any() for name in trainable.moved_at_once):
        raise AntifakeError(
            _(
                "The first step has no gradient: nothing that the pictures show reaches the word, "
                "so it cannot learn. Is the model complete?"
            )
        )
    return norm
