"""Files as others make them: an official checkpoint's twin, and ones made to do harm.

Nothing here is official: shapes and keys follow the official saving code, the
numbers are the caller's.
"""

import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

QFORMER_KEY = "Qformer.bert.embeddings.train_word_embeddings.weight"
LLM_KEY = "llm_model.model.train_embed_tokens.weight"

MEAN, STD = [0.4730, 0.4499, 0.4129], [0.2780, 0.2713, 0.2872]  # its 90k pictures
PROMPT = "Is this photo real [*]?"


def official_config() -> dict[str, Any]:
    """What the official runs save: textinv_train.yaml over the model's defaults, as a dict."""
    processors = {
        "vis_processor": {
            split: {"name": name, "image_size": 224, "mean": MEAN, "std": STD}
            for split, name in (
                ("train", "blip2_image_train_textinv"),
                ("eval", "blip_image_eval_textinv"),
            )
        },
        "text_processor": {
            split: {"name": "blip_question_textinv", "prompt": PROMPT, "pseudo_word": "[*]"}
            for split in ("train", "eval")
        },
    }
    return {
        "run": {
            "task": "textual_inversion",
            "lr_sched": "linear_warmup_cosine_lr",
            "init_lr": 1e-5,
            "min_lr": 0,
            "warmup_lr": 1e-8,
            "warmup_steps": 0,
            "weight_decay": 0.05,
            "max_epoch": 10,
            "batch_size_train": 6,
            "batch_size_eval": 8,
            "accum_grad_iters": 1,
            "seed": 42,
            "amp": True,
            "resume_ckpt_path": None,
            "device": "cuda",
        },
        "model": {
            "arch": "blip2_vicuna_instruct_textinv",
            "model_type": "vicuna7b",
            "image_size": 224,
            "vit_precision": "fp16",
            "freeze_vit": True,
            "num_query_token": 32,
            "llm_model": "/eva_data0/denny/vicuna-7b-v1.3",
            "prompt": PROMPT,
            "pseudo_word": "[*]",
        },
        "preprocess": processors,
        "datasets": {"textinv": {**processors, "data_type": "images"}},
    }


def write_official_pth(
    path: Path,
    qformer: Tensor | None,
    llm: Tensor | None,
    *,
    module_prefix: bool = False,
    config: dict[str, Any] | None = None,
    epoch: int = 9,
) -> Path:
    """Write what checkpoint_best.pth holds; rows are [1, Hq] and [1, Hl].

    None leaves a side out, as the ablations do. `module_prefix` names the keys as
    a model saved from inside DistributedDataParallel does.
    """
    learned = {QFORMER_KEY: qformer, LLM_KEY: llm}
    rows = {key: tensor.detach().float() for key, tensor in learned.items() if tensor is not None}
    prefix = "module." if module_prefix else ""
    weights = OrderedDict((prefix + key, value) for key, value in (rows | buffers()).items())
    # torch leaves its note about versions on every state_dict.
    vars(weights)["_metadata"] = OrderedDict({"": {"version": 1}})
    checkpoint = {
        "model": weights,
        "optimizer": adamw_state(list(rows.values())),
        "config": official_config() if config is None else config,
        "scaler": {
            "scale": 65536.0,
            "growth_factor": 2.0,
            "backoff_factor": 0.5,
            "growth_interval": 2000,
            "_growth_tracker": 7,
        },
        "epoch": epoch,
    }
    torch.save(checkpoint, path)
    return path


def buffers() -> dict[str, Tensor]:
    """The frozen model's buffers, which the official code saves with the learned rows."""
    frequencies = 10000.0 ** -(torch.arange(0, 128, 2).float() / 128)  # [64]
    rotary = "llm_model.model.layers.{}.self_attn.rotary_emb.inv_freq"
    return {
        "Qformer.bert.embeddings.position_ids": torch.arange(512).unsqueeze(0),
        **{rotary.format(layer): frequencies.clone() for layer in range(32)},
    }


def adamw_state(rows: list[Tensor]) -> dict[str, Any]:
    group = {"lr": 2.4e-7, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}
    return {
        "state": {
            number: {
                "step": torch.tensor(20000.0),
                "exp_avg": torch.zeros_like(row),
                "exp_avg_sq": torch.zeros_like(row),
            }
            for number, row in enumerate(rows)
        },
        "param_groups": [
            {**group, "weight_decay": 0.05, "params": list(range(len(rows)))},
            {**group, "weight_decay": 0, "params": []},
        ],
    }


