"""The model at its true size with random weights: speed and memory do not depend on the values.

Nothing is downloaded. The weights are drawn on the device, a tensor at a time, and keep the
variance of what passes through them, as kit.tiny's: with the classes' own start all pictures
would look alike, and no precision could be told from another.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from kit.tiny import spread
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor

from antifake.core.bundle import Manifest, Tokens
from antifake.core.detector import Detector
from antifake.core.instructblip import InstructBlip, fill, run_dtype
from antifake.core.precision import Precision
from antifake.core.prepare import cut_vocabularies, true_size_config
from antifake.core.prompt_file import PromptMetadata
from antifake.trainer.trainable import Shape, random_start

WORDS = {"Is": 1317, "this": 445, "photo": 15373, "real": 1855, "?": 1577}
QFORMER_WORDS = {"Is": 2003, "this": 2023, "photo": 6302, "real": 2613, "?": 1029}
"""The question in the true tokenizers' ids, of which nothing else is needed here."""
TOKENS = Tokens(leading=2, yes=4874, no=694, cls=101, sep=102)

ROWS = {
    "llm": sorted({TOKENS.leading, *WORDS.values()}),
    "qformer": sorted({TOKENS.cls, TOKENS.sep, *QFORMER_WORDS.values()}),
    "lm_head": [TOKENS.yes, TOKENS.no],
}
"""The rows of the vocabulary tables that `antifake prepare` keeps."""

NARROW: dict[str, dict[str, int]] = {
    "vision_config": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "image_size": 56,
    },
    "qformer_config": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "encoder_hidden_size": 64,
    },
    "text_config": {
        "vocab_size": 5000,  # with "yes" and "no"
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
    },
}


def config_of(layers: int | None = None, *, narrow: bool = False) -> dict[str, Any]:
    """Returns the true configuration; with `layers` or `narrow` a reduced one of the same kind."""
    config = true_size_config()
    for part, widths in NARROW.items():
        config[part].update(widths if narrow else {})
        config[part].update({"num_hidden_layers": layers} if layers else {})
    return config


def skeleton(config: dict[str, Any], device: str = "meta") -> InstructBlip:
    """Returns the bundle's model without weights, with tables cut as `antifake prepare` does."""
    cut = deepcopy(config)
    cut_vocabularies(cut, ROWS)
    return InstructBlip(Manifest("random", "fp16", "random", cut, TOKENS, {}, ROWS), device)


def build(config: dict[str, Any], precision: Precision) -> InstructBlip:
    """Loads the model as core.instructblip.load does, with random weights instead of a folder's.

    The same weights for every precision of one device and dtype.
    """
    model = skeleton(config)
    model.precision = precision
    fill(model, drawn(model))
    model.tokenizer, model.qformer_tokenizer = words_of(WORDS), words_of(QFORMER_WORDS)
    model.attach_prompted_embedding()
    return model


def drawn(model: InstructBlip) -> Iterator[tuple[str, Tensor, None]]:
    """Yields every weight of a skeleton by name, on the device for its precision."""
    place = model.precision.device
    generator = torch.Generator(place).manual_seed(0)
    for name, parameter in list(model.named_parameters()):
        dtype = run_dtype(name, model.precision.dtype)
        noise = torch.randn(parameter.shape, generator=generator, device=place, dtype=dtype)
        is_gain = "norm" in name.lower() and name.endswith("weight")
        yield name, noise.mul_(spread(name, parameter)).add_(1.0 if is_gain else 0.0), None


def words_of(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="?"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def detector_of(model: InstructBlip) -> Detector:
    return Detector(model, random_start(model, Shape(), PromptMetadata(), seed=0), "random")
