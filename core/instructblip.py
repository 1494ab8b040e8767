"""The frozen InstructBLIP: vision encoder -> Q-Former -> projection -> LLM -> yes or no.

The parts are transformers' own classes, but its InstructBlip forward is not used: that one finds
image positions by token id, and pads. Here every batch has one question and one shape, and the
features of the frozen vision encoder can be cached. Results equal those of transformers' forward
and of the official candidate ranking (tests/core).

Shapes: see antifake.core.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from .bundle import (
    QFORMER_TOKENIZER,
    TOKENIZER,
    Bundle,
    Manifest,
)
from .dtype_benchmark import DtypeBenchmark
from .errors import ModelError
from .i18n import _
from .language_models import Change, Layer, reader_of
from .lazy_imports import transformers_classes
from .precision import Precision, choose
from .prompt import SoftPrompt
from .prompt_file import check_fits
from .quantization import BYTES, Weights, dequantize, is_quantizable, linear
from .vision_encoder import vision_encoder

UNMASKED = "sdpa_unmasked"
"""transformers' "sdpa" attention under a name for which it makes no masks, as we never pad.

To find out that no mask is needed, it would ask the GPU whether sequences are packed, and wait.
"""

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class PromptedEmbedding(nn.Module):
    """A frozen embedding table [V, H] with learned rows [P, H] after its last one.

    It replaces a model's own table. Ids V .. V + P - 1 then mean the learned tokens, so no code of
    the model has to be copied or changed.
    """

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.words = words
        # Not a parameter of the model: it comes with each question, and may be in training.
        self.learned: tuple[Tensor] = (torch.zeros(0, words.embedding_dim),)

    def forward(self, ids: Tensor) -> Tensor:
        """ids int64 [B, T] -> embeddings [B, T, H].

        Every id is looked up in both tables, as a branch on which are learned would make the CPU
        wait for the GPU.
        """
        first_learned = self.words.num_embeddings
        embeds: Tensor = self.words(ids.clamp(max=first_learned - 1))  # [B, T, H]
        rows = self.learned[0]
        if not len(rows):
            return embeds
        learned = functional.embedding((ids - first_learned).clamp(min=0), rows)  # [B, T, H]
        is_learned = (ids >= first_learned).unsqueeze(-1)  # [B, T, 1]
        return torch.where(is_learned, learned.to(embeds.dtype), embeds)


class _Columns(nn.Module):
    """Picks a layer's output out of those that were computed before."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__()
        self._columns = slice(start, end)

    def forward(self, computed: Tensor) -> Tensor:
        """computed [B, N, K] -> [B, N, end - start]."""
        return computed[..., self._columns]


def _for_one_row(layer: Layer) -> Layer:
    """[B, T, H], where all rows are equal -> [1, T, H']"""
    return lambda hidden: layer(hidden[:1])


def _for_one_row_repeated(layer: Layer) -> Layer:
    """[B, T, H], where all rows are equal -> [B, T, H']"""
    return lambda hidden: layer(hidden[:1]).expand(len(hidden), -1, -1)


def _left_out(_: Layer) -> Layer:
    return lambda hidden: hidden


@dataclass(frozen=True)
class Question:
    """A prompt's question, encoded for the Q-Former and for the language model."""

    qformer_ids: Tensor
    """int64 [1, T]: [CLS] before [*] after [SEP], where [*] is ids after the table's last."""
    qformer_rows: Tensor
    """float32 [P, Hq], the soft prompt; it may require a gradient."""
    before: Tensor
    """float32 [1, T1, Hl]: the leading token, if there is one, and the text up to [*]."""
    llm_rows: Tensor
    """float32 [P, Hl], the soft prompt; it may require a gradient."""
    after: Tensor
    """float32 [1, T2, Hl]: the text after [*], and the closing token, if there is one."""


