"""What the recipe of `mini` is built from, small and random, in the formats it is published in.

The widths are the real ones, as the recipe knows no others. There is one layer of everything
(more of the tower on request),
and the vocabularies have a few words more than the recipe keeps.
"""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file
from tokenizers import pre_tokenizers

VISION, MINILM, SMOLLM = 768, 384, 576
VISION_MLP, TEXT_MLP = 3072, 1536
KEY_ROWS = 192
"""Of SmolLM2's keys and values: 3 heads of 64, where its queries have 9."""
STRANGERS = ["zebra", "quark"]
"""Words that the recipe does not keep."""
MERGED = ["yes", "no", "Ġreal", "Ġphoto", "Ġthis", *STRANGERS]
"""Words that SmolLM2 has as one token; all others fall into bytes."""


def pretrained_parts(folder: Path, seed: int = 0, tower_layers: int = 1) -> dict[str, Path]:
    """Write the four files. Returns them by their names in the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    return {
        "minilm": minilm(folder / "model.safetensors", random),
        "vocabulary": vocabulary(folder / "vocab.txt"),
        "smollm": smollm(folder / "smollm.gguf", random),
        "tower": tower(folder / "tower.onnx", random, tower_layers),
    }


def drawn(random: np.random.Generator, *shape: int) -> np.ndarray:
    """float32; a product with it keeps the size of what goes in."""
    return random.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)


def norm(random: np.random.Generator, width: int) -> np.ndarray:
    return random.normal(1, 0.1, width).astype(np.float32)


def vocabulary(path: Path) -> Path:
    """The unused words stand between the used ones, so a row that is not looked up is wrong."""
    from antifake.trainer.mini.pretrained import PUNCTUATION, WORDS

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, STRANGERS[0], *PUNCTUATION]
    words += [*(f"##{letter}" for letter in letters), STRANGERS[1], *WORDS]
    path.write_text("\n".join(dict.fromkeys(words)) + "\n", "utf-8")
    return path


def minilm(path: Path, random: np.random.Generator) -> Path:
    words = len(vocabulary(path.with_name("words.txt")).read_text("utf-8").splitlines())
    tables = {"word_embeddings": words, "position_embeddings": 512, "token_type_embeddings": 2}
    state = {f"embeddings.{name}.weight": drawn(random, n, MINILM) for name, n in tables.items()}
    norms = ["embeddings.LayerNorm"]
    layer = "encoder.layer.0."
    products = {"intermediate.dense": (TEXT_MLP, MINILM), "output.dense": (MINILM, TEXT_MLP)}
    names = ("self.query", "self.key", "self.value", "output.dense")
    products |= {f"attention.{name}": (MINILM, MINILM) for name in names}
    for name, shape in products.items():
        state[f"{layer}{name}.weight"] = drawn(random, *shape)
        state[f"{layer}{name}.bias"] = 0.1 * drawn(random, shape[0])
    for name in (*norms, f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"):
        state[f"{name}.weight"], state[f"{name}.bias"] = norm(random, MINILM), drawn(random, MINILM)
    save_file({name: torch.from_numpy(value) for name, value in state.items()}, path)
    return path


def smollm(path: Path, random: np.random.Generator) -> Path:
    """Matrices in Q4_1, as the published file has them."""
    tokens, merges = bpe()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    matrices = {
        "token_embd": (len(tokens), SMOLLM),
        "blk.0.attn_q": (SMOLLM, SMOLLM),
        "blk.0.attn_k": (KEY_ROWS, SMOLLM),
        "blk.0.attn_v": (KEY_ROWS, SMOLLM),
        "blk.0.attn_output": (SMOLLM, SMOLLM),
        "blk.0.ffn_gate": (TEXT_MLP, SMOLLM),
        "blk.0.ffn_up": (TEXT_MLP, SMOLLM),
        "blk.0.ffn_down": (SMOLLM, TEXT_MLP),
    }
    kind = gguf.GGMLQuantizationType.Q4_1
    for name, shape in matrices.items():
        codes = gguf.quants.quantize(drawn(random, *shape), kind)
        writer.add_tensor(f"{name}.weight", codes, raw_dtype=kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", norm(random, SMOLLM))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def bpe() -> tuple[list[str], list[str]]:
    """Tokens and merges: all bytes, and a few words put together from left to right."""
    merges = list(dict.fromkeys(merge for word in MERGED for merge in merges_of(word)))
    merged = ["".join(merge) for merge in merges]
    # The special token is not the first, so that its row has to be looked up.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return [*letters, *reversed(merged), "<|im_start|>"], [" ".join(merge) for merge in merges]


def merges_of(word: str) -> Iterator[tuple[str, str]]:
    for end in range(1, len(word)):
        yield word[:end], word[end]


def tower(path: Path, random: np.random.Generator, layers: int = 1) -> Path:
    """An ONNX file whose initialisers and products are named as the published one's."""
    tensors: dict[str, np.ndarray] = {}
    nodes: list[onnx.NodeProto] = []
    root = "vision_model."
    tensors[f"{root}embeddings.patch_embedding.weight"] = drawn(random, VISION, 3, 16, 16) / 4
    tensors[f"{root}embeddings.class_embedding"] = drawn(random, VISION) * VISION**0.5
    tensors[f"{root}embeddings.position_embedding.weight"] = drawn(random, 197, VISION)
    put_norm(tensors, random, f"{root}pre_layrnorm")
    products = {f"self_attn.{side}_proj": (VISION, VISION) for side in ("q", "k", "v", "out")}
    products |= {"mlp.fc1": (VISION_MLP, VISION), "mlp.fc2": (VISION, VISION_MLP)}
    for number in range(layers):
        layer = f"{root}encoder.layers.{number}."
        for name in ("layer_norm1", "layer_norm2"):
            put_norm(tensors, random, f"{layer}{name}")
        for name, (out, width) in products.items():
            key = f"onnx::MatMul_{len(nodes)}"
            tensors[f"{key}_quantized"] = random.integers(-127, 128, (width, out)).astype(np.int8)
            tensors[f"{key}_scale"] = np.full(out, width**-0.5 / 73, np.float32)  # 73: their spread
            tensors[f"{key}_zero_point"] = np.zeros(out, np.int8)
            tensors[f"{layer}{name}.bias"] = 0.1 * drawn(random, out)
            place = f"/vision_model/encoder.layers.{number}/{name}/MatMul_quant"
            inputs = ["x", f"{key}_quantized"]
            nodes.append(helper.make_node("MatMulInteger", inputs, ["y"], name=place))
    initialisers = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "tower", [], [], initialisers)), str(path))
    return path


def put_norm(tensors: dict[str, np.ndarray], random: np.random.Generator, name: str) -> None:
    tensors[f"{name}.weight"] = norm(random, VISION)
    tensors[f"{name}.bias"] = drawn(random, VISION)
