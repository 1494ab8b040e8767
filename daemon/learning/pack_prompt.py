"""Checks a prompt from outside without torch: header, tensors, and every number in it."""

import json
import math
from typing import Any

import numpy as np

from antifake.core.bundle import Manifest
from antifake.core.errors import ModelError
from antifake.core.i18n import _
from antifake.core.prompt_file import check_fits, read_header

MAX_ROWS = 64
LARGEST = 2.0**63
_SIDES = {"qformer", "llm"}


def checked_prompt(data: bytes, name: str, model: Manifest) -> None:
    """Raises ModelError unless it is a sound prompt that was tuned for this model."""
    try:
        _check(data, name, model)
    # A header that is made for it can lack anything or have it of any kind.
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ModelError(_("{name} is not a sound prompt.", name=name)) from None


def _check(data: bytes, name: str, model: Manifest) -> None:
    about, shapes = read_header(data, name)
    if about.base != model.fingerprint:
        raise ModelError(
            _("{name} was tuned for {model}.", name=name, model=about.base_name)
            if about.base_name
            else _("{name} was tuned for another model.", name=name)
        )
    check_fits(about, shapes, model)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if header.keys() != {"__metadata__", *_SIDES}:
        raise ModelError(_("{name} has other tensors than a prompt.", name=name))
    body, covered = data[8 + length :], 0
    for side in sorted(_SIDES, key=lambda one: header[one]["data_offsets"]):
        covered = _check_tensor(header[side], body, covered, name)
    if covered != len(body):
        raise ModelError(_("{name} has bytes that belong to no tensor.", name=name))
    if not _is_plain(json.loads(header["__metadata__"]["antifake_prompt"])):
        raise ModelError(_("{name} has numbers that cannot be.", name=name))


def _check_tensor(about: dict[str, Any], body: bytes, start: int, name: str) -> int:
    """Returns where the tensor ends."""
    rows, width = about["shape"]
    begin, end = about["data_offsets"]
    is_sound = about["dtype"] == "F32" and 0 <= rows <= MAX_ROWS and begin == start
    if not is_sound or end != begin + 4 * rows * width or end > len(body):
        raise ModelError(_("{name} has a tensor that does not belong to a prompt.", name=name))
    if not np.isfinite(np.frombuffer(body[begin:end], "<f4")).all():
        raise ModelError(_("{name} holds numbers that are not finite.", name=name))
    return int(end)


def _is_plain(value: Any) -> bool:
    """Whether every number is finite and of a size that any program can read."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, (int, float)):
        return math.isfinite(value) and abs(value) < LARGEST
    return True