class InstructBlip(nn.Module):
    """The frozen model. Whatever is trained comes with the Question."""

    answer_rows: Tensor
    """The head's rows of "yes" and "no", float32 [2, Hl], once the weights are loaded."""
    start: Tensor
    """The embedding that a decoder's own text begins with, float32 [1, 1, Hl]; without such a text
    [1, 0, Hl]."""

    def __init__(self, manifest: Manifest, device: str = "meta") -> None:
        """Builds the modules without weights: on "meta" without memory, on "cpu" uninitialized.

        Building on meta makes torch import its compiler, which takes 0.7 seconds of a cold start.
        That pays off only if the weights are gigabytes.
        """
        super().__init__()
        classes = transformers_classes(manifest.llm_kind)
        # Not from_dict: to log what it read, it has transformers read all its 2,000 files.
        config = classes.InstructBlipConfig(**manifest.config)
        vision, qformer, text = config.vision_config, config.qformer_config, config.text_config
        self.manifest = manifest
        self.precision = Precision(torch.device("cpu"), torch.float32)
        self.register_buffer("answer_rows", torch.empty(0), persistent=False)
        self.register_buffer("start", torch.empty(1, 0, text.hidden_size), persistent=False)
        self.reader = reader_of(text, scales_decoder_outputs=manifest.scale_decoder_outputs)
        self.tokenizer: Tokenizer | None = None
        self.qformer_tokenizer: Tokenizer | None = None
        classes.ALL_ATTENTION_FUNCTIONS.register(UNMASKED, classes.ALL_ATTENTION_FUNCTIONS["sdpa"])
        for part in (vision, qformer, text):
            part._attn_implementation = UNMASKED  # noqa: SLF001 - the documented from_config sets it
        with torch.device(device), classes.no_init_weights():
            self.vision_model = vision_encoder(classes, vision, manifest)
            self.qformer = classes.InstructBlipQFormerModel(qformer)
            self.language_model = self.reader.build(classes, text)
            self.language_projection = nn.Linear(qformer.hidden_size, text.hidden_size)
            self.query_tokens = nn.Parameter(
                torch.empty(1, config.num_query_tokens, qformer.hidden_size)
            )
            heads = len(manifest.rows.get("lm_head", [])) or text.vocab_size
            self.lm_head = nn.Linear(text.hidden_size, heads, bias=False)
        # The official ln_vision has torch's default eps; transformers sets 1e-6, as in the blocks.
        self.vision_model.post_layernorm.eps = 1e-5
        # Buffers that no file holds: computed here, as on meta they would have no values.
        positions = torch.arange(qformer.max_position_embeddings)[None]
        self.qformer.embeddings.position_ids = positions
        if rotary := getattr(self.language_model, "rotary_emb", None):
            self.language_model.rotary_emb = type(rotary)(text)

    def attach_prompted_embedding(self) -> None:
        """Prepares the loaded model for questions: learned rows and the rows of the answers."""
        words = self.qformer.get_input_embeddings()
        self.qformer.set_input_embeddings(PromptedEmbedding(words))
        tokens = self.manifest.tokens
        rows = self._rows("lm_head", [tokens.yes, tokens.no])
        self.answer_rows = self.lm_head.weight.detach()[rows].float()
        start = [] if tokens.start is None else [tokens.start]
        self.start = self._embed(self._rows("llm", start)).detach()
        self.requires_grad_(False).eval()

    def bytes_as(self, dtype: torch.dtype, weights: Weights) -> float:
        """Returns the bytes of the model in a dtype, with its large matrices kept as `weights`."""
        return sum(
            parameter.numel()
            * (
                BYTES[weights]
                if weights != "plain" and is_quantizable(name, parameter.shape)
                else run_dtype(name, dtype).itemsize
            )
            for name, parameter in self.named_parameters()
        )

    @property
    def image_size(self) -> int:
        """The side of the square picture, in pixels."""
        return self.manifest.image_size

    @property
    def device(self) -> torch.device:
        return self.query_tokens.device

    def question(self, prompt: SoftPrompt) -> Question:
        """Encodes a prompt's question for this model. Raises ModelError if they do not fit."""
        check_fits(prompt.about, prompt.shapes, self.manifest)
        return self.ask(prompt.about.before, prompt.about.after, prompt.qformer, prompt.llm)

    def ask(self, before: str, after: str, qformer_rows: Tensor, llm_rows: Tensor) -> Question:
        """Encodes a question around learned rows [P, Hq] and [P, Hl], where P may be 0.

        Raises ModelError if this model's tables lack a token of the question.
        """
        tokens = self.manifest.tokens
        words = self.qformer.get_input_embeddings().words
        learned = range(words.num_embeddings, words.num_embeddings + len(qformer_rows))
        qformer_ids = [
            *self._rows("qformer", [tokens.cls, *self._encode("qformer", before)]),
            *learned,
            *self._rows("qformer", [*self._encode("qformer", after), tokens.sep]),
        ]
        # The two parts are tokenized separately: only this gives the ids of the official
        # checkpoints in every version of the tokenizer.
        leading = [] if tokens.leading is None else [tokens.leading]
        closing = [] if tokens.closing is None else [tokens.closing]
        llm_before = self._rows("llm", [*leading, *self._encode("llm", before)])
        llm_after = self._rows("llm", [*self._encode("llm", after), *closing])
        return Question(
            torch.tensor([qformer_ids], device=self.device),
            qformer_rows.to(self.device),
            self._embed(llm_before),
            llm_rows.to(self.device),
            self._embed(llm_after),
        )

    def _encode(self, side: str, text: str) -> list[int]:
        if not text:
            return []
        tokenizer = self.tokenizer if side == "llm" else self.qformer_tokenizer
        if tokenizer is None:
            raise ModelError(
                _("The model {name} was loaded without its tokenizers.", name=self.manifest.name)
            )
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _rows(self, table: str, ids: list[int]) -> list[int]:
        """Returns the rows of token ids in a table that may be cut to a few rows."""
        kept = self.manifest.rows.get(table)
        if kept is None:
            return ids
        try:
            return [kept.index(id_) for id_ in ids]
        except ValueError:
            raise ModelError(
                _(
                    "{name} was prepared for one question only. To ask another, prepare it "
                    "again with --full-tables.",
                    name=self.manifest.name,
                )
            ) from None

    def require_full_tables(self) -> None:
        """Raises ModelError where rows of the language model's vocabulary were left out."""
        if not self.manifest.has_whole_vocabulary:
            raise ModelError(
                _(
                    "{name} keeps only a few rows of its vocabulary, and this needs all: prepare "
                    "it again with --full-tables.",
                    name=self.manifest.name,
                )
            )

    def _embed(self, rows: list[int]) -> Tensor:
        """Rows of the language model's table -> float32 embeddings [1, T, Hl]."""
        table = self.language_model.get_input_embeddings()
        embeds: Tensor = table(torch.tensor([rows], dtype=torch.int64, device=self.device))
        return embeds.float()

    def vision_features(self, pixels: Tensor) -> Tensor:
        """Normalized pixels [B, 3, S, S] -> frozen features [B, N, Hv], which may be cached."""
        with torch.no_grad(), self.precision.autocast():
            features: Tensor = self.vision_model(pixel_values=pixels).last_hidden_state
        return features

    def keys_and_values(self, features: Tensor) -> Tensor:
        """features [B, N, Hv] -> what every cross-attention makes of them, [B, N, K].

        It does not depend on the question and is most of the work after the tower. Inside
        `reading_keys_and_values` it takes the place of features wherever those are passed.
        """
        with torch.no_grad(), self.precision.autocast():
            return torch.cat([layer(features) for layer in self._readers()], dim=-1)

    @contextmanager
    def reading_keys_and_values(self) -> Iterator[None]:
        """Has the Q-Former read what `keys_and_values` returned, instead of features."""
        readers, at = self._readers(), 0
        places = {id(module): name for name, module in self.named_modules()}
        names = [places[id(reader)] for reader in readers]
        for name, reader in zip(names, readers, strict=True):
            self.set_submodule(name, _Columns(at, at + reader.out_features))
            at += reader.out_features
        try:
            yield
        finally:
            for name, reader in zip(names, readers, strict=True):
                self.set_submodule(name, reader)

    @contextmanager
    def skipping_redundant_work(self) -> Iterator[None]:
        """Has `margin` compute what is the same for all pictures once, and skip what is not read.

        Up to its first cross-attention the Q-Former has seen no picture, nor has its text in the
        whole first layer. Of its last layer only the queries are read, and of LLaMA's only the last
        position. For `mini` that saves almost half of the work.
        """
        first, last = self.qformer.encoder.layer[0], self.qformer.encoder.layer[-1]
        attention = first.attention.attention
        changes: list[Change] = [
            (attention.query, "forward", _for_one_row_repeated),
            (attention.key, "forward", _for_one_row_repeated),
            (attention.value, "forward", _for_one_row_repeated),
            # An output [1, T, Hq] is broadcast where the residual is added.
            (first.attention.output.dense, "forward", _for_one_row),
            (first.intermediate, "forward", _for_one_row),
            (last, "feed_forward_chunk", _left_out),
            *self.reader.redundant(self.language_model),
        ]
        for part, name, change in changes:
            setattr(part, name, change(getattr(part, name)))
        try:
            yield
        finally:
            for part, name, _ in changes:
                part.__dict__.pop(name, None)  # the method of the class is seen again

    def _readers(self) -> list[Any]:
        """Returns the linear layers that features go into."""
        return [
            part
            for layer in self.qformer.encoder.layer
            if layer.has_cross_attention
            for part in (
                layer.crossattention.attention.key,
                layer.crossattention.attention.value,
            )
        ]

    def read(self, features: Tensor, question: Question, counts: Tensor | None = None) -> Tensor:
        """features [B, N, Hv] -> what the language model has read, [B, T, Hl], for `states`."""
        batch = len(features)
        with self.precision.autocast():
            words = self.language_projection(self.queries(features, question, counts))  # [B, Q, Hl]
            text = torch.cat([question.before[0], question.llm_rows, question.after[0]])  # [T, Hl]
            embeds = torch.cat([words.float(), text.expand(batch, -1, -1)], dim=1)
            return self.reader.read(self.language_model, embeds)

    def states(self, context: Tensor, said: Tensor | None = None) -> Tensor:
        """What was read [B, T, Hl] -> hidden states [B, n, Hl]; the last predicts what follows.

        `said` [B, A, Hl] are embeddings of the answer's first tokens; None: nothing is said yet.
        """
        begun = self.start.expand(len(context), -1, -1)
        said = begun if said is None else torch.cat([begun, said], dim=1)
        with self.precision.autocast():
            return self.reader.states(self.language_model, context, said)

    def hidden(self, features: Tensor, question: Question, counts: Tensor | None = None) -> Tensor:
        """features [B, N, Hv] -> the hidden state that predicts the answer, [B, Hl]."""
        # [B, Hl]. In three dimensions, Linear would use a batched product, which on a bf16 CPU
        # copies the head once for each image (measured: 200 times slower).
        return self.states(self.read(features, question, counts))[:, -1]

    def queries(self, features: Tensor, question: Question, counts: Tensor | None = None) -> Tensor:
        """features [B, N, Hv] -> the Q-Former's output at its query tokens, [B, Q, Hq].

        `counts` [B, N] tells how often each of the features stands there; None: once.
        """
        batch = len(features)
        self.qformer.get_input_embeddings().learned = (question.qformer_rows,)
        half = self.qformer.encoder.layer[0].attention.attention.query.weight.dtype
        # A Q-Former in fp32, as in the official test, must not be cast to half by autocast.
        exact = half == torch.float32 and self.precision.dtype != torch.float32
        with torch.autocast(self.device.type, enabled=False) if exact else nullcontext():
            output = self.qformer(
                input_ids=question.qformer_ids.expand(batch, -1),
                query_embeds=self.query_tokens.expand(batch, -1, -1),
                encoder_hidden_states=features.float() if exact else features,
                # In attention, a token with log n added to its score weighs as n copies of it.
                encoder_attention_mask=None if counts is None else counts.log()[:, None, None],
            )
        read: Tensor = output.last_hidden_state[:, : self.query_tokens.shape[1]]
        return read

    def margin(self, features: Tensor, question: Question, counts: Tensor | None = None) -> Tensor:
        """features [B, N, Hv] -> l_no - l_yes, float32 [B]; above 0 the answer is "fake".

        `counts` [B, N] tells how often each of the features stands there; None: once.
        This takes one forward pass and two rows of the head. The official test ranks the losses of
        the two candidate answers, which gives the same decision with LLaMA; see `official_margin`.
        """
        logits = functional.linear(
            self.hidden(features, question, counts).float(), self.answer_rows
        )
        return logits[:, 1] - logits[:, 0]

    def answer_logits(self, context: Tensor, answers: Tensor) -> Tensor:
        """What was read, and answers int64 [B] -> logits [B, 2, V] of the answer and after it.

        `answers` are rows of complete tables: see `require_full_tables`.
        """
        said = self.language_model.get_input_embeddings()(answers).float()[:, None]  # [B, 1, Hl]
        last_two = self.states(context, said)[:, -2:]
        with self.precision.autocast():
            # In two dimensions: see `hidden`.
            logits: Tensor = self.lm_head(last_two.flatten(0, 1))  # [2 B, V]
        return logits.float().view(len(answers), 2, -1)

    def official_margin(
        self, features: Tensor, question: Question, counts: Tensor | None = None
    ) -> Tensor:
        """features [B, N, Hv] -> loss of "yes" less that of "no", [B]; above 0 it is "fake".

        LLaMA's candidates are one token each, so this is `margin`. T5's are followed by "</s>",
        whose loss the official ranking adds: two decoder passes on what was read once. Raises
        ModelError where the vocabulary is not whole.
        """
        tokens = self.manifest.tokens
        if tokens.closing is None:
            return self.margin(features, question, counts)
        self.require_full_tables()
        context = self.read(features, question, counts)
        losses = []
        for answer in (tokens.yes, tokens.no):
            ids = torch.tensor([answer, tokens.closing], device=self.device)
            ids = ids.expand(len(features), -1)  # [B, 2]
            logits = self.answer_logits(context, ids[:, 0]).transpose(1, 2)  # [B, V, 2]
            losses.append(functional.cross_entropy(logits, ids, reduction="none").sum(dim=1))
        return losses[0] - losses[1]


