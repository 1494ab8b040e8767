"""A tower of any kind computes in our encoder what it computes in its own, layer for layer."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from kit import towers
from kit.threads import one_thread
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, Dinov2Config, SiglipVisionConfig

from antifake.core.bundle import Manifest, Tokens
from antifake.core.catalog import Home
from antifake.core.errors import ModelError
from antifake.core.instructblip import InstructBlip
from antifake.core.quantization import dequantize
from antifake.trainer.commands.mini import mini
from antifake.trainer.mini.bridge import Sizes, configuration
from antifake.trainer.mini.recipe import Recipe
from antifake.trainer.mini.towers.config import stated_shape
from antifake.trainer.mini.towers.layouts import (
    CLIP,
    CLIP_PIXELS,
    DINOV2,
    HALF_PIXELS,
    IMAGENET_PIXELS,
    SIGLIP,
)
from antifake.trainer.mini.towers.tower import TowerFolder
from antifake.trainer.mini.towers.weights import LAYERS, OURS

EXACT = 1e-5


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def read(folder, layers=towers.LAYERS, image_size=None):
    return TowerFolder(folder, "it").read(layers, image_size)


def encoder(tower):
    """Returns the vision model as core builds it, with the tower's weights before rounding."""
    manifest = Manifest(
        name="tower",
        dtype="fp32",
        fingerprint="",
        config=configuration(Sizes(), 8, 8, tower.shape.vision_config()),
        tokens=Tokens(0, 0, 0, 0, 0),
        files={},
        rows={"lm_head": [0, 1]},
        pre_layernorm=tower.pre_layernorm,
        class_token=tower.class_token,
    )
    model = InstructBlip(manifest, "cpu").vision_model
    width = tower.shape.hidden_size
    state = {name.removeprefix(OURS): value for name, value in tower.tensors.items()}
    state |= {
        "post_layernorm.weight": torch.ones(width),
        "post_layernorm.bias": torch.zeros(width),
    }
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def hidden_states(tower, pixels):
    """Returns the tokens after the embeddings and after each layer, [B, N, H] each."""
    model, found = encoder(tower), []
    for part in (model.embeddings, *model.encoder.layers):
        part.register_forward_hook(lambda _part, _into, out: found.append(out))
    model(pixel_values=pixels)
    return found


@torch.no_grad()
def their_hidden_states(model, pixels, **how):
    if isinstance(model, towers.TimmViT):
        return model.hidden_states(pixels)
    return model(pixel_values=pixels, output_hidden_states=True, **how).hidden_states


def pixels(side):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def farthest(ours, theirs):
    assert len(ours) == len(theirs)
    assert all(mine.shape == one.shape for mine, one in zip(ours, theirs, strict=True))
    return max((mine - one).abs().max().item() for mine, one in zip(ours, theirs, strict=True))


KINDS = {
    "CLIP": (towers.clip, {}, 32),
    "CLIP in patches of 14": (towers.clip, {"image_size": 56, "patch_size": 14}, 56),
    "CLIP with gelu": (towers.clip, {"hidden_act": "gelu"}, 32),
    "CLIP with its text side": (towers.whole_clip, {}, 32),
    "SigLIP": (towers.siglip, {}, 48),
    "SigLIP whose squares end within a patch": (towers.siglip, {"image_size": 60}, 60),
    "DINOv2": (towers.dinov2, {}, 56),
    "DINOv2 without biases in attention": (towers.dinov2, {"qkv_bias": False}, 56),
    "timm": (towers.timm, {}, 48),
    "timm with layer scale": (towers.timm, {"layer_scale": True}, 48),
    "Community Forensics": (towers.timm, {"prefix": "vit."}, 48),
}


@pytest.mark.parametrize(("make", "how", "side"), KINDS.values(), ids=KINDS)
def test_every_layer_gives_the_towers_own_tokens(tmp_path, make, how, side):
    theirs = make(tmp_path, **how)
    ours = hidden_states(read(tmp_path), pixels(side))
    expected = their_hidden_states(theirs, pixels(side))
    assert min(one.std() for one in expected) > 0.1, "nothing would be seen of a difference"
    assert farthest(ours, expected) < EXACT


@pytest.mark.parametrize(("make", "side"), [(towers.clip, 32), (towers.siglip, 48)])
def test_a_tower_cut_after_a_layer_is_the_beginning_of_it(tmp_path, make, side):
    theirs = make(tmp_path)
    ours = hidden_states(read(tmp_path, layers=2), pixels(side))
    assert farthest(ours, their_hidden_states(theirs, pixels(side))[:3]) < EXACT


