"""A complete InstructBLIP folder with T5, tiny and random: the real classes, no download.

Two kinds of T5 are published: the first one, whose table is the head, too, with scaled states, and
FLAN-T5, with a head of its own and unscaled states.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Generator
from transformers import (
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    T5Config,
    T5Tokenizer,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from .tiny import IMAGE_SIZE, LLM_WIDTH, QUERIES, WORDS, bert_tokenizer, draw_weights, tiny_config

HEAD = "lm_head.weight"
PLACEHOLDER = "<extra_id_0>"
"""Stands where a learned row goes: "<pad>" begins the decoder's text."""


def build_tiny_t5(folder: Path, seed: int = 0, *, flan: bool = True) -> Path:
    """Write the model and its processor into `folder`, as transformers 4 published FLAN-T5."""
    tokenizer, qformer_tokenizer = t5_tokenizer(), bert_tokenizer()
    images = BlipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    processor = InstructBlipProcessor(images, tokenizer, qformer_tokenizer, QUERIES)
    config = tiny_config(tokenizer, qformer_tokenizer, t5_config(len(tokenizer)))
    with torch.random.fork_rng(devices=[]):
        model = InstructBlipForConditionalGeneration(config)
    random = Generator().manual_seed(seed)
    draw_weights(model, random)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if flan:
        add_head(folder, torch.randn(len(tokenizer), LLM_WIDTH, generator=random) / 8)
    return folder


def t5_config(n_words: int) -> T5Config:
    """Heads are narrower than the model, and the stacks differ in depth, so none is mixed up."""
    return T5Config(
        vocab_size=n_words,
        d_model=LLM_WIDTH,
        d_kv=12,
        d_ff=96,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=16,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
    )


def add_head(folder: Path, head: torch.Tensor) -> None:
    """Gives the saved model a head [V, Hl] of its own."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    (table,) = (name for name in tensors if name.endswith("shared.weight"))
    save_file(tensors | {table.replace("shared.weight", HEAD): head}, path, {"format": "pt"})
    about = json.loads((folder / "config.json").read_bytes())
    about["text_config"].pop("scale_decoder_outputs")
    about["text_config"]["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(about))


def t5_tokenizer() -> T5Tokenizer:
    """<pad>, </s> and <unk> are 0, 1 and 2; words are pieces, all else falls into letters."""
    special = ["<pad>", "</s>", "<unk>"]
    vocab = [(token, 0.0) for token in special] + list(pieces())
    return T5Tokenizer(vocab=vocab, extra_ids=2)


def pieces() -> Iterator[tuple[str, float]]:
    """Yields pieces with their log probabilities: whole words are likelier than their letters."""
    words = [f"▁{word}" for word in WORDS]
    letters = sorted({letter for word in words for letter in word})
    yield from ((word, -2.0) for word in words)
    yield from ((letter, -6.0) for letter in letters if letter not in words)