def load(
    bundle: Bundle,
    precision: Precision | None = None,
    device: str | None = None,
    benchmark: DtypeBenchmark | None = None,
) -> InstructBlip:
    """Loads a bundle by mmap onto a device.

    By default device and precision are chosen; `benchmark` knows which dtype is faster on this
    CPU. Raises ModelError.
    """
    bundle.verify_if_small()
    try:
        model = InstructBlip(bundle.manifest, "cpu" if bundle.manifest.is_small else "meta")
        model.precision = precision or choose(
            model.bytes_as, device, half=model.reader.half, benchmark=benchmark
        )
        fill(model, stored_tensors(bundle))
        model.tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
        model.qformer_tokenizer = Tokenizer.from_file(str(bundle.folder / QFORMER_TOKENIZER))
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        first = (str(error).strip().splitlines() or [repr(error)])[0][:200]
        raise ModelError(
            _(
                "The model {name} in {folder} does not load: {error}",
                name=bundle.manifest.name,
                folder=bundle.folder,
                error=first,
            )
        ) from error
    model.attach_prompted_embedding()
    return model


@torch.no_grad()
def fill(model: InstructBlip, tensors: Iterable[tuple[str, Tensor, Tensor | None]]) -> None:
    """Loads tensors into the model in its precision, without a second copy in memory.

    They come as `stored_tensors` yields them, on any device, and are converted one by one. Raises
    ModelError if one is missing or unknown.
    """
    precision = model.precision
    small = _shapes_to_quantize(model)
    state: dict[str, Tensor] = {}
    for name, stored, stored_scale in tensors:
        tensor = stored.to(precision.device)
        scale = None if stored_scale is None else stored_scale.to(precision.device)
        if name in small:
            if tensor.shape != small[name]:
                raise _not_whole(model, name)
            kept = linear(tensor, scale, precision.weights, precision.dtype)
            model.set_submodule(name.removesuffix(".weight"), kept)
        else:
            exact = tensor if scale is None else dequantize(tensor, scale)
            state[name] = exact.to(run_dtype(name, precision.dtype))
    found = model.load_state_dict(state, strict=False, assign=True)
    # Quantized matrices were set above.
    missing = [name for name in found.missing_keys if not name.endswith((".codes", ".scale"))]
    if missing or found.unexpected_keys:
        raise _not_whole(model, [*missing, *found.unexpected_keys][0])
    model.to(precision.device)


