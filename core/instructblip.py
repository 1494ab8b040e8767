"""The frozen InstructBLIP, run by hand: vision -> Q-Former -> projection -> LLM -> yes or no.

The parts are transformers' own classes. Their common forward is not used: it
finds image places by token id and pads; here every batch has one question and
one shape, and the features of the frozen vision tower can be kept. Equal to
transformers' forward and to the official candidate ranking (tests/core).

Shapes: see antifake.core.
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
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
from .lazy_imports import transformers_classes
from .precision import Precision, choose
from .prompt import SoftPrompt
from .prompt_file import check_fits
from .quantization import BYTES, Weights, dequantize, is_quantizable, linear

UNMASKED = "sdpa_unmasked"
"""transformers' own "sdpa" under a name for which it makes no masks; our batches are never padded.

To find that it needs none it would ask the GPU whether sequences are packed, and wait.
"""

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class PromptedEmbedding(nn.Module):
    """A frozen embedding table with learned rows behind its last one.

    Put in the place of a model's own table it makes ids V .. V + P - 1 mean
    the learned tokens, so no line of the model has to be copied or changed.
    """

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.words = words
        # Not a parameter of the model: whoever asks brings it, and may be tuning it.
        self.learned: tuple[Tensor] = (torch.zeros(0, words.embedding_dim),)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids [B, T]; gives [B, T, H].

        Every id is looked up in both tables: to ask which are learned would make a GPU wait.
        """
        first_learned = self.words.num_embeddings
        embeds: Tensor = self.words(ids.clamp(max=first_learned - 1))  # [B, T, H]
        rows = self.learned[0]
        if not len(rows):
            return embeds
        learned = functional.embedding((ids - first_learned).clamp(min=0), rows)  # [B, T, H]
        is_learned = (ids >= first_learned).unsqueeze(-1)  # [B, T, 1]
        return torch.where(is_learned, learned.to(embeds.dtype), embeds)


class NormedEmbeddings(nn.Module):
    """CLIP normalises its patch embeddings before the first layer; InstructBLIP's tower does not.

    Wraps the stock module, so that a CLIP tower runs in InstructBlipVisionModel unchanged.
    """

    def __init__(self, stock: nn.Module, width: int, eps: float) -> None:
        super().__init__()
        self.stock = stock
        self.pre_layernorm = nn.LayerNorm(width, eps=eps)

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """pixels [B, 3, S, S] -> [B, N, Hv]."""
        normed: Tensor = self.pre_layernorm(self.stock(pixel_values, **kwargs))
        return normed


@dataclass(frozen=True)
class Question:
    """A prompt's question, as the two sides of one model read it."""

    qformer_ids: Tensor
    """int64 [1, T]: [CLS] before [*] after [SEP], [*] as ids behind the table."""
    qformer_rows: Tensor
    """float32 [P, Hq], the learned word; it may require a gradient."""
    before: Tensor
    """float32 [1, T1, Hl]: the leading token and the words up to [*]."""
    llm_rows: Tensor
    """float32 [P, Hl]; it may require a gradient."""
    after: Tensor
    """float32 [1, T2, Hl]"""


