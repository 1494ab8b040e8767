"""An ONNX file that is not CLIP's vision encoder is refused in a sentence."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from antifake.core.clip_weights import CLIP, from_onnx
from antifake.core.errors import ModelError

WIDTH = 4


def plain_tensors() -> dict[str, np.ndarray]:
    """Returns what a vision encoder of one layer holds beside its matrices."""
    layer = f"{CLIP}encoder.layers.0."
    vector = np.ones(WIDTH, np.float32)
    return {
        f"{CLIP}embeddings.patch_embedding.weight": np.ones((WIDTH, 3, 2, 2), np.float32),
        f"{CLIP}embeddings.class_embedding": vector,
        f"{CLIP}embeddings.position_embedding.weight": np.ones((5, WIDTH), np.float32),
        f"{CLIP}pre_layrnorm.weight": vector,
        f"{CLIP}pre_layrnorm.bias": vector,
    } | {
        f"{layer}{name}": vector
        for name in (
            "self_attn.q_proj.bias",
            "self_attn.k_proj.bias",
            "self_attn.v_proj.bias",
            "self_attn.out_proj.bias",
            "mlp.fc1.bias",
            "mlp.fc2.bias",
            "layer_norm1.weight",
            "layer_norm1.bias",
            "layer_norm2.weight",
            "layer_norm2.bias",
        )
    }


MATRICES = (
    "self_attn/q_proj",
    "self_attn/k_proj",
    "self_attn/v_proj",
    "self_attn/out_proj",
    "mlp/fc1",
    "mlp/fc2",
)


def write(path, *, zero_point=0, without=""):
    """Writes an encoder of one layer whose matrices are quantized as those of the wheel."""
    tensors = plain_tensors()
    nodes = []
    for number, name in enumerate(MATRICES):
        key = f"onnx::MatMul_{number}"
        tensors[f"{key}_quantized"] = np.full((WIDTH, WIDTH), number + 1, np.int8)
        tensors[f"{key}_scale"] = np.ones(WIDTH, np.float32)
        tensors[f"{key}_zero_point"] = np.full(WIDTH, zero_point, np.int8)
        nodes.append(
            helper.make_node(
                "MatMulInteger",
                ["x", f"{key}_quantized"],
                [f"y{number}"],
                name=f"/vision_model/encoder/layers.0/{name}/MatMul_quant",
            )
        )
    held = [
        numpy_helper.from_array(value, name) for name, value in tensors.items() if name != without
    ]
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, WIDTH])
    y = helper.make_tensor_value_info("y0", TensorProto.INT32, [1, WIDTH])
    onnx.save(helper.make_model(helper.make_graph(nodes, "clip", [x], [y], held)), path)
    return path


def test_an_encoder_of_one_layer_is_read(tmp_path):
    tensors = from_onnx(write(tmp_path / "clip.onnx"), layers=1)
    codes = tensors["vision_model.encoder.layers.0.self_attn.qkv.weight"]
    assert codes.dtype == np.int8
    assert codes[:, 0].tolist() == [1] * WIDTH + [2] * WIDTH + [3] * WIDTH


def test_what_is_no_onnx_file_is_refused(tmp_path):
    path = tmp_path / "clip.onnx"
    path.write_bytes(b"\x80\x04 no protobuf")
    with pytest.raises(ModelError, match=r"clip\.onnx is not a readable ONNX file"):
        from_onnx(path, layers=1)


def test_an_encoder_with_zero_points_is_refused(tmp_path):
    path = write(tmp_path / "clip.onnx", zero_point=1)
    with pytest.raises(ModelError, match="quantised in a way that is not expected"):
        from_onnx(path, layers=1)


@pytest.mark.parametrize("missing", [f"{CLIP}pre_layrnorm.bias", "onnx::MatMul_5_scale"])
def test_an_encoder_that_lacks_a_tensor_is_refused(tmp_path, missing):
    path = write(tmp_path / "clip.onnx", without=missing)
    with pytest.raises(ModelError, match=f"is not the image tower of CLIP.*{missing}"):
        from_onnx(path, layers=1)


def test_an_encoder_with_too_few_layers_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is not the image tower of CLIP"):
        from_onnx(write(tmp_path / "clip.onnx"), layers=2)
