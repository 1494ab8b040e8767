"""The losses: the official one over the whole vocabulary, or "yes" against "no" alone."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from antifake.core.errors import UsageError
from antifake.core.i18n import _
from antifake.core.instructblip import InstructBlip, Question
from antifake.core.prompt_file import PromptMetadata

Objective = Callable[[Tensor, Question, Tensor], tuple[Tensor, Tensor]]
"""Features [B, N, Hv], the question, is_fake bool [B] -> losses [B], margins l_no - l_yes [B]."""


def objective(name: str, model: InstructBlip, about: PromptMetadata) -> Objective:
    """Returns the loss of that name. Raises UsageError where the model lacks what it needs."""
    return OfficialLoss(model) if name == "official" else PairLoss(model, about)


class PairLoss:
    """Binary cross-entropy of the calibrated margin.

    Without the calibration the first steps would only move the threshold, which the prompt
    knows already.
    """

    def __init__(self, model: InstructBlip, about: PromptMetadata) -> None:
        self._model, self._about = model, about

    def __call__(
        self, features: Tensor, question: Question, is_fake: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns losses [B] and margins [B] of features [B, N, Hv] and is_fake bool [B]."""
        margins = self._model.margin(features, question)
        logits = (margins - self._about.threshold) / self._about.temperature
        losses = functional.binary_cross_entropy_with_logits(
            logits, is_fake.float(), reduction="none"
        )
        return losses, margins


class OfficialLoss:
    """Cross-entropy over the whole vocabulary, averaged over the answer and the </s> after it.

    Shapes beside core's: Hl is the language model's width, V its vocabulary.
    """

    def __init__(self, model: InstructBlip) -> None:
        manifest = model.manifest
        if not manifest.has_whole_vocabulary:
            raise UsageError(
                _(
                    "{model} keeps only a few rows of its vocabulary, and the official loss needs "
                    "all: prepare it again with --full-tables, or train with --loss pair.",
                    model=manifest.name,
                )
            )
        self._model = model
        tokens = manifest.tokens
        self._answers = torch.tensor([tokens.yes, tokens.no], device=model.device)
        self._end = torch.tensor([tokens.after_answer], device=model.device)  # the official </s>

    def __call__(
        self, features: Tensor, question: Question, is_fake: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns losses [B] and margins [B] of features [B, N, Hv] and is_fake bool [B]."""
        model, said = self._model, self._answers[is_fake.long()]  # 0 "yes", 1 "no"
        # The same queries as in PairLoss, so that both losses see the same.
        logits = model.answer_logits(model.read(features, question), said)  # [B, 2, V]
        targets = torch.stack([said, self._end.expand(len(said))], dim=1)  # [B, 2]
        losses = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        yes, no = logits[:, 0, self._answers].unbind(dim=1)
        return losses.mean(dim=1), no - yes
