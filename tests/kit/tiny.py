"""A complete InstructBLIP folder, tiny and random: the real classes, no download.

The weights keep the variance of what passes through them. With the classes' own
start (vision 1e-10, queries 0) every picture would look alike.
"""

import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from torch import Generator, Tensor, nn
from transformers import (
    BertTokenizer,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
    LlamaConfig,
    LlamaTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

IMAGE_SIZE = 28
QUERIES = 4
QFORMER_WIDTH = 32
LLM_WIDTH = 64
GAIN = 1.9  # 1 to 2 all learn; here seed 0 gives most prompts both answers

WORDS = ["Is", "this", "photo", "picture", "image", "real", "fake", "yes", "no", "Yes", "No", "?"]
"""Each is one token for both tokenizers; all else falls into letters and bytes."""


def build_tiny(folder: Path, seed: int = 0) -> Path:
    """Write the model and its processor into `folder`, the same bytes for the same seed."""
    tokenizer, qformer_tokenizer = llama_tokenizer(), bert_tokenizer()
    images = BlipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    # It adds "<image>" to the tokenizer, so the model is built after it.
    processor = InstructBlipProcessor(images, tokenizer, qformer_tokenizer, QUERIES)
    with torch.random.fork_rng(devices=[]):  # the classes draw their own start
        model = InstructBlipForConditionalGeneration(tiny_config(tokenizer, qformer_tokenizer))
    draw_weights(model, Generator().manual_seed(seed))
    model.save_pretrained(folder, max_shard_size="300KB")
    processor.save_pretrained(folder)
    return folder


def tiny_config(
    tokenizer: PreTrainedTokenizerBase,
    qformer_tokenizer: BertTokenizer,
    text: PreTrainedConfig | None = None,
) -> InstructBlipConfig:
    """Returns the configuration with a language model: None, a small LLaMA."""
    vision = InstructBlipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=14,
    )
    qformer = InstructBlipQFormerConfig(
        vocab_size=len(qformer_tokenizer),
        hidden_size=QFORMER_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    text = text or LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=LLM_WIDTH,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return InstructBlipConfig(
        vision_config=vision.to_dict(),
        qformer_config=qformer.to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )


@torch.no_grad()
def draw_weights(model: nn.Module, generator: Generator) -> None:
    """Every tensor gets noise, norms and biases too, so none can be lost unseen."""
    for name, weight in model.named_parameters():
        middle = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        noise = torch.randn(weight.shape, generator=generator)
        weight.copy_(middle + spread(name, weight) * noise)


def spread(name: str, weight: Tensor) -> float:
    tables = ("word_embeddings.weight", "embed_tokens.weight", "shared.weight", "class_embedding")
    if name.endswith(tables) or name == "query_tokens":
        return 1.0
    if "position_embedding" in name:
        return 0.5
    if name.endswith("Attention.q.weight"):  # T5 does not divide scores by the root of the width
        return float(0.25 * weight.shape[1] ** -0.5)
    if "lm_head" in name:
        return float(weight.shape[1] ** -0.5)
    if weight.ndim == 1:
        return 0.1
    return float(GAIN * weight[0].numel() ** -0.5)  # [out, in] or [out, in, height, width]


def llama_tokenizer() -> LlamaTokenizer:
    """</s> in front as in the official training, pad "[PAD]" after the vocabulary."""
    special = ["<unk>", "<s>", "</s>"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = [*string.ascii_letters, *string.digits, *string.punctuation, "▁"]
    merges = list(dict.fromkeys(merge for word in WORDS for merge in merges_of(f"▁{word}")))
    tokens = [*special, *fallback, *letters, *("".join(merge) for merge in merges)]
    tokenizer = LlamaTokenizer(
        vocab=ids_in_order(tokens),
        merges=merges,
        bos_token="</s>",  # noqa: S106 - a token of text
        unk_token="</s>",  # noqa: S106
        truncation_side="left",
    )
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    # LlamaTokenizer itself puts nothing in front.
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="</s> $A",
        pair="</s> $A </s> $B",
        special_tokens=[("</s>", tokenizer.convert_tokens_to_ids("</s>"))],
    )
    return tokenizer


def merges_of(word: str) -> Iterator[tuple[str, str]]:
    """Left to right: ("▁", "n"), ("▁n", "o")."""
    for end in range(1, len(word)):
        yield word[:end], word[end]


def bert_tokenizer() -> BertTokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    rest = [f"##{letter}" for letter in letters]
    words = [word.lower() for word in WORDS]
    tokens = list(dict.fromkeys([*special, *letters, *rest, *words]))
    tokenizer = BertTokenizer(
        vocab=ids_in_order(tokens), do_lower_case=True, truncation_side="left"
    )
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def ids_in_order(tokens: Iterable[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