def _shapes_to_quantize(model: InstructBlip) -> dict[str, torch.Size]:
    """Returns the shapes of the matrices that are to be quantized, by name."""
    if model.precision.weights == "plain":
        return {}
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    return {name: shape for name, shape in shapes.items() if is_quantizable(name, shape)}


def _not_whole(model: InstructBlip, name: str) -> ModelError:
    return ModelError(
        _(
            "The model {model} is not whole: {tensor} does not fit.",
            model=model.manifest.name,
            tensor=name,
        )
    )


def stored_tensors(bundle: Bundle) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """Yields (name, tensor, scale); scale is float32 [out] for int8 [out, in], else None."""
    for shard in bundle.manifest.shards:
        with safe_open(bundle.folder / shard, framework="pt") as file:
            names = set(file.keys())
            for name in sorted(names):
                if not name.endswith(".scale"):
                    scale = f"{name}.scale"
                    yield (
                        name,
                        file.get_tensor(name),
                        file.get_tensor(scale) if scale in names else None,
                    )


def run_dtype(name: str, half: torch.dtype) -> torch.dtype:
    """Returns the dtype in which a tensor is kept and used.

    Norms, embeddings (T5 calls its table `shared`), its biases of positions, and queries, and so
    the residual stream, are float32, as in the official code; that costs next to nothing. With
    fp16 the Q-Former is float32, too, as in the official test.
    """
    exact = ("norm", "embed", "query_tokens", "language_model.shared.", "relative_attention_bias")
    if any(word in name.lower() for word in exact):
        return torch.float32
    if half == torch.float16 and name.startswith("qformer."):
        return torch.float32
    return half
