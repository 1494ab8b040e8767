"""What the project's own pipeline must agree with: transformers' own forward.

Nothing here is shared with the project. No submodule is run by hand: the model's
`forward` gets ids, "<image>" where the queries go and "[PAD]" where the learned
rows go (a prompt without padding holds no other), and a hook on each embedding
table puts the rows in.

    B  pictures    P  learned rows    Hq, Hl  widths of Q-Former and LLM
    T  tokens of the text, with the queries' places    V  words of the LLM    S  side
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import InstructBlipForConditionalGeneration, InstructBlipProcessor

QUESTION = ("Is this photo real", "?")
ANSWERS = ("yes", "no")
LEADING_ID = 2  # </s>, which the official training puts where <s> belongs


def hf_margin(
    model_folder: Path,
    question_pieces: tuple[str, str] = QUESTION,
    *,
    soft_qformer: Tensor,
    soft_llm: Tensor,
    pixels: Tensor,
) -> Tensor:
    """l_no - l_yes [B] at the prompt's last position; above 0 means fake.

    Takes soft_qformer [P, Hq], soft_llm [P, Hl] and pixels [B, 3, S, S]. Gradients
    reach the two soft tensors and nothing else.
    """
    hf = HfModel(model_folder, question_pieces, soft_qformer, soft_llm)
    logits = hf.logits(hf.prompt_ids, pixels)  # [B, T, V]
    yes, no = hf.answer_ids
    return logits[:, -1, no] - logits[:, -1, yes]


@torch.no_grad()
def official_ranking(
    model_folder: Path,
    question_pieces: tuple[str, str] = QUESTION,
    *,
    soft_qformer: Tensor,
    soft_llm: Tensor,
    pixels: Tensor,
) -> list[str]:
    """The official test's answer to each picture, "yes" (real) or "no" (fake).

    As its `predict_class`: each picture meets both answers in one batch of 2B, and
    the answer with the lower loss wins; a tie goes to "yes".
    """
    hf = HfModel(model_folder, question_pieces, soft_qformer, soft_llm)
    prompts = [[*hf.prompt_ids, answer] for answer in hf.answer_ids]
    ids = torch.tensor(prompts).repeat(len(pixels), 1)  # [2B, T + 1]
    logits = hf.logits(ids, pixels.repeat_interleave(2, dim=0))  # [2B, T + 1, V]
    targets = ids.clone()
    targets[:, :-1] = -100  # only the answer counts
    losses = mean_over_positions(logits, targets).view(-1, 2)  # [B, 2]
    best = losses.argsort(dim=1, stable=True)[:, 0]  # [B]
    return [ANSWERS[index] for index in best.tolist()]


def mean_over_positions(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss [B] of logits [B, T, V] against targets [B, T], where -100 counts as loss 0.

    The mean is over all T - 1 positions, as in the official modeling_llama with
    reduction "none".
    """
    shifted = logits[:, :-1].float().transpose(1, 2)  # [B, V, T - 1]
    losses = nn.functional.cross_entropy(shifted, targets[:, 1:], reduction="none")
    return losses.mean(dim=1)


class HfModel:
    """The model of a folder, asked one question with its learned rows."""

    def __init__(
        self, folder: Path, pieces: tuple[str, str], soft_qformer: Tensor, soft_llm: Tensor
    ) -> None:
        processor = InstructBlipProcessor.from_pretrained(folder)
        model = InstructBlipForConditionalGeneration.from_pretrained(folder)
        self.model = model.requires_grad_(False).eval()
        llm_words, qformer_words = processor.tokenizer, processor.qformer_tokenizer

        before, after = (plain_ids(llm_words, piece) for piece in pieces)
        places = [model.config.image_token_index] * model.config.num_query_tokens
        learned = [llm_words.pad_token_id] * len(soft_llm)
        self.prompt_ids = [*places, LEADING_ID, *before, *learned, *after]
        self.answer_ids = [single_id(llm_words, answer) for answer in ANSWERS]

        before, after = (plain_ids(qformer_words, piece) for piece in pieces)
        learned = [qformer_words.pad_token_id] * len(soft_qformer)
        first, last = qformer_words.cls_token_id, qformer_words.sep_token_id
        self.qformer_ids = [first, *before, *learned, *after, last]

        self._tables = (
            (model.get_input_embeddings(), llm_words.pad_token_id, soft_llm),
            (model.qformer.get_input_embeddings(), qformer_words.pad_token_id, soft_qformer),
        )

    def logits(self, ids: Sequence[int] | Tensor, pixels: Tensor) -> Tensor:
        """[B, T, V] for ids [T], the same for all, or [B, T], and pixels [B, 3, S, S]."""
        input_ids = torch.as_tensor(ids).expand(len(pixels), -1)
        qformer_ids = torch.tensor(self.qformer_ids).expand(len(pixels), -1)
        (llm, qformer) = self._tables
        with rows_in(*llm), rows_in(*qformer):
            outputs = self.model(
                pixel_values=pixels,
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                qformer_input_ids=qformer_ids,
                qformer_attention_mask=torch.ones_like(qformer_ids),
            )
        logits: Tensor = outputs.logits
        return logits


@contextmanager
def rows_in(table: nn.Embedding, placeholder: int, rows: Tensor) -> Iterator[None]:
    """While inside, the P places of `placeholder` in each text mean rows [P, H], in order."""

    def put(_: nn.Module, args: tuple[Tensor], embeds: Tensor) -> Tensor:
        is_learned = args[0] == placeholder  # [B, T]
        source = rows.to(embeds.dtype).repeat(len(embeds), 1)  # [B * P, H]
        return embeds.masked_scatter(is_learned.unsqueeze(-1), source)

    hook = table.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def single_id(tokenizer: Any, word: str) -> int:
    (only,) = plain_ids(tokenizer, word)
    return only