class Evil:
    """Makes a folder at `canary` when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def write_evil_pth(path: Path, canary: Path, kind: Literal["zip", "legacy", "raw"] = "zip") -> Path:
    """Write a checkpoint that makes the folder `canary` when it is read carelessly.

    "zip" and "legacy" are torch's two formats; "raw" is a bare pickle. All hold a
    good row too, so only a look at the whole file tells.
    """
    checkpoint = {
        "model": {QFORMER_KEY: torch.zeros(1, 768), LLM_KEY: torch.zeros(1, 4096)},
        "epoch": Evil(canary),
    }
    if kind == "raw":
        path.write_bytes(pickle.dumps(checkpoint, protocol=2))  # torch warns of others
    else:
        torch.save(checkpoint, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def broken_safetensors(
    folder: Path,
    rows: Mapping[str, Tensor] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> list[tuple[Path, str]]:
    """Write files that must be refused. Returns each with the reason.

    `rows` and `metadata` are a good file's (without: a prompt for `kit.tiny`). The
    well-formed files differ from that good file in one thing each.
    """
    rows = rows or {"qformer": torch.zeros(1, 32), "llm": torch.zeros(1, 64)}
    return [*malformed_safetensors(folder), *wrong_safetensors(folder, rows, metadata)]


def malformed_safetensors(folder: Path) -> list[tuple[Path, str]]:
    """Files that the safetensors library itself refuses."""
    one = '{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}'
    two = (
        '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        '"b":{"dtype":"F32","shape":[2],"data_offsets":%s}}'
    )
    good = with_header(one % ("[2]", "[0,8]"), 8)
    contents = {
        "empty": b"",
        "shorter than a header's length": b"\x10\x00\x00",
        "header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "header that is not JSON": with_header("{not json", 8),
        "header that is a list": with_header("[1,2]", 8),
        "offsets outside the file": with_header(one % ("[2]", "[4096,4104]"), 8),
        "offsets past 2^63": with_header(one % ("[2]", f"[0,{2**64}]"), 8),
        "negative offset": with_header(one % ("[2]", "[-8,0]"), 8),
        "end before begin": with_header(one % ("[2]", "[8,0]"), 8),
        "negative shape": with_header(one % ("[-2]", "[0,8]"), 8),
        "tensors that overlap": with_header(two % "[4,12]", 12),
        "hole between tensors": with_header(two % "[12,20]", 20),
        "bytes behind the last tensor": good + bytes(8),
        "shape and length disagree": with_header(one % ("[3]", "[0,8]"), 8),
        "shape that overflows": with_header(one % (f"[{2**32},{2**32}]", "[0,0]"), 0),
        "dtype that does not exist": with_header(one.replace("F32", "F33") % ("[2]", "[0,8]"), 8),
        "truncated in the data": good[:-1],
        "truncated in the header": good[:20],
        "a million nested lists": with_header('{"a":' + "[" * 1_000_000, 0),
        "a pickle": pickle.dumps({"qformer": [0.0]}),
    }
    written = [
        (place(folder, reason, ".safetensors", content), reason)
        for reason, content in contents.items()
    ]
    return [*written, (huge_header(folder), "header of 100 MB")]


def huge_header(folder: Path) -> Path:
    """A file that is as long as it says, 100 MB of zeros without a block on disk."""
    length = 100_000_001
    path = place(folder, "header of 100 MB", ".safetensors", struct.pack("<Q", length))
    os.truncate(path, 8 + length)
    return path


def wrong_safetensors(
    folder: Path, rows: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> list[tuple[Path, str]]:
    """Files that the safetensors library reads without a word, so we must refuse them."""
    key, row = next(iter(rows.items()))
    others = {name: tensor for name, tensor in rows.items() if name != key}
    with_nan, with_inf = row.clone(), row.clone()
    with_nan.view(-1)[-1], with_inf.view(-1)[-1] = float("nan"), float("inf")
    contents = {
        "not a number among the weights": {key: with_nan},
        "infinity among the weights": {key: with_inf},
        "wrong keys": {f"{key}.weight": row},
        "one dimension too few": {key: row.flatten()},
        "one column too many": {key: torch.cat([row, row[..., :1]], dim=-1)},
        "no row at all": {key: row[:0]},
        "wrong dtype": {key: row.to(torch.int64)},
    }
    written = []
    for reason, changed in contents.items():
        path = place(folder, reason, ".safetensors")
        save_file({**others, **changed}, path, dict(metadata) if metadata else None)
        written.append((path, reason))
    return written


def with_header(header: str, data_bytes: int) -> bytes:
    encoded = header.encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(data_bytes)


def place(folder: Path, reason: str, suffix: str, content: bytes = b"") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (reason.replace(" ", "-").replace("'", "") + suffix)
    path.write_bytes(content)
    return path
