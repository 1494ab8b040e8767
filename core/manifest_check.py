"""Checks what a bundle.json says before anything is built or allocated by it."""

import re
from typing import Any

from .i18n import _
from .strict_json import is_printable, is_whole

DTYPES = ("fp32", "fp16", "bf16", "int8")
_KEYS = {"config", "dtype", "files", "fingerprint", "format", "name", "rows", "tokens"}
_FLAGS = {"pre_layernorm": False, "class_token": True, "scale_decoder_outputs": False}
_MORE_KEYS = {"source", "fused_layers", *_FLAGS}
_TOKENS = {"leading", "yes", "no", "cls", "sep"}
_OF_KIND = {"llama": {"leading"}, "t5": {"closing", "start"}}
"""The tokens that only one kind of language model has; those of others are null or left out."""
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
_T5_NAMES = dict(zip(_MOST, ("num_layers", "num_heads", "d_model", "d_ff"), strict=True))
"""T5's names of the same sizes."""


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
    _check_files(raw["files"])
    _check_rows(raw["rows"])
    _check_config(raw["config"], sum(entry["bytes"] for entry in raw["files"].values()))
    layers = raw["config"]["vision_config"]["num_hidden_layers"]
    _check_fused_layers(raw.get("fused_layers", []), layers)
    _check_tokens(raw["tokens"], raw["config"]["text_config"]["model_type"])


def _check_tokens(tokens: Any, kind: str) -> None:
    everyone = _TOKENS - _OF_KIND["llama"]
    optional = set().union(*_OF_KIND.values())
    _require(isinstance(tokens, dict) and _TOKENS <= tokens.keys() <= _TOKENS | optional, "tokens")
    for name in everyone | _OF_KIND[kind]:
        _require(is_whole(tokens.get(name), _MAX_ID), "tokens")
    _require(all(tokens.get(name) is None for name in optional - _OF_KIND[kind]), "tokens")


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
        sizes = _t5_sizes(about) if _is_t5(part, about) else {key: about.get(key) for key in _MOST}
        for key, most in _MOST.items():
            _require(is_whole(sizes[key], most, 1), f"{part}.{key}")
        layers, wide, inner = (sizes[key] for key in list(_MOST)[:1] + list(_MOST)[2:])
        if 2 * layers * wide * inner > n_bytes:
            raise ValueError(_("its {part} is larger than its files", part=part))
        for key in ("vocab_size", "max_position_embeddings"):
            _require(is_whole(about.get(key, 1), 2**24, 1), f"{part}.{key}")
    kind = config["text_config"].get("model_type")
    _require(isinstance(kind, str) and kind in _OF_KIND, "text_config.model_type")
    vision = config["vision_config"]
    _require(is_whole(vision.get("image_size"), 2048, 8), "image_size")
    _require(is_whole(vision.get("patch_size"), vision["image_size"], 4), "patch_size")
    _require(is_whole(config.get("num_query_tokens"), 1024, 1), "num_query_tokens")


def _check_fused_layers(fused: Any, count: int) -> None:
    _require(isinstance(fused, list), "fused_layers")
    _require(all(is_whole(one, count, 1) for one in fused), "fused_layers")
    _require(len(fused) == len(set(fused)), "fused_layers")


def _is_t5(part: str, about: dict[str, Any]) -> bool:
    return part == "text_config" and about.get("model_type") == "t5"


def _t5_sizes(about: Any) -> dict[str, Any]:
    """Returns T5's sizes by the usual names. Both stacks count as layers."""
    layers = about.get("num_layers"), about.get("num_decoder_layers")
    _require(all(is_whole(n, _MOST["num_hidden_layers"], 1) for n in layers), "text_config.layers")
    heads, width = about.get("num_heads"), about.get("d_kv")
    _require(is_whole(heads, _MOST["num_attention_heads"], 1), "text_config.num_heads")
    _require(is_whole(width, _MOST["hidden_size"], 1), "text_config.d_kv")
    buckets = about.get("relative_attention_num_buckets")
    distance = about.get("relative_attention_max_distance")
    _require(is_whole(buckets, 2**12, 4), "text_config.relative_attention_num_buckets")
    _require(is_whole(distance, 2**16, buckets), "text_config.relative_attention_max_distance")
    sizes = {key: about.get(name) for key, name in _T5_NAMES.items()}
    _require(
        is_whole(sizes["intermediate_size"], _MOST["intermediate_size"], 1), "text_config.d_ff"
    )
    # Its heads together may be wider than the model.
    inner = max(sizes["intermediate_size"], heads * width)
    return sizes | {"num_hidden_layers": sum(layers), "intermediate_size": inner}


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _require(is_right: object, what: str) -> None:
    if not is_right:
        raise ValueError(_("its {what} cannot be that", what=what))