@pytest.mark.parametrize("side", [28, 84])
def test_dinov2_takes_the_size_of_its_preprocessor(tmp_path, side):
    theirs = towers.dinov2(tmp_path, crop_size=side)
    tower = read(tmp_path)
    assert tower.shape.image_size == side
    grid = side // 14
    assert f"from 4 x 4 to {grid} x {grid} patches" in " ".join(tower.notes)
    assert farthest(
        hidden_states(tower, pixels(side)), their_hidden_states(theirs, pixels(side))
    ) < (EXACT)


@pytest.mark.parametrize(
    ("make", "side"), [(towers.clip, 24), (towers.clip, 64), (towers.siglip, 96)]
)
def test_another_size_gives_what_transformers_interpolates(tmp_path, make, side):
    theirs = make(tmp_path)
    ours = hidden_states(read(tmp_path, image_size=side), pixels(side))
    expected = their_hidden_states(theirs, pixels(side), interpolate_pos_encoding=True)
    assert farthest(ours, expected) < EXACT


def test_rounding_of_the_layers_matrices_is_all_that_is_lost(tmp_path):
    towers.dinov2(tmp_path)
    exact = read(tmp_path)
    stored = exact.rounded()
    matrices = {name.removesuffix(".scale") for name in stored.tensors if name.endswith(".scale")}
    assert len(matrices) == 4 * towers.LAYERS
    assert all(name.startswith(LAYERS) for name in matrices)
    for name, value in exact.tensors.items():
        if name in matrices:
            scale = stored.tensors[f"{name}.scale"]
            assert stored.tensors[name].dtype == torch.int8
            lost = dequantize(stored.tensors[name], scale) - value
            assert (lost.abs() <= 0.501 * scale[:, None]).all()
        else:
            assert torch.equal(stored.tensors[name], value)
    assert stored.rounded().tensors.keys() == stored.tensors.keys()


# --- What the folder says -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "config"),
    [(CLIP, CLIPVisionConfig), (SIGLIP, SiglipVisionConfig), (DINOV2, Dinov2Config)],
    ids=["CLIP", "SigLIP", "DINOv2"],
)
def test_what_a_description_leaves_out_is_what_transformers_takes(tmp_path, layout, config):
    theirs = config()
    known = {key: getattr(theirs, key, 4 * 768) for key in layout.defaults}
    assert known == layout.defaults
    about = {"model_type": theirs.model_type, "num_hidden_layers": 2}
    shape = stated_shape(tmp_path, layout, about)
    assert (shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size) == (2, 768, 3072)
    assert (shape.hidden_act, shape.layer_norm_eps) == (theirs.hidden_act, theirs.layer_norm_eps)


