"""Checks what a bundle.json says before anything is built or allocated by it."""

import re
from typing import Any

from .i18n import _
from .strict_json import is_printable, is_whole

DTYPES = ("fp32", "fp16", "bf16", "int8")
_KEYS = {"config", "dtype", "files", "fingerprint", "format", "name", "rows", "tokens"}
_FLAGS = {"pre_layernorm": False, "class_token": True}
_MORE_KEYS = {"source", "fused_layers", *_FLAGS}
_TOKENS = {"leading", "yes", "no", "cls", "sep"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_FILES = 1000
_MAX_BYTES = 2**50
_MAX_ID = 2**31
_PARTS = ("vision_config", "qformer_config", "text_config")
_MOST = {
    "num_hidden_layers": 512,
    "num_attention_heads": 1024,
    "hidden_size": 2**16,
    "intermediate_size": 2**18,
}


def check_manifest(raw: Any) -> None:
    """Raises ValueError with a reason for people if it is no manifest of a model."""
    if not isinstance(raw, dict) or not _KEYS <= raw.keys() <= _KEYS | _MORE_KEYS:
        raise ValueError(_("it has other keys than it should"))
    name = raw["name"]
    is_name = is_printable(name, 255) and name and not set(name) & set("/\\")
    _require(is_name, "name")
    _require(is_printable(raw.get("source", ""), 1000), "source")
    _require(raw["dtype"] in DTYPES, "dtype")
    _require(_is_sha256(raw["fingerprint"]), "fingerprint")
    for flag, default in _FLAGS.items():
        _require(isinstance(raw.get(flag, default), bool), flag)
    tokens = raw["tokens"]
    _require(isinstance(tokens, dict) and tokens.keys() == _TOKENS, "tokens")
    _require(all(is_whole(one, _MAX_ID) for one in tokens.values()), "tokens")
    _check_files(raw["files"])
    _check_rows(raw["rows"])
    _check_config(raw["config"], sum(entry["bytes"] for entry in raw["files"].values()))
    layers = raw["config"]["vision_config"]["num_hidden_layers"]
    _check_fused_layers(raw.get("fused_layers", []), layers)


def _check_files(files: Any) -> None:
    _require(isinstance(files, dict) and 0 < len(files) <= _MAX_FILES, "files")
    for name, entry in files.items():
        if set(name) & set("/\\\0") or name in ("", ".", ".."):
            raise ValueError(_("it names files outside its folder"))
        _require(is_printable(name, 255), "files")
        _require(isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}, "files")
        _require(is_whole(entry["bytes"], _MAX_BYTES) and _is_sha256(entry["sha256"]), "files")
    _require(any(name.startswith("model-") for name in files), "files")


def _check_rows(rows: Any) -> None:
    _require(isinstance(rows, dict), "rows")
    for ids in rows.values():
        _require(isinstance(ids, list) and all(is_whole(one, _MAX_ID) for one in ids), "rows")


def _check_config(config: Any, n_bytes: int) -> None:
    """Checks the sizes that memory is taken by: no part has more weights than the files bytes."""
    _require(isinstance(config, dict), "config")
    for part in _PARTS:
        about = config.get(part)
        _require(isinstance(about, dict), part)
        for key, most in _MOST.items():
            _require(is_whole(about.get(key), most, 1), f"{part}.{key}")
        layers, wide, inner = (about[key] for key in list(_MOST)[:1] + list(_MOST)[2:])
        if 2 * layers * wide * inner > n_bytes:
            raise ValueError(_("its {part} is larger than its files", part=part))
        for key in ("vocab_size", "max_position_embeddings"):
            _require(is_whole(about.get(key, 1), 2**24, 1), f"{part}.{key}")
    vision = config["vision_config"]
    _require(is_whole(vision.get("image_size"), 2048, 8), "image_size")
    _require(is_whole(vision.get("patch_size"), vision["image_size"], 4), "patch_size")
    _require(is_whole(config.get("num_query_tokens"), 1024, 1), "num_query_tokens")


def _check_fused_layers(fused: Any, count: int) -> None:
    _require(isinstance(fused, list), "fused_layers")
    _require(all(is_whole(one, count, 1) for one in fused), "fused_layers")
    _require(len(fused) == len(set(fused)), "fused_layers")


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _require(is_right: object, what: str) -> None:
    if not is_right:
        raise ValueError(_("its {what} cannot be that", what=what))
