"""The soft prompt: two small tensors and their metadata, in one safetensors file.

The metadata are the question around the prompt, the normalization of pictures, the model it was
tuned for, and the calibration. Official AntifakePrompt checkpoints are imported from .pth.
"""

import hashlib
import io
import warnings
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from .errors import ModelError
from .files import read_capped, refuse_zip_bomb, write_atomically
from .i18n import _
from .prompt_file import MAX_PROMPT_BYTES, RGB, PromptMetadata, read_header

# The key of each side in an official checkpoint, as its save code names them.
OFFICIAL_KEYS = {
    "qformer": "Qformer.bert.embeddings.train_word_embeddings.weight",
    "llm": "llm_model.model.train_embed_tokens.weight",
}


@dataclass(frozen=True)
class SoftPrompt:
    """The learned embeddings of [*], for the Q-Former and for the language model.

    A side without learned tokens (an ablation) has 0 rows and reads the question without [*].
    """

    qformer: Tensor
    """float32 [P, Hq]"""
    llm: Tensor
    """float32 [P, Hl]"""
    about: PromptMetadata

    def __post_init__(self) -> None:
        for side, rows in (("Q-Former", self.qformer), (_("language model"), self.llm)):
            if rows.ndim != 2 or rows.dtype != torch.float32:
                raise ModelError(
                    _("The prompt's {side} side is not a float32 table [P, H].", side=side)
                )
            if not torch.isfinite(rows).all():
                raise ModelError(
                    _("The prompt's {side} side holds numbers that are not finite.", side=side)
                )
        if not len(self.qformer) and not len(self.llm):
            raise ModelError(_("This prompt has learned nothing: both sides are empty."))

    @property
    def id(self) -> str:
        """The first 8 hex digits of the sha256 of its file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:8]

    @property
    def shapes(self) -> dict[str, list[int]]:
        return {"qformer": list(self.qformer.shape), "llm": list(self.llm.shape)}

    def tuned_for(self, base: str, base_name: str) -> "SoftPrompt":
        return replace(self, about=replace(self.about, base=base, base_name=base_name))

    def to_bytes(self) -> bytes:
        tensors = {"qformer": self.qformer.contiguous(), "llm": self.llm.contiguous()}
        return save_safetensors(tensors, {"antifake_prompt": self.about.to_json()})

    def save(self, path: Path) -> None:
        write_atomically(path, self.to_bytes())


def load_prompt(path: Path) -> SoftPrompt:
    """Reads one of our prompt files. Raises ModelError."""
    data = read_capped(path, MAX_PROMPT_BYTES, _("prompt"))
    about, _shapes = read_header(data, path.name)
    try:
        tensors = load_safetensors(data)
    except SafetensorError as error:
        raise ModelError(
            _(
                "{name} is not a readable prompt: {error}",
                name=path.name,
                error=_first_line(error),
            )
        ) from None
    return SoftPrompt(tensors["qformer"], tensors["llm"], about)


@dataclass(frozen=True)
class ImportedPrompt:
    """An imported checkpoint, and in words what was taken from it and what was assumed."""

    prompt: SoftPrompt
    took: list[str]
    assumed: list[str]


def import_official(path: Path) -> ImportedPrompt:
    """Reads an official AntifakePrompt checkpoint, such as COCO_150k_*.pth.

    Source: the save code of nctu-eva-lab/AntifakePrompt@957c1e1. Tensors are found by their keys;
    nothing in the file is ever executed. Raises ModelError.
    """
    checkpoint = _load_checkpoint(path)
    model = checkpoint.get("model", checkpoint)
    if not isinstance(model, dict):
        raise ModelError(_("{name} holds no model state.", name=path.name))
    tensors = {str(key).removeprefix("module."): value for key, value in model.items()}
    sides = {side: _side(tensors, key, path.name) for side, key in OFFICIAL_KEYS.items()}
    if not any(len(rows) for rows in sides.values()):
        raise ModelError(
            _(
                "{name} is not an AntifakePrompt checkpoint: neither {qformer} nor {llm} is in it.",
                name=path.name,
                qformer=OFFICIAL_KEYS["qformer"],
                llm=OFFICIAL_KEYS["llm"],
            )
        )
    about, notes, assumed = _official_metadata(checkpoint)
    took = [
        f"{OFFICIAL_KEYS[side]} {list(rows.shape)}" for side, rows in sides.items() if len(rows)
    ]
    assumed += [
        _("no learned word on the {side} side", side=side)
        for side, rows in sides.items()
        if not len(rows)
    ]
    about = replace(about, made={"imported_from": path.name, "took": took, "assumed": assumed})
    return ImportedPrompt(SoftPrompt(sides["qformer"], sides["llm"], about), took + notes, assumed)


def _load_checkpoint(path: Path) -> dict[str, Any]:
    data = read_capped(path, MAX_PROMPT_BYTES, _("checkpoint"))
    try:
        if data[:2] == b"PK":
            refuse_zip_bomb(data, 4 * MAX_PROMPT_BYTES, path.name)
        # For a raw pickle torch warns before it refuses; the refusal is enough.
        with warnings.catch_warnings(action="ignore"):
            # Explicit, so that TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD has no effect.
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except zipfile.BadZipFile:
        raise ModelError(
            _("{name} is a damaged checkpoint: download it again.", name=path.name)
        ) from None
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything
        raise ModelError(
            _(
                "{name} is not a checkpoint that can be read safely: {error}",
                name=path.name,
                error=_first_line(error),
            )
        ) from None
    if not isinstance(loaded, dict):
        raise ModelError(_("{name} is not an AntifakePrompt checkpoint.", name=path.name))
    return loaded


def _side(tensors: dict[str, Any], key: str, name: str) -> Tensor:
    """Returns the learned rows of one side, float32 [P, H]; P is 0 if there are none."""
    rows = tensors.get(key, torch.zeros(0, 0))
    if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
        raise ModelError(_("{name}: {key} is not a table of numbers [P, H].", name=name, key=key))
    return rows.detach().to(torch.float32).clone()


def _official_metadata(
    checkpoint: dict[str, Any],
) -> tuple[PromptMetadata, list[str], list[str]]:
    """Returns the metadata, what was taken from the checkpoint's config, and what was assumed."""
    about = PromptMetadata(base_name="instructblip-vicuna-7b")
    took, assumed = [], []
    if "epoch" in checkpoint:
        took.append(_("epoch {n}", n=checkpoint["epoch"]))
    config = checkpoint.get("config")
    mean, std = _find(config, "mean"), _find(config, "std")
    if mean and std:
        about = replace(about, mean=mean, std=std)
        took.append(_("mean and std of its config"))
    else:
        assumed.append(_("mean and std of the official 90k training set"))
    assumed.append(_('the question "{before} [*]{after}"', before=about.before, after=about.after))
    assumed.append(_("Vicuna v1.3 as the language model it was tuned on"))
    assumed.append(_("no calibration: p_fake is the plain sigmoid of l_no - l_yes"))
    return about, took, assumed


def _find(config: object, key: str) -> RGB | None:
    """Returns the first list of three numbers under `key`, at any depth of a config."""
    if not isinstance(config, dict):
        return None
    value = config.get(key)
    if isinstance(value, (list, tuple)) and len(value) == 3:
        red, green, blue = (float(number) for number in value)
        return red, green, blue
    found = (_find(inner, key) for inner in config.values())
    return next((value for value in found if value), None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