def test_pixels_are_scaled_as_the_kind_or_its_folder_says(tmp_path):
    for make, expected in (
        (towers.clip, CLIP_PIXELS),
        (towers.siglip, HALF_PIXELS),
        (towers.dinov2, IMAGENET_PIXELS),
        (towers.timm, IMAGENET_PIXELS),
    ):
        make(tmp_path / make.__name__)
        assert read(tmp_path / make.__name__).pixels == expected
    own = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "siglip" / "preprocessor_config.json").write_text(json.dumps(own))
    assert read(tmp_path / "siglip").pixels.mean == (0.1, 0.2, 0.3)
    change(tmp_path / "timm", pretrained_cfg={"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})
    assert read(tmp_path / "timm").pixels == HALF_PIXELS


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_licence_is_the_one_that_the_readme_states(tmp_path):
    towers.dinov2(tmp_path)
    assert read(tmp_path).licence == ""
    (tmp_path / "README.md").write_text("---\ntags:\n- x\nlicense: apache-2.0\n---\nlicense: no\n")
    assert read(tmp_path).licence == "apache-2.0"


def test_weights_in_several_files_and_in_half_are_read(tmp_path):
    theirs = towers.clip(tmp_path).half()
    theirs.save_pretrained(tmp_path, max_shard_size="40KB")
    (tmp_path / "model.safetensors").unlink()
    assert len([*tmp_path.glob("*.safetensors")]) > 1
    expected = their_hidden_states(theirs.float(), pixels(32))
    assert farthest(hidden_states(read(tmp_path), pixels(32)), expected) < EXACT


def test_a_name_is_a_folder_or_one_of_the_hub(tmp_path, monkeypatch):
    towers.clip(tmp_path / "clip of mine")
    found = TowerFolder.find(str(tmp_path / "clip of mine"), Home(tmp_path / "home"))
    assert (found.name, found.slug, found.layers()) == ("clip of mine", "clip-of-mine", 3)
    with pytest.raises(ModelError, match="neither a folder nor a name on the Hugging Face hub"):
        TowerFolder.find("nonsense", Home(tmp_path / "home"))
    asked = []

    def snapshot(name, _home):
        asked.append(name)
        return tmp_path / "clip of mine"

    monkeypatch.setattr("antifake.trainer.mini.towers.tower.snapshot", snapshot)
    found = TowerFolder.find("openai/clip-vit-large-patch14", Home(tmp_path / "home"))
    assert asked == ["openai/clip-vit-large-patch14"]
    assert found.slug == "openai-clip-vit-large-patch14"


# --- The command --------------------------------------------------------------------------


@pytest.fixture
def recipes(monkeypatch):
    """The recipes that the command would run."""
    found = []
    monkeypatch.setattr(Recipe, "run", lambda recipe, _say: found.append(recipe))
    return found


def command(*arguments):
    return CliRunner().invoke(mini, [str(one) for one in arguments])


def test_the_command_builds_on_a_folder_what_is_no_package_data(tmp_path, recipes):
    towers.dinov2(tmp_path / "dino")
    done = command(tmp_path, "--tower", tmp_path / "dino", "--image-size", 84, "--seed", 3)
    assert done.exit_code == 0, done.output
    assert "dino has 3 layers; 2 of them are kept, and the mean of 1, 2 is read." in done.output
    (recipe,) = recipes
    assert recipe.tower.folder == tmp_path / "dino"
    assert (recipe.work, recipe.out) == (Path("build/mini-dino"), None)
    assert (recipe.sizes.vision_layers, recipe.image_size, recipe.seed) == (2, 84, 3)
    assert command(tmp_path, "--tower", tmp_path / "dino", "--layers", 3).exit_code == 0
    assert recipes[1].sizes.vision_layers == 3


def test_the_shipped_tower_is_what_it_was(tmp_path, recipes):
    assert command(tmp_path).exit_code == 0
    assert recipes == [Recipe(tmp_path, Path("build/mini"), Path("core/mini"))]


def test_options_of_the_other_kind_of_tower_are_refused(tmp_path, recipes):
    towers.dinov2(tmp_path / "dino")
    for arguments, why in (
        (["--image-size", 84], "need --tower"),
        (["--layers", 8], "need --tower"),
        (["--tower", tmp_path / "dino", "--out", tmp_path / "out"], "--out is for"),
        (["--tower", "nonsense"], "neither a folder nor a name"),
    ):
        done = command(tmp_path, *arguments)
        assert why in str(done.exception)
    assert recipes == []


# --- What is refused ----------------------------------------------------------------------


CONFIGS = {
    "register tokens": (
        {"model_type": "dinov2_with_registers"},
        "dinov2_with_registers, which cannot be a tower: its register tokens",
    ),
    "another kind": ({"model_type": "resnet"}, "resnet, which cannot be a tower"),
    "a kind that is a list": ({"model_type": []}, "something unknown"),
    "gated layers": ({"use_swiglu_ffn": True}, "gated layers"),
    "another activation": ({"hidden_act": "relu"}, "another activation"),
    "a width of text": ({"hidden_size": "48"}, "hidden_size"),
    "a negative width": ({"hidden_size": -48}, "hidden_size"),
    "a width of another model": ({"hidden_size": 64}, "not \\(1, 17, 64\\)"),
    "more heads than fit": ({"num_attention_heads": 5}, "num_attention_heads"),
    "no eps": ({"layer_norm_eps": 0}, "layer_norm_eps"),
    "an endless tower": ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
    "more layers than there are": ({"num_hidden_layers": 4}, "is missing"),
    "patches of another size": ({"patch_size": 7}, "not \\(1, 65, 48\\)"),
    "patches larger than the picture": ({"patch_size": 57}, "image_size"),
    "more patches than fit into memory": ({"image_size": 2048}, "image_size"),
    "a picture of no pixels": ({"image_size": 0}, "image_size"),
    "a picture that is not square": ({"image_size": [56, 56]}, "image_size"),
    "a number that is true": ({"num_attention_heads": True}, "num_attention_heads"),
    "wide inner layers": ({"mlp_ratio": 1e9}, "mlp_ratio"),
    "grey pictures": ({"num_channels": 1}, "three colours"),
}


@pytest.mark.attack
@pytest.mark.parametrize(("lie", "why"), CONFIGS.values(), ids=CONFIGS)
def test_a_description_that_does_not_fit_is_refused_in_a_sentence(tmp_path, lie, why):
    towers.dinov2(tmp_path)
    change(tmp_path, **lie)
    with pytest.raises(ModelError, match=why):
        read(tmp_path, layers=lie.get("num_hidden_layers", 1) if why == "is missing" else 1)


def rewritten(folder, **tensors):
    """Puts tensors in place of those in the folder; None takes one away. "_" stands for "."."""
    path = folder / "model.safetensors"
    state = load_file(path) | tensors
    save_file({name: value for name, value in state.items() if value is not None}, path)


WEIGHTS = {
    "one that is missing": ({"blocks.1.norm2.bias": None}, "blocks.1.norm2.bias is missing"),
    "one of another size": ({"blocks.0.norm1.bias": torch.ones(47)}, "is \\(47,\\), not"),
    "numbers that are none": (
        {"cls_token": torch.full((1, 1, towers.WIDTH), torch.nan)},
        "infinite numbers",
    ),
    "numbers too large for single precision": (
        {"cls_token": torch.full((1, 1, towers.WIDTH), 1e300, dtype=torch.float64)},
        "infinite numbers",
    ),
    "whole numbers": (
        {"cls_token": torch.ones(1, 1, towers.WIDTH, dtype=torch.int64)},
        "not stored as plain floating point",
    ),
    "numbers of eight bits": (
        {"cls_token": torch.ones(1, 1, towers.WIDTH).to(torch.float8_e4m3fn)},
        "not stored as plain floating point",
    ),
    "register tokens": ({"reg_token": torch.ones(1, 4, towers.WIDTH)}, "reg_token, which"),
    "a norm of queries": ({"blocks.0.attn.q_norm.weight": torch.ones(12)}, "q_norm.weight, which"),
    "a norm in a layer that is cut": (
        {"blocks.2.attn.q_norm.weight": torch.ones(12)},
        "q_norm.weight, which",
    ),
}


@pytest.mark.attack
@pytest.mark.parametrize(("change_of", "why"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_not_as_they_should_be_are_refused(tmp_path, change_of, why):
    towers.timm(tmp_path)
    rewritten(tmp_path, **change_of)
    with pytest.raises(ModelError, match=why):
        read(tmp_path, layers=2)


@pytest.mark.attack
def test_pickles_and_damaged_files_are_refused(tmp_path):
    towers.clip(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="is damaged"):
        read(tmp_path)
    path.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(ModelError, match="pickles"):
        read(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "config.json").write_text('{"model_type": "clip", "model_type": "dinov2"}')
    with pytest.raises(ModelError, match="says something twice"):
        read(tmp_path)


BESIDE = {
    "huge crops": ("preprocessor_config.json", {"crop_size": 2048}, "146 patches"),
    "pixels that are text": ("preprocessor_config.json", {"image_mean": "0.5"}, "mean or standard"),
    "pixels of no spread": (
        "preprocessor_config.json",
        {"image_mean": [0, 0, 0], "image_std": [0, 0, 0]},
        "mean or standard",
    ),
    "a list": ("preprocessor_config.json", [1], "not a description"),
}


@pytest.mark.attack
@pytest.mark.parametrize(("name", "lie", "why"), BESIDE.values(), ids=BESIDE)
def test_lies_beside_the_weights_are_refused_in_a_sentence(tmp_path, name, lie, why):
    towers.dinov2(tmp_path)
    (tmp_path / name).write_text(json.dumps(lie))
    with pytest.raises(ModelError, match=why):
        read(tmp_path)


@pytest.mark.attack
def test_a_readme_of_empty_lines_takes_no_time_to_read(tmp_path):
    towers.dinov2(tmp_path)
    (tmp_path / "README.md").write_text("---" + "\n" * 1_000_000)
    assert read(tmp_path).licence == ""


@pytest.mark.attack
def test_more_weights_than_a_tower_can_have_are_refused(tmp_path, monkeypatch):
    towers.clip(tmp_path)
    monkeypatch.setattr("antifake.trainer.mini.towers.weights.MOST_TENSORS", 10)
    with pytest.raises(ModelError, match="more tensors than any tower"):
        read(tmp_path)


def test_layers_and_sizes_that_a_tower_has_not_are_refused(tmp_path):
    towers.timm(tmp_path)
    with pytest.raises(ModelError, match="it has 3 layers, not 4"):
        read(tmp_path, layers=4)
    for side, grid in ((12, 0), (2048, 128)):
        with pytest.raises(ModelError, match=f"{side} pixels have {grid} patches"):
            read(tmp_path, image_size=side)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match="how many heads"):
        read(tmp_path)
    (tmp_path / "config.json").write_text('{"model_args": {"num_heads": 4, "qk_norm": true}}')
    with pytest.raises(ModelError, match="model_args"):
        read(tmp_path)
