"""Reads the base set that belongs to a model's vision tower.

A safetensors file, packed with gzip: the tensors of `CompactTokens`, `is_fake` and `in_gate` as
uint8 [n]. Its metadata name the tower (`trainer.features.vision_fingerprint`) and the source of
each picture.
"""

import gzip
import json
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from antifake.core.bundle import Bundle
from antifake.core.errors import ModelError
from antifake.trainer.calibration import Truth
from antifake.trainer.features import vision_fingerprint

from .compact import CompactTokens

FOLDER = Path(__file__).parent
SUFFIX = ".safetensors.gz"
MAX_BYTES = 8_000_000


@dataclass(frozen=True)
class Pictures:
    """Pictures with known labels."""

    tokens: CompactTokens
    is_fake: Truth
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, chosen: np.ndarray) -> "Pictures":
        """Returns those of a mask, bool [n]."""
        return Pictures(
            self.tokens[torch.from_numpy(chosen)],
            self.is_fake[chosen],
            tuple(np.array(self.sources)[chosen].tolist()),
        )


@dataclass(frozen=True)
class BaseSet:
    """Two halves of different sources."""

    replay: Pictures
    gate: Pictures

    def without(self, *sources: str) -> "BaseSet":
        """Returns the set without some sources, to measure with pictures of these."""
        halves = (
            half.take(np.array([source not in sources for source in half.sources]))
            for half in (self.replay, self.gate)
        )
        return BaseSet(*halves)


def base_set_for(bundle: Bundle, folder: Path = FOLDER) -> BaseSet | None:
    """Returns the set of the model's vision tower, or None if there is none.

    Raises ModelError where a file is damaged.
    """
    fingerprint = ""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        fingerprint = fingerprint or vision_fingerprint(bundle)
        try:
            data = gzip.decompress(path.read_bytes())
            about = _metadata(data)
            if about.get("tower") == fingerprint:
                return _read(load_safetensors(data), about)
        except (SafetensorError, OSError, EOFError, zlib.error, ValueError, KeyError) as error:
            raise ModelError(f"{path.name}, the base set, is damaged: {error}") from None
    return None


def _metadata(data: bytes) -> dict[str, str]:
    """Returns the metadata of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    about: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return about


def _read(tensors: dict[str, torch.Tensor], about: dict[str, str]) -> BaseSet:
    sources = tuple(json.loads(about["sources"]))
    every = Pictures(
        CompactTokens(**{field.name: tensors[field.name] for field in fields(CompactTokens)}),
        tensors["is_fake"].numpy().astype(bool),
        sources,
    )
    in_gate = tensors["in_gate"].numpy().astype(bool)
    return BaseSet(every.take(~in_gate), every.take(in_gate))


def to_bytes(every: Pictures, in_gate: Truth, tower: str) -> bytes:
    """Returns the file of a base set. `in_gate`, bool [n], says which half a picture is in."""
    tokens = {
        field.name: getattr(every.tokens, field.name).contiguous()
        for field in fields(CompactTokens)
    }
    tensors = tokens | {
        "is_fake": torch.from_numpy(every.is_fake.astype(np.uint8)),
        "in_gate": torch.from_numpy(in_gate.astype(np.uint8)),
    }
    about = {"schema": "2", "tower": tower, "sources": json.dumps(every.sources)}
    return gzip.compress(save_safetensors(tensors, about), mtime=0)
