"""Judges as the official test.py does: it ranks the losses of the answers "yes" and "no".

Every picture meets both answers in one batch, each after the question, and the answer with the
lower loss wins; equal losses mean "yes", a real picture. It samples nothing and searches no beams
(its generating variant is commented out). A fitted threshold and temperature have no place in it.

Shapes: see antifake.core. T is the text with the queries' places.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from antifake.core.detector import Detector
from antifake.core.instructblip import InstructBlip, Question
from antifake.core.prompt import SoftPrompt

IGNORED = -100


class OfficialDetector(Detector):
    """A detector whose margin is the loss of "yes" less that of "no"; 0 decides."""

    def __init__(self, detector: Detector) -> None:
        about = replace(detector.prompt.about, threshold=0.0, temperature=1.0)
        prompt = SoftPrompt(detector.prompt.qformer, detector.prompt.llm, about)
        super().__init__(detector.model, prompt, detector.prompt_version)
        self._forward = self._margins_of  # without CUDA graphs: it is here to be compared

    def _margins_of(self, pixels: Tensor) -> Tensor:
        """pixels [B, 3, S, S] -> margins [B]"""
        features = self.model.vision_features(pixels)
        if self.model.manifest.tokens.closing is not None:
            # T5's answers are two tokens, and its model ranks them itself.
            return self.model.official_margin(features, self._question)
        losses = candidate_losses(self.model, features, self._question)
        return losses[:, 0] - losses[:, 1]


def candidate_losses(model: InstructBlip, features: Tensor, question: Question) -> Tensor:
    """features [B, N, Hv] -> LLaMA's losses of "yes" and of "no", float32 [B, 2].

    They are summed over the text, of which only the answer counts. Where a bundle keeps only some
    rows of its tables, the loss is over these, and the answers' own embeddings may be zeros.
    Neither changes which loss is lower.
    """
    tokens = model.manifest.tokens
    batch, answers = len(features), (tokens.yes, tokens.no)
    asked = model.read(features, question).repeat_interleave(2, dim=0)  # [2 B, T, Hl]
    said = _embeddings(model, answers)[:, None].repeat(batch, 1, 1)  # [2 B, 1, Hl]
    states = model.states(asked, said)
    with model.precision.autocast():
        # In two dimensions: on a bf16 CPU Linear would copy the head for each picture.
        logits = model.lm_head(states.flatten(0, 1)).view(*states.shape[:2], -1)  # [2 B, T, V]
    targets = torch.full(logits.shape[:2], IGNORED, device=logits.device)
    targets[:, -1] = torch.tensor(_rows(model, "lm_head", answers), device=targets.device).repeat(
        batch
    )
    shifted = logits[:, :-1].float().transpose(1, 2)  # [2 B, V, T - 1]
    losses = functional.cross_entropy(
        shifted, targets[:, 1:], ignore_index=IGNORED, reduction="none"
    )
    return losses.sum(dim=1).view(batch, 2)


def _rows(model: InstructBlip, table: str, ids: Sequence[int]) -> list[int]:
    kept = model.manifest.rows.get(table)
    return [id_ if kept is None else kept.index(id_) for id_ in ids]


def _embeddings(model: InstructBlip, answers: Sequence[int]) -> Tensor:
    """Returns the embeddings of the answers, [2, Hl]: zeros where the table was cut."""
    table = model.language_model.get_input_embeddings()
    try:
        rows = _rows(model, "llm", answers)
    except ValueError:
        return torch.zeros(len(answers), table.embedding_dim, device=model.device)
    found: Tensor = table(torch.tensor(rows, device=model.device))
    return found.float()
