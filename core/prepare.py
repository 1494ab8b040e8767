"""Converts a published InstructBLIP into a bundle: streamed, cast once, fingerprinted.

It never holds more than one shard in memory: 31 GB of float32 need 2 GB.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from .bundle import (
    QFORMER_TOKENIZER,
    TOKENIZER,
    Bundle,
    FileEntry,
    Manifest,
    Tokens,
    file_entry,
    put_in_place,
    seal,
    writing,
)
from .errors import ModelError, UsageError
from .files import need_space, write_atomically
from .i18n import _, ngettext
from .instructblip import DTYPES, InstructBlip, run_dtype
from .lazy_imports import transformers_classes
from .prompt_file import QUESTION
from .quantization import is_quantizable, quantize

FLAN_T5_XL = {
    "vocab_size": 32128,
    "d_model": 2048,
    "d_kv": 64,
    "d_ff": 5120,
    "num_layers": 24,
    "num_heads": 32,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
"""The published sizes of google/flan-t5-xl."""
SHARD_BYTES = 10**9
MOST_TENSORS = 50_000
"""In a file. InstructBLIP has about 1,100 in all; each takes a tenth of a millisecond."""
T5_TABLE = "language_model.shared.weight"
HEAD = "lm_head.weight"
TABLES = {
    "language_model.embed_tokens.weight": "llm",
    T5_TABLE: "llm",
    "qformer.embeddings.word_embeddings.weight": "qformer",
    HEAD: "lm_head",
}
PARTS = ("vision_model.", "qformer.", "query_tokens", "language_projection.", "language_model.")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """A folder as `save_pretrained` writes it, and optionally another language model."""

    folder: Path
    llm: Path | None = None

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yields every tensor with its name in the bundle, one at a time.

        A T5 without a head of its own has its table as the head.
        """
        table: Tensor | None = None
        has_head = False
        for name, tensor in self._stored():
            yield name, tensor
            table = tensor if name == T5_TABLE else table
            has_head = has_head or name == HEAD
        if table is not None and not has_head:
            yield HEAD, table.clone()  # a file holds no memory twice

    def _stored(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in _tensors(self.folder):
            key = bundle_key(name)
            if key and not (self.llm and key.startswith(("language_model.", "lm_head."))):
                yield key, tensor
        for name, tensor in _tensors(self.llm) if self.llm else ():
            key = bundle_key(name, language_model=True)
            if key:
                yield key, tensor

    @property
    def bytes(self) -> int:
        folders = [folder for folder in (self.folder, self.llm) if folder]
        return sum(path.stat().st_size for folder in folders for path in weight_files(folder))


_UNREAD_OF_T5 = (
    "coder.embed_tokens.weight",  # of encoder and decoder: both are the table `shared`
    "EncDecAttention.relative_attention_bias.weight",  # in old files; no class has it
)


def bundle_key(name: str, *, language_model: bool = False) -> str | None:
    """Returns the name of a published tensor in a bundle; None if it need not be stored.

    Knows the layouts of transformers 4 and 5, and of a LlamaForCausalLM or a
    T5ForConditionalGeneration alone (`language_model`).

    >>> bundle_key("model.language_model.model.norm.weight")
    'language_model.norm.weight'
    >>> bundle_key("lm_head.weight", language_model=True)
    'lm_head.weight'
    >>> bundle_key("model.qformer.embeddings.position_ids") is None
    True
    """
    if language_model:
        name = f"language_model.{name}"
    elif name.removeprefix("model.").startswith(PARTS):
        name = name.removeprefix("model.")
    if name.endswith(("rotary_emb.inv_freq", "embeddings.position_ids", *_UNREAD_OF_T5)):
        return None
    name = name.replace("language_model.lm_head.", "lm_head.")
    return name.replace("language_model.model.", "language_model.")


def weight_files(folder: Path) -> list[Path]:
    """Returns the safetensors shards of a published model. Raises ModelError."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            raise ModelError(
                _("{path} is not readable: copy the model again.", path=index)
            ) from None
        if any(Path(name).name != name for name in names):
            raise ModelError(
                _("{path} names files outside its folder; it was not read.", path=index)
            )
        paths = [folder / name for name in sorted(names)]
    else:
        paths = [folder / "model.safetensors"]
    for path in paths:
        if not path.is_file():
            pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pth"))
            why = _("Its weights are pickles (.bin), which antifake never opens.")
            raise ModelError(f"{_missing(path)} {why}" if pickled else _missing(path))
    return paths


def _missing(path: Path) -> str:
    return _(
        "There is no model in {folder}: {file} is missing.", folder=path.parent, file=path.name
    )


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="pt") as file:
                names = file.keys()
                if len(names) > MOST_TENSORS:
                    raise ModelError(
                        _(
                            "{path} has {count:,} tensors: too many for a model.",
                            path=path,
                            count=len(names),
                        )
                    )
                for name in names:
                    yield name, file.get_tensor(name)
        except SafetensorError as error:
            raise ModelError(
                _("{path} is damaged: {error}", path=path, error=str(error)[:160])
            ) from None


def read_config(source: Source) -> dict[str, Any]:
    """Returns the InstructBlipConfig of a source as a dict. Raises ModelError."""
    config = _json(source.folder / "config.json")
    if config.get("model_type") != "instructblip":
        raise ModelError(_("{folder} is not an InstructBLIP model.", folder=source.folder))
    if source.llm:
        config["text_config"] = _json(source.llm / "config.json")
    kind = config["text_config"].get("model_type")
    if kind not in ("llama", "t5"):
        raise ModelError(
            _("The language model of {folder} is neither a LLaMA nor a T5.", folder=source.folder)
        )
    classes = transformers_classes(kind)
    full: dict[str, Any] = classes.InstructBlipConfig(**config).to_dict()
    return full


def scales_decoder_outputs(source: Source) -> bool:
    """Returns whether the language model is a T5 that scales its states before the head.

    FLAN-T5 does not. Until transformers 5 `tie_word_embeddings` said so, now a flag of its own.
    """
    text = _json(source.llm / "config.json" if source.llm else source.folder / "config.json")
    text = text if source.llm else text["text_config"]
    if text.get("model_type") != "t5":
        return False
    tied = text.get("tie_word_embeddings", True) is not False
    return bool(text.get("scale_decoder_outputs", tied))


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except OSError:
        raise ModelError(_missing(path)) from None
    except (ValueError, RecursionError):
        raise ModelError(_("{path} is not readable: copy the model again.", path=path)) from None
    if not isinstance(read, dict):
        raise ModelError(_("{path} is not a description of a model.", path=path))
    return read


def prepare(
    source: Source,
    dest: Path,
    *,
    dtype: str,
    full_tables: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Writes `source` as a bundle into the new folder `dest`, all or nothing. Raises ModelError.

    `dtype` is fp32, fp16, bf16 or int8. int8 concerns the matrices of the language model, with one
    scale a row; the rest is fp16. Without `full_tables` the vocabulary tables keep only the rows
    that the official question needs.
    """
    if dtype not in (*DTYPES, "int8"):
        raise UsageError(
            _("{dtype} is not one of {dtypes}.", dtype=dtype, dtypes=", ".join((*DTYPES, "int8")))
        )
    if dest.exists():
        raise UsageError(_("{path} exists already; nothing was overwritten.", path=dest))
    config = read_config(source)
    part = dest.with_name(f".{dest.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    need_space(dest.parent, source.bytes if dtype == "fp32" else source.bytes // 2)
    try:
        tokens, rows = _save_tokenizers(source, part, config["text_config"]["model_type"])
        rows = {} if full_tables else rows
        writer = ShardWriter(part, dtype, rows)
        done, total = 0, source.bytes
        for name, tensor in source.tensors():
            writer.add(name, tensor)
            done += tensor.numel() * tensor.element_size()
            if progress:
                progress(min(done, total), total)
        writer.flush()
        cut_vocabularies(config, rows)
        manifest = Manifest(
            name=dest.name,
            dtype=dtype,
            fingerprint=fingerprint(writer.digests),
            config=config,
            tokens=tokens,
            files=writer.files | _tokenizer_entries(part),
            rows=rows,
            scale_decoder_outputs=scales_decoder_outputs(source),
            source=str(source.folder.name) + (f" + {source.llm.name}" if source.llm else ""),
        )
        _check_complete(manifest, writer.digests)
        return put_in_place(seal(part, manifest), dest)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _check_complete(manifest: Manifest, stored: dict[str, str]) -> None:
    """Raises ModelError if the source lacks weights, as its bundle could not be loaded."""
    wanted = {name for name, _ in InstructBlip(manifest).named_parameters()}
    if missing := sorted(wanted - stored.keys()):
        raise ModelError(
            ngettext(
                "{source} is incomplete: {name} is missing.",
                "{source} is incomplete: {n} tensors are missing, {name} is the first.",
                len(missing),
                source=manifest.source,
                name=missing[0],
            )
        )


def cut_vocabularies(config: dict[str, Any], rows: dict[str, list[int]]) -> None:
    """Sets the vocabulary sizes in the configuration to those of the stored tables."""
    for table, part in (("llm", "text_config"), ("qformer", "qformer_config")):
        if table in rows:
            config[part]["vocab_size"] = len(rows[table])
            config[part]["pad_token_id"] = None if table == "llm" else 0


def _save_tokenizers(source: Source, part: Path, kind: str) -> tuple[Tokens, dict[str, list[int]]]:
    """Saves both tokenizers. Returns the ids around the question and the rows it needs."""
    language = _tokenizer(source.llm or source.folder)
    qformer = _tokenizer(source.folder / "qformer_tokenizer")
    for tokenizer, name in ((language, TOKENIZER), (qformer, QFORMER_TOKENIZER)):
        write_atomically(part / name, tokenizer.to_str(pretty=True).encode())

    def ids(tokenizer: Tokenizer, text: str) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def only(tokenizer: Tokenizer, token: str) -> int:
        found = tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(
                _("The tokenizer of {folder} has no {token}.", folder=source.folder, token=token)
            )
        return int(found)

    answers = [ids(language, answer) for answer in ("yes", "no")]
    if any(len(answer) != 1 for answer in answers):
        raise ModelError(
            _('"yes" and "no" are not one token each in {folder}.', folder=source.folder)
        )
    end = only(language, "</s>")
    tokens = Tokens(
        leading=None if kind == "t5" else end,
        yes=answers[0][0],
        no=answers[1][0],
        cls=only(qformer, "[CLS]"),
        sep=only(qformer, "[SEP]"),
        closing=end if kind == "t5" else None,
        start=only(language, "<pad>") if kind == "t5" else None,
    )
    around = {end} if tokens.start is None else {end, tokens.start}
    llm_ids = [i for text in QUESTION for i in ids(language, text)]
    qformer_ids = [i for text in QUESTION for i in ids(qformer, text)]
    rows = {
        "llm": sorted({*around, *llm_ids}),
        "qformer": sorted({tokens.cls, tokens.sep, *qformer_ids}),
        "lm_head": [tokens.yes, tokens.no],
    }
    return tokens, rows


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
            raise ModelError(
                _("{path} is not a tokenizer: {error}", path=path, error=str(error)[:120])
            ) from None
    # Older copies have only tokenizer.model or vocab.txt: transformers converts them.
    from transformers import AutoTokenizer  # noqa: PLC0415 - heavy, and seldom needed

    try:
        converted = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        backend: Tokenizer = converted.backend_tokenizer
    except (OSError, ValueError, ImportError, AttributeError) as error:
        raise ModelError(
            _("There is no tokenizer in {folder}: {error}", folder=folder, error=str(error)[:120])
        ) from None
    return backend


def _tokenizer_entries(part: Path) -> dict[str, FileEntry]:
    return {name: file_entry(part / name) for name in (TOKENIZER, QFORMER_TOKENIZER)}


def tensor_digest(tensor: Tensor) -> str:
    """Returns the sha256 of a tensor's bytes, in hex; the tensor may have any shape and dtype."""
    return hashlib.sha256(tensor.contiguous().flatten().view(torch.uint8).numpy().data).hexdigest()


def fingerprint(digests: dict[str, str]) -> str:
    """Returns one hash over the sha256 of every source tensor, before they are cast."""
    text = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()


class ShardWriter:
    """Casts tensors and writes them in shards of at most SHARD_BYTES (or a single tensor)."""

    def __init__(self, folder: Path, dtype: str, rows: dict[str, list[int]]) -> None:
        self.folder, self.dtype, self.rows = folder, dtype, rows
        self.files: dict[str, FileEntry] = {}
        self.digests: dict[str, str] = {}
        self._waiting: dict[str, Tensor] = {}
        self._bytes = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Adds one source tensor. Raises ModelError if it holds numbers that are not finite."""
        if not torch.isfinite(tensor).all():
            raise ModelError(
                _("{name} holds numbers that are not finite: copy the model again.", name=name)
            )
        self.digests[name] = tensor_digest(tensor)
        table = TABLES.get(name)
        if table in self.rows:
            tensor = tensor[self.rows[table]].clone()
        for stored_name, stored in stored_as(name, tensor, self.dtype).items():
            size = stored.numel() * stored.element_size()
            if self._bytes + size > SHARD_BYTES:
                self.flush()
            self._waiting[stored_name] = stored.contiguous()
            self._bytes += size

    def flush(self) -> None:
        if self._waiting:
            path = self.folder / f"model-{len(self.files) + 1:05d}.safetensors"
            with writing(path):
                save_file(self._waiting, path)
            self.files[path.name] = file_entry(path)
            self._waiting, self._bytes = {}, 0


def stored_as(name: str, tensor: Tensor, dtype: str) -> dict[str, Tensor]:
    """Returns what a bundle of a dtype stores for one tensor.

    That is the tensor in another dtype or, for a matrix [out, in] in int8, codes [out, in] and a
    scale [out].
    """
    if dtype == "int8" and is_quantizable(name, tensor.shape):
        codes, scale = quantize(tensor)
        return {name: codes, f"{name}.scale": scale}
    return {name: tensor.to(run_dtype(name, DTYPES.get(dtype, torch.float16)))}


@dataclass(frozen=True)
class PlanRow:
    part: str
    parameters: int
    dtype: str
    bytes: int


def plan(config: dict[str, Any], dtype: str, *, full_tables: bool = False) -> list[PlanRow]:
    """Returns what a bundle of a configuration would hold, computed on the meta device."""
    config = json.loads(json.dumps(config))
    few = {"llm": list(range(7)), "qformer": list(range(8)), "lm_head": [0, 1]}
    rows = {} if full_tables else few
    cut_vocabularies(config, rows)
    manifest = Manifest("plan", dtype, "", config, Tokens(0, 0, 0, 0, 0), {}, rows)
    sums: dict[tuple[str, str], list[int]] = {}
    for name, parameter in InstructBlip(manifest).named_parameters():
        for stored in stored_as(name, torch.empty_like(parameter, device="meta"), dtype).values():
            key = (name.partition(".")[0], str(stored.dtype).removeprefix("torch."))
            total = sums.setdefault(key, [0, 0])
            total[0] += stored.numel()
            total[1] += stored.numel() * stored.element_size()
    return [PlanRow(part, n, kind, size) for (part, kind), (n, size) in sums.items()]


def true_size_config(name: str = "instructblip-vicuna-7b") -> dict[str, Any]:
    """Returns the configuration of a published model.

    That of instructblip-vicuna-7b is made of the defaults of transformers.
    """
    is_t5 = name == "instructblip-flan-t5-xl"
    classes = transformers_classes("t5" if is_t5 else "llama")
    text = classes.T5Config(**FLAN_T5_XL) if is_t5 else classes.LlamaConfig(vocab_size=32001)
    config = classes.InstructBlipConfig(
        vision_config=classes.InstructBlipVisionConfig().to_dict(),
        qformer_config=classes.InstructBlipQFormerConfig(vocab_size=30523).to_dict(),
        text_config=text.to_dict(),
    )
    full: dict[str, Any] = config.to_dict()
    return full
