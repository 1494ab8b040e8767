"""The language models that a question can be put to: LLaMA, a decoder, and T5, encoder and decoder.

    LLaMA  [queries] </s> before [*] after         the answer follows the last position
    T5     [queries] before [*] after </s>         read by the encoder
           start                                   of the decoder; the answer follows it

The modules are transformers' own. Shapes: see antifake.core. A is the number of tokens of an answer
that are read, too, such as 1 for "yes".
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor

from .errors import ModelError
from .i18n import _

Layer = Callable[[Tensor], Tensor]
"""[B, T, H] -> [B, T, H'], each position apart from all others"""

Change = tuple[Any, str, Callable[[Layer], Layer]]
"""A module, the name of one of its methods, and what makes another method of it."""


class Reader(Protocol):
    """What differs between kinds of language models."""

    half: torch.dtype
    """The dtype for products on a GPU."""

    def build(self, classes: SimpleNamespace, config: Any) -> Any:
        """Returns the modules without weights, with transformers' classes for this kind."""
        ...

    def read(self, model: Any, embeds: Tensor) -> Tensor:
        """Embeddings of queries and question, [B, T, Hl] -> what `states` needs, [B, T, Hl]."""
        ...

    def states(self, model: Any, context: Tensor, said: Tensor) -> Tensor:
        """Returns the hidden states that the head turns into logits.

        context is what `read` returned; said [B, A, Hl] are embeddings of the answer so far. The
        states [B, n, Hl] end where the token after it is predicted.
        """
        ...

    def redundant(self, model: Any) -> list[Change]:
        """Returns changes that leave out what `states` does not read while nothing is said."""
        ...


class Llama:
    """A decoder. Everything stands in one text, so nothing is computed before the answer."""

    half = torch.float16
    """As the weights were released."""

    def build(self, classes: SimpleNamespace, config: Any) -> Any:
        return classes.LlamaModel(config)

    def read(self, model: Any, embeds: Tensor) -> Tensor:  # noqa: ARG002 - see Reader
        return embeds

    def states(self, model: Any, context: Tensor, said: Tensor) -> Tensor:
        embeds = torch.cat([context, said], dim=1) if said.shape[1] else context
        states: Tensor = model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        return states

    def redundant(self, model: Any) -> list[Change]:
        """Of the last layer only the last position is read."""
        last = model.layers[-1]
        return [
            (last.self_attn.q_proj, "forward", _for_last_position_repeated),
            # An output [B, 1, Hl] is broadcast where the residual is added.
            (last.self_attn.o_proj, "forward", _for_last_position),
            (last.mlp, "forward", _for_last_position),
        ]


class T5:
    """Encoder and decoder. The question is read once; each answer costs a short decoder pass."""

    half = torch.bfloat16
    """The weights were trained in bfloat16, and activations of the feed-forward layers exceed
    float16. transformers keeps a matrix of each in float32 for that."""

    def __init__(self, scale: float = 1.0) -> None:
        """`scale` multiplies the states before the head: 1, as in FLAN-T5, or Hl^-0.5."""
        self._scale = scale

    def build(self, classes: SimpleNamespace, config: Any) -> Any:
        model = classes.T5Model(config)
        # The stacks' own tables would be the same as `shared`. They get embeddings, not ids.
        for stack in (model.encoder, model.decoder):
            stack.embed_tokens = None
        return model

    def read(self, model: Any, embeds: Tensor) -> Tensor:
        context: Tensor = model.encoder(inputs_embeds=embeds).last_hidden_state
        return context

    def states(self, model: Any, context: Tensor, said: Tensor) -> Tensor:
        """`said` begins with the start of the decoder's text."""
        output = model.decoder(
            inputs_embeds=said,
            attention_mask=_causal_mask(said) if said.shape[1] > 1 else None,
            encoder_hidden_states=context,
            use_cache=False,
        )
        states: Tensor = output.last_hidden_state * self._scale
        return states

    def redundant(self, model: Any) -> list[Change]:  # noqa: ARG002 - see Reader
        """The decoder reads all of the encoder's positions and has one of its own."""
        return []


def reader_of(text_config: Any, *, scales_decoder_outputs: bool = False) -> Reader:
    """Returns the reader for a language model's configuration. Raises ModelError."""
    if text_config.model_type == "llama":
        return Llama()
    if text_config.model_type == "t5":
        return T5(text_config.d_model**-0.5 if scales_decoder_outputs else 1.0)
    raise ModelError(
        _("antifake knows no language model of the kind {kind}.", kind=text_config.model_type)
    )


def _causal_mask(said: Tensor) -> Tensor:
    """said [B, A, Hl] -> [1, 1, A, A], to be added to scores: no token sees a later one."""
    size = said.shape[1]
    never = torch.finfo(said.dtype).min
    return torch.full((1, 1, size, size), never, dtype=said.dtype, device=said.device).triu(1)


def _for_last_position(layer: Layer) -> Layer:
    """[B, T, H] -> [B, 1, H']"""
    return lambda hidden: layer(hidden[:, -1:])


def _for_last_position_repeated(layer: Layer) -> Layer:
    """[B, T, H] -> [B, T, H'], where all positions are equal"""
    return lambda hidden: layer(hidden[:, -1:]).expand(-1, hidden.shape[1], -1)
