"""What the project's own pipeline must agree with where T5 answers: transformers' own forward.

Nothing here is shared with the project; see kit.reference, whose letters these are.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import InstructBlipForConditionalGeneration, InstructBlipProcessor

from .reference import ANSWERS, QUESTION, plain_ids, rows_in, single_id
from .tiny_t5 import PLACEHOLDER


@cache
def published(folder: Path) -> tuple[InstructBlipProcessor, InstructBlipForConditionalGeneration]:
    """Returns what a folder holds, frozen."""
    model = InstructBlipForConditionalGeneration.from_pretrained(folder)
    return InstructBlipProcessor.from_pretrained(folder), model.requires_grad_(False).eval()


class HfT5:
    """The model of a folder, asked one question with its learned rows."""

    def __init__(
        self,
        folder: Path,
        pieces: tuple[str, str] = QUESTION,
        *,
        soft_qformer: Tensor,
        soft_llm: Tensor,
    ) -> None:
        processor, model = published(folder)
        self.model = model
        words, qformer_words = processor.tokenizer, processor.qformer_tokenizer

        before, after = (plain_ids(words, piece) for piece in pieces)
        places = [model.config.image_token_index] * model.config.num_query_tokens
        placeholder = words.convert_tokens_to_ids(PLACEHOLDER)
        learned = [placeholder] * len(soft_llm)
        self.end = words.eos_token_id
        self.prompt_ids = [*places, *before, *learned, *after, self.end]
        self.answer_ids = [single_id(words, answer) for answer in ANSWERS]

        before, after = (plain_ids(qformer_words, piece) for piece in pieces)
        learned = [qformer_words.pad_token_id] * len(soft_qformer)
        first, last = qformer_words.cls_token_id, qformer_words.sep_token_id
        self.qformer_ids = [first, *before, *learned, *after, last]

        self._tables = (
            (model.get_input_embeddings(), placeholder, soft_llm),
            (model.qformer.get_input_embeddings(), qformer_words.pad_token_id, soft_qformer),
        )

    def logits(self, said: Sequence[int], pixels: Tensor) -> Tensor:
        """[B, T, V] for the decoder's ids [T], the same for all, and pixels [B, 3, S, S]."""
        input_ids = torch.tensor(self.prompt_ids).expand(len(pixels), -1)
        qformer_ids = torch.tensor(self.qformer_ids).expand(len(pixels), -1)
        (llm, qformer) = self._tables
        with rows_in(*llm), rows_in(*qformer):
            outputs = self.model(
                pixel_values=pixels,
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                qformer_input_ids=qformer_ids,
                qformer_attention_mask=torch.ones_like(qformer_ids),
                decoder_input_ids=torch.tensor(said).expand(len(pixels), -1),
            )
        logits: Tensor = outputs.logits
        return logits

    def margin(self, pixels: Tensor) -> Tensor:
        """l_no - l_yes [B] at the decoder's first position, after "<pad>"."""
        yes, no = self.answer_ids
        logits = self.logits([0], pixels)[:, 0]
        return logits[:, no] - logits[:, yes]

    def loss(self, answer: int, pixels: Tensor) -> Tensor:
        """The loss of an answer and of the "</s>" after it, summed as by LAVIS, [B]."""
        logits = self.logits([0, answer], pixels).transpose(1, 2)  # [B, V, 2]
        targets = torch.tensor([answer, self.end]).expand(len(pixels), -1)
        return nn.functional.cross_entropy(logits, targets, reduction="none").sum(dim=1)

    @torch.no_grad()
    def official_ranking(self, pixels: Tensor) -> list[str]:
        """The answer with the lower loss for each picture; a tie goes to "yes"."""
        losses = torch.stack([self.loss(one, pixels) for one in self.answer_ids], dim=1)  # [B, 2]
        best = losses.argsort(dim=1, stable=True)[:, 0]
        return [ANSWERS[index] for index in best.tolist()]