class InstructBlip(nn.Module):
    """The frozen model. Everything that learns comes in with the Question."""

    answer_rows: Tensor
    """The head's rows of "yes" and "no", float32 [2, Hl], once the weights are in."""

    def __init__(self, manifest: Manifest, device: str = "meta") -> None:
        """A skeleton: on "meta" it takes no memory, on "cpu" memory that nobody has touched.

        Building on meta makes torch import its compiler, 0.7 seconds of a cold
        start; that is worth it only where the weights are gigabytes.
        """
        super().__init__()
        classes = transformers_classes()
        config = classes.InstructBlipConfig.from_dict(manifest.config)
        vision, qformer, text = config.vision_config, config.qformer_config, config.text_config
        self.manifest = manifest
        self.precision = Precision(torch.device("cpu"), torch.float32)
        self.register_buffer("answer_rows", torch.empty(0), persistent=False)
        self.tokenizer: Tokenizer | None = None
        self.qformer_tokenizer: Tokenizer | None = None
        classes.ALL_ATTENTION_FUNCTIONS.register(UNMASKED, classes.ALL_ATTENTION_FUNCTIONS["sdpa"])
        for part in (vision, qformer, text):
            part._attn_implementation = UNMASKED  # noqa: SLF001 - the documented from_config sets it
        with torch.device(device), classes.no_init_weights():
            self.vision_model = classes.InstructBlipVisionModel(vision)
            self.qformer = classes.InstructBlipQFormerModel(qformer)
            self.language_model = classes.LlamaModel(text)
            self.language_projection = nn.Linear(qformer.hidden_size, text.hidden_size)
            self.query_tokens = nn.Parameter(
                torch.empty(1, config.num_query_tokens, qformer.hidden_size)
            )
            heads = len(manifest.rows.get("lm_head", [])) or text.vocab_size
            self.lm_head = nn.Linear(text.hidden_size, heads, bias=False)
            if manifest.pre_layernorm:
                self.vision_model.embeddings = NormedEmbeddings(
                    self.vision_model.embeddings, vision.hidden_size, vision.layer_norm_eps
                )
        # The official ln_vision has torch's default; transformers gives it the blocks' 1e-6.
        self.vision_model.post_layernorm.eps = 1e-5
        # Buffers that no file holds, computed where the weights will be, not on meta.
        positions = torch.arange(qformer.max_position_embeddings)[None]
        self.qformer.embeddings.position_ids = positions
        self.language_model.rotary_emb = type(self.language_model.rotary_emb)(text)

    def attach_prompted_embedding(self) -> None:
        """Once the weights are in: let the Q-Former read learned rows, and find the answers'."""
        words = self.qformer.get_input_embeddings()
        self.qformer.set_input_embeddings(PromptedEmbedding(words))
        tokens = self.manifest.tokens
        rows = self._rows("lm_head", [tokens.yes, tokens.no])
        self.answer_rows = self.lm_head.weight.detach()[rows].float()
        self.requires_grad_(False).eval()

    def bytes_as(self, dtype: torch.dtype, weights: Weights) -> float:
        """What this skeleton would take in memory in that dtype, its big matrices kept so."""
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
        """Side of the square picture, in pixels."""
        return self.manifest.image_size

    @property
    def device(self) -> torch.device:
        return self.query_tokens.device

    def question(self, prompt: SoftPrompt) -> Question:
        """Tokenise a prompt's question for this model. Raises ModelError where they do not fit."""
        check_fits(prompt.about, prompt.shapes, self.manifest)
        return self.ask(prompt.about.before, prompt.about.after, prompt.qformer, prompt.llm)

    def ask(self, before: str, after: str, qformer_rows: Tensor, llm_rows: Tensor) -> Question:
        """A question in plain words around learned rows [P, H], of which there may be none.

        Raises ModelError where the words are not in this model's tables.
        """
        tokens = self.manifest.tokens
        words = self.qformer.get_input_embeddings().words
        learned = range(words.num_embeddings, words.num_embeddings + len(qformer_rows))
        qformer_ids = [
            *self._rows("qformer", [tokens.cls, *self._encode("qformer", before)]),
            *learned,
            *self._rows("qformer", [*self._encode("qformer", after), tokens.sep]),
        ]
        # The pieces are tokenised apart, the only way that gives the ids of the official
        # checkpoints in every version of the tokenizer.
        llm_before = self._rows("llm", [tokens.leading, *self._encode("llm", before)])
        llm_after = self._rows("llm", self._encode("llm", after))
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
            raise ModelError(f"The model {self.manifest.name} was loaded without its tokenizers.")
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _rows(self, table: str, ids: list[int]) -> list[int]:
        """Where the ids are in a table that may be cut to a few rows."""
        kept = self.manifest.rows.get(table)
        if kept is None:
            return ids
        try:
            return [kept.index(id_) for id_ in ids]
        except ValueError:
            raise ModelError(
                f"{self.manifest.name} was prepared for one question only. To ask another, "
                f"prepare it again with --full-tables."
            ) from None

    def _embed(self, rows: list[int]) -> Tensor:
        """Embeddings [1, T, Hl] of rows of the language model's table."""
        table = self.language_model.get_input_embeddings()
        embeds: Tensor = table(torch.tensor([rows], dtype=torch.int64, device=self.device))
        return embeds.float()

    def vision_features(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [B, 3, S, S] -> frozen features [B, N, Hv], which may be kept."""
        with torch.no_grad(), self.precision.autocast():
            features: Tensor = self.vision_model(pixel_values=pixels).last_hidden_state
        return features

    def hidden(self, features: Tensor, question: Question) -> Tensor:
        """The language model's last position after the question, [B, Hl]."""
        batch = len(features)
        with self.precision.autocast():
            words = self.language_projection(self.queries(features, question))  # [B, Q, Hl]
            text = torch.cat([question.before[0], question.llm_rows, question.after[0]])  # [T, Hl]
            embeds = torch.cat([words.float(), text.expand(batch, -1, -1)], dim=1)
            output = self.language_model(inputs_embeds=embeds, use_cache=False)
            last: Tensor = output.last_hidden_state[:, -1]
        # [B, Hl], two-dimensional on purpose: a Linear on a 3-D slice falls to a batched product
        # that copies the head once an image on a bf16 CPU (200 times slower, measured).
        return last

    def queries(self, features: Tensor, question: Question) -> Tensor:
        """What the query tokens have read, [B, Q, Hq]."""
        batch = len(features)
        self.qformer.get_input_embeddings().learned = (question.qformer_rows,)
        half = self.qformer.encoder.layer[0].attention.attention.query.weight.dtype
        # A Q-Former kept in fp32, as the official test runs it, must not be cast each time.
        exact = half == torch.float32 and self.precision.dtype != torch.float32
        with torch.autocast(self.device.type, enabled=False) if exact else nullcontext():
            output = self.qformer(
                input_ids=question.qformer_ids.expand(batch, -1),
                query_embeds=self.query_tokens.expand(batch, -1, -1),
                encoder_hidden_states=features.float() if exact else features,
            )
        read: Tensor = output.last_hidden_state[:, : self.query_tokens.shape[1]]
        return read

    def margin(self, features: Tensor, question: Question) -> Tensor:
        """l_no - l_yes, float32 [B]: above 0 the official test answers "fake".

        One forward pass and two rows of the head. The official test ranks the
        losses of the two candidates, which decides the same.
        """
        logits = functional.linear(self.hidden(features, question).float(), self.answer_rows)
        return logits[:, 1] - logits[:, 0]


def load(
    bundle: Bundle,
    precision: Precision | None = None,
    device: str | None = None,
    benchmark: DtypeBenchmark | None = None,
) -> InstructBlip:
    """Load a bundle by mmap onto a device, the best for None, in the precision that suits it.

    `benchmark` remembers what suits this processor. Raises ModelError.
    """
    bundle.verify_if_small()
    try:
        model = InstructBlip(bundle.manifest, "cpu" if bundle.manifest.is_small else "meta")
        model.precision = precision or choose(model.bytes_as, device, benchmark=benchmark)
        fill(model, stored_tensors(bundle))
        model.tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
        model.qformer_tokenizer = Tokenizer.from_file(str(bundle.folder / QFORMER_TOKENIZER))
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        first = (str(error).strip().splitlines() or [repr(error)])[0][:200]
        raise ModelError(
            f"The model {bundle.manifest.name} in {bundle.folder} does not load: {first}"
        ) from error
    model.attach_prompted_embedding()
    return model


@torch.no_grad()
def fill(model: InstructBlip, tensors: Iterable[tuple[str, Tensor, Tensor | None]]) -> None:
    """Put tensors into the skeleton as its precision wants them, without a second copy.

    They come as from `stored_tensors`, wherever they are, and are converted one at a time.
    Raises ModelError where one is missing or unknown.
    """
    precision = model.precision
    small = _to_quantise(model)
    state: dict[str, Tensor] = {}
    for name, stored, stored_scale in tensors:
        tensor = stored.to(precision.device)
        scale = None if stored_scale is None else stored_scale.to(precision.device)
        if name in small:
            if tensor.shape != small[name]:
                raise _amiss(model, name)
            kept = linear(tensor, scale, precision.weights, precision.dtype)
            model.set_submodule(name.removesuffix(".weight"), kept)
        else:
            exact = tensor if scale is None else dequantize(tensor, scale)
            state[name] = exact.to(run_dtype(name, precision.dtype))
    found = model.load_state_dict(state, strict=False, assign=True)
    # What was quantised is in already.
    missing = [name for name in found.missing_keys if not name.endswith((".codes", ".scale"))]
    if missing or found.unexpected_keys:
        raise _amiss(model, [*missing, *found.unexpected_keys][0])
    model.to(precision.device)


def _to_quantise(model: InstructBlip) -> dict[str, torch.Size]:
    """Names and shapes of the matrices that its precision does not keep plain."""
    if model.precision.weights == "plain":
        return {}
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    return {name: shape for name, shape in shapes.items() if is_quantizable(name, shape)}


def _amiss(model: InstructBlip, name: str) -> ModelError:
    return ModelError(f"The model {model.manifest.name} is not whole: {name} is amiss.")


def stored_tensors(bundle: Bundle) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """Each stored tensor by name; int8 matrices come with their float32 scale a row."""
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
    """Norms, embeddings and queries run in float32, and so does the residual stream they feed.

    As the official code has it; it costs next to nothing. In
    fp16 the Q-Former is float32 too, as in the official test.
    """
    exact = ("norm", "embed", "query_tokens")
    if any(word in name.lower() for word in exact):
        return torch.float32
    if half == torch.float16 and name.startswith("qformer."):
        return torch.float32
    return half
