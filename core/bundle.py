"""A model folder that is ready to run: prepared once, verified, loaded by mmap.

    bundle.json              what it is: configuration, dtype, token ids, sha256 of each file
    model-00001.safetensors  weights, at most 1 GB a shard
    tokenizer.json           of the language model
    qformer_tokenizer.json   of the Q-Former
    prompt.safetensors       the prompt it was shipped with, if any

This module knows the files, not the tensors, and imports no torch.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .errors import DamagedModelError, ModelError
from .files import read_capped, sha256_of, write_atomically
from .i18n import _
from .manifest_check import check_manifest
from .strict_json import strict_json

MANIFEST = "bundle.json"
PROMPT = "prompt.safetensors"
TOKENIZER = "tokenizer.json"
QFORMER_TOKENIZER = "qformer_tokenizer.json"
FORMAT = 1

ALWAYS_VERIFIED_BYTES = 256 * 2**20
"""Up to this size every load hashes every file, which takes 0.1 s for `mini`."""


@dataclass(frozen=True)
class Tokens:
    """Token ids around the question and of the two answers, in the tokenizers' numbering."""

    leading: int | None
    """The first id of LLaMA's text: 2, "</s>", as in the official code, not 1. T5 has none."""
    yes: int
    no: int
    cls: int
    sep: int
    closing: int | None = None
    """The last id of T5's text and of its answers: 1, "</s>". LLaMA's text has none."""
    start: int | None = None
    """The first id of T5's decoder: 0, "<pad>"."""

    @property
    def after_answer(self) -> int | None:
        """The id that follows an answer in the official training, "</s>"."""
        return self.leading if self.closing is None else self.closing


@dataclass(frozen=True)
class FileEntry:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of bundle.json."""

    name: str
    dtype: str
    """How the large matrices are stored: fp32, fp16, bf16 or int8."""
    fingerprint: str
    """sha256 over the source tensors; the same for every dtype prepared from them."""
    config: dict[str, Any]
    """An InstructBlipConfig as a dict, with the vocabulary sizes of the stored tables."""
    tokens: Tokens
    files: dict[str, FileEntry]
    rows: dict[str, list[int]]
    """For each table that was cut: the token ids of its rows. Other tables are complete."""
    pre_layernorm: bool = False
    """Whether the vision encoder normalizes its embeddings, as CLIP's does."""
    class_token: bool = True
    """Whether a class token stands before the patches; SigLIP's encoder has none."""
    fused_layers: list[int] = field(default_factory=list)
    """Layers of the vision encoder that the Q-Former reads the mean of; none: the last alone."""
    scale_decoder_outputs: bool = False
    """Whether T5's states are multiplied by Hl^-0.5 before the head. FLAN-T5's are not."""
    source: str = ""
    """Where the weights come from, for people."""

    @property
    def shards(self) -> list[str]:
        return sorted(name for name in self.files if name.startswith("model-"))

    @property
    def total_bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())

    @property
    def is_small(self) -> bool:
        """Whether hashing and allocating all of it is quick."""
        return self.total_bytes <= ALWAYS_VERIFIED_BYTES

    @property
    def image_size(self) -> int:
        """The side of the square picture that the model gets, in pixels."""
        return int(self.config["vision_config"]["image_size"])

    @property
    def has_whole_vocabulary(self) -> bool:
        """Whether no row of the language model's tables was left out."""
        return not {"lm_head", "llm"} & self.rows.keys()

    @property
    def llm_kind(self) -> str:
        """The kind of the language model: llama or t5."""
        return str(self.config["text_config"]["model_type"])

    @property
    def llm_width(self) -> int:
        """The width of the language model's hidden states, Hl."""
        key = "d_model" if self.llm_kind == "t5" else "hidden_size"
        return int(self.config["text_config"][key])

    @property
    def version(self) -> str:
        """Name and fingerprint, such as `mini@1f3a90c2`; verdicts name the model so."""
        return f"{self.name}@{self.fingerprint[:8]}"

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Raises ValueError with a reason for people if it is not a valid manifest."""
        raw = strict_json(data)
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(_("it was made by another version of antifake"))
        check_manifest(raw)
        del raw["format"]
        raw["tokens"] = Tokens(**raw["tokens"])
        raw["files"] = {name: FileEntry(**entry) for name, entry in raw["files"].items()}
        return cls(**raw)


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and its manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Reads the manifest and checks the size of every file. Raises ModelError."""
        path = folder / MANIFEST
        if not path.is_file():
            raise ModelError(
                _(
                    "There is no model in {folder}: it has no {manifest}.",
                    folder=folder,
                    manifest=MANIFEST,
                )
            )
        try:
            manifest = Manifest.from_json(read_capped(path, 4 * 2**20, _("model description")))
        except ValueError as error:
            raise ModelError(
                _("{path} is not a description of a model: {error}.", path=path, error=error)
            ) from None
        bundle = cls(folder, manifest)
        for name, entry in manifest.files.items():
            bundle.check_size(name, entry)
        return bundle

    def check_size(self, name: str, entry: FileEntry) -> None:
        path = self.folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.bytes:
            raise self._damaged(name)

    def verify(self, progress: Callable[[int], None] | None = None) -> None:
        """Hashes every file. Raises DamagedModelError naming the first that has changed."""
        for name, entry in self.manifest.files.items():
            if sha256_of(self.folder / name, progress) != entry.sha256:
                raise self._damaged(name)

    def verify_if_small(self) -> None:
        """Verifies a small model, at every load. A large one is verified on request only."""
        if self.manifest.is_small:
            self.verify()

    def _damaged(self, name: str) -> DamagedModelError:
        model = self.manifest.name
        return DamagedModelError(
            _(
                "The model {model} is damaged ({file} is missing or has changed). Repair it with "
                "`antifake model pull {model}`.",
                model=model,
                file=name,
            )
        )


def file_entry(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, sha256_of(path))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what safetensors raises where a file cannot be written into ModelError."""
    from safetensors import SafetensorError  # noqa: PLC0415  # slow to import

    try:
        yield
    except SafetensorError as error:
        raise ModelError(_("{path} cannot be written: {why}.", path=path, why=error)) from error


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Writes the manifest beside its files. Raises ModelError if they do not match."""
    write_atomically(folder / MANIFEST, manifest.to_json())
    bundle = Bundle.open(folder)
    bundle.verify_if_small()
    return bundle


def put_in_place(bundle: Bundle, dest: Path) -> Bundle:
    """Moves a sealed bundle to `dest`; an older one is removed once the new one is there."""
    retired = dest.with_name(f".{dest.name}.old")
    shutil.rmtree(retired, ignore_errors=True)
    if dest.exists():
        dest.rename(retired)
    try:
        bundle.folder.rename(dest)
    except OSError:
        if retired.exists():
            retired.rename(dest)
        raise
    shutil.rmtree(retired, ignore_errors=True)
    return Bundle(dest, bundle.manifest)
