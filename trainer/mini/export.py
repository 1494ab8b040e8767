"""The trained model written as package data: weights in int8, prompt, manifest, known scores."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from antifake.core.bundle import PROMPT, QFORMER_TOKENIZER, TOKENIZER, Bundle, file_entry, seal
from antifake.core.detector import detector_of
from antifake.core.embedded import PACKED, TOWER_SHARD
from antifake.core.files import write_atomically
from antifake.core.instructblip import InstructBlip, stored_tensors
from antifake.core.precision import Precision
from antifake.core.prepare import fingerprint, tensor_digest
from antifake.core.promptbook import Promptbook
from antifake.core.quantization import dequantize, quantize
from antifake.core.selfcheck import scores

from .bridge import BRIDGE_SHARD, TOWER_WEIGHTS
from .distillation import Bridge
from .held_out import Calibration, HeldOut


def round_to_int8(bridge: Bridge) -> None:
    """Gives the trained matrices the values that they will be stored with."""
    with torch.no_grad():
        for parameter in bridge.weights.values():
            if parameter.ndim == 2:
                parameter.copy_(dequantize(*quantize(parameter)))


def export(
    bridge: Bridge,
    untrained: Bundle,
    held: HeldOut,
    calibration: Calibration,
    final: Path,
) -> Bundle:
    """Writes the finished bundle to `final`."""
    shutil.rmtree(final, ignore_errors=True)
    final.mkdir(parents=True)
    for name in (TOWER_SHARD, TOKENIZER, QFORMER_TOKENIZER):
        shutil.copyfile(untrained.folder / name, final / name)
    save_file(stored(bridge.model), final / BRIDGE_SHARD)
    draft = Bundle(final, untrained.manifest)
    digests = {}
    for name, tensor, scale in stored_tensors(draft):
        digests[name] = tensor_digest(tensor)
        if scale is not None:
            digests[f"{name}.scale"] = tensor_digest(scale)
    manifest = replace(untrained.manifest, fingerprint=fingerprint(digests))
    prompt = bridge.prompt().tuned_for(manifest.fingerprint, manifest.name)
    about = replace(
        prompt.about,
        threshold=calibration.threshold,
        temperature=calibration.temperature,
        bands=calibration.bands,
        made={"by": "the recipe in trainer/mini", **held.summary()},
    )
    replace(prompt, about=about).save(final / PROMPT)
    names = (TOWER_SHARD, BRIDGE_SHARD, TOKENIZER, QFORMER_TOKENIZER, PROMPT)
    manifest = replace(manifest, files={name: file_entry(final / name) for name in names})
    return seal(final, manifest)


def write_package_data(bundle: Bundle, out: Path) -> None:
    """Writes the bundle without the tower to `out`.

    With it goes mini.json: the pinned manifest, and the samples' scores in float32.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in bundle.manifest.files.keys() - {TOWER_SHARD, BRIDGE_SHARD}:
        shutil.copyfile(bundle.folder / name, out / name)
    packed = gzip.compress((bundle.folder / BRIDGE_SHARD).read_bytes(), mtime=0)
    (out / f"{BRIDGE_SHARD}{PACKED}").write_bytes(packed)
    exact = Precision(torch.device("cpu"), torch.float32)
    detector, _ = detector_of(bundle, Promptbook(bundle.folder), precision=exact)
    piece = {"manifest": json.loads(bundle.manifest.to_json()), "samples": scores(detector)}
    write_atomically(out / "mini.json", json.dumps(piece, indent=1, sort_keys=True).encode())


def stored(model: InstructBlip) -> dict[str, torch.Tensor]:
    """Returns all stored weights but the tower's: matrices in int8, the rest in float32."""
    tensors = {}
    for name, value in model.state_dict().items():
        if name.startswith(TOWER_WEIGHTS):
            continue
        name = name.replace("word_embeddings.words.", "word_embeddings.")  # noqa: PLW2901
        if value.ndim == 2 and not name.startswith("lm_head"):
            tensors[name], tensors[f"{name}.scale"] = quantize(value)
        else:
            tensors[name] = value.float().contiguous()
    return tensors
