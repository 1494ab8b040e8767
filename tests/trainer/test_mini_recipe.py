"""The recipe of `mini` from end to end: small random parts, drawn pictures, a model that judges.

Also every step of it that only makes sense on an assembled bundle.
"""

import gzip
import json
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from kit import towers
from kit.pretrained import pretrained_parts
from kit.threads import one_thread
from kit.toy import cool_checkers, noisy, warm_gradient
from PIL import Image
from safetensors.torch import load_file

from antifake.core.bundle import Bundle
from antifake.core.detector import detector_of
from antifake.core.embedded import TOWER_SHARD
from antifake.core.errors import ModelError
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.prompt import load_prompt
from antifake.core.promptbook import Promptbook
from antifake.core.selfcheck import scores
from antifake.trainer.mini.augmentation import plain_view
from antifake.trainer.mini.bridge import BRIDGE_SHARD, Sizes, assemble, attend_to_cls, is_trained
from antifake.trainer.mini.distillation import Bridge, Schedule, TrainingData, tune_soft_prompt
from antifake.trainer.mini.recipe import Recipe
from antifake.trainer.mini.sampling import read_index
from antifake.trainer.mini.teacher import fit_teacher
from antifake.trainer.mini.token_cache import TokenCache, Tokens, pooled, tower_tokens
from antifake.trainer.mini.towers.layouts import CLIP_PIXELS
from antifake.trainer.mini.towers.tower import TowerFolder

SIZES = Sizes(2, (1, 2), qformer_layers=1, llm_layers=1, queries=4, positions=32)
SCHEDULE = Schedule(steps=14, batch=8, lr=3e-3, prompt_steps=2)
FLOAT32 = Precision(torch.device("cpu"), torch.float32)
BLANK = "train/real/blank.png"


def usable(data):
    """The pictures that the recipe learns from."""
    return [one for one in read_index(data, "train*") if one.path != data / BLANK]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four sources of each class, each with a family of its own; four pictures a source."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    lines = ["file,label,generator,family,kind,source,licence"]
    for source in range(8):
        label = ("real", "fake")[source % 2]
        family = f"family{source}" if label == "fake" else ""
        part = "train" if source < 6 else "train2"
        (folder / part / label).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            name = f"{part}/{label}/{source}-{number}.png"
            pixels = (warm_gradient if label == "real" else cool_checkers)(random)
            noisy(pixels, random).save(folder / name)
            lines.append(f"{name},{label},,{family},photo,source{source},CC0")
    Image.new("RGB", (80, 80), "navy").save(folder / BLANK)
    lines.append(f"{BLANK},real,,,photo,source0,CC0")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return pretrained_parts(tmp_path_factory.mktemp("parts"), tower_layers=2)


@pytest.fixture(scope="module")
def untrained(parts, tmp_path_factory):
    return assemble(parts, tmp_path_factory.mktemp("untrained"), SIZES, seed=0)


@pytest.fixture(scope="module")
def built(parts, data, tmp_path_factory):
    """The recipe, done once: its work folder, its output and what it said."""
    folder = tmp_path_factory.mktemp("built")
    said = []
    recipe = Recipe(
        data,
        folder / "work",
        folder / "out",
        sizes=SIZES,
        schedule=SCHEDULE,
        n_splits=2,
        split_steps=2,
        dtype=torch.float32,
    )
    recipe.build(parts, said.append)
    return recipe, said


def test_the_built_model_judges_pictures_by_what_they_show(built, data):
    recipe, _ = built
    bundle = Bundle.open(recipe.work / "final")
    detector, warning = detector_of(bundle, Promptbook(bundle.folder), precision=FLOAT32)
    assert warning is None
    examples = usable(data)
    crops = [plain_view(one.path.read_bytes()) for one in examples]
    margins = detector.margins(crops).numpy()
    is_fake = np.array([one.is_fake for one in examples])
    # How often a fake is above a real picture.
    assert (margins[is_fake][:, None] > margins[~is_fake]).mean() > 0.9


def test_the_package_data_is_the_bundle_without_the_tower(built):
    recipe, _ = built
    bundle = Bundle.open(recipe.work / "final")
    names = {path.name for path in recipe.out.iterdir()}
    weights = f"{BRIDGE_SHARD}.gz"
    plain = bundle.manifest.files.keys() - {TOWER_SHARD, BRIDGE_SHARD}
    assert names == plain | {weights, "mini.json"}
    for name in plain:
        assert (recipe.out / name).read_bytes() == (bundle.folder / name).read_bytes()
    unpacked = gzip.decompress((recipe.out / weights).read_bytes())
    assert unpacked == (bundle.folder / BRIDGE_SHARD).read_bytes()
    piece = json.loads((recipe.out / "mini.json").read_text())
    assert piece["manifest"] == json.loads(bundle.manifest.to_json())
    detector, _ = detector_of(bundle, Promptbook(bundle.folder), precision=FLOAT32)
    assert piece["samples"] == pytest.approx(scores(detector), abs=1e-3)


def test_the_prompt_says_how_the_model_was_calibrated(built):
    recipe, said = built
    about = load_prompt(recipe.out / "prompt.safetensors").about
    made = about.made
    assert len(made["leave_out_auc_splits"]) == 2
    assert made["leave_out_auc"] == pytest.approx(np.mean(made["leave_out_auc_splits"]), abs=1e-3)
    assert f"threshold {about.threshold:.3f}, temperature {about.temperature:.3f}" in "\n".join(
        said
    )
    splits = [np.load(recipe.work / f"split {number}.npz") for number in (1, 2)]
    real = [
        margin
        for split in splits
        for index, margin in zip(split["held"], split["margins"], strict=True)
        if not usable(recipe.data)[index].is_fake
    ]
    assert len(real) == 16
    assert np.mean(np.array(real) > about.threshold) <= 0.10


def test_a_picture_that_cannot_be_judged_is_left_out_and_named(built, data):
    _, said = built
    (line,) = [one for one in said if "blank.png" in one]
    assert "left out. This picture shows nothing but one colour" in line
    assert usable(data) != read_index(data, "train*")


def test_the_built_model_reads_several_layers(built):
    recipe, _ = built
    bundle = Bundle.open(recipe.work / "final")
    assert bundle.manifest.fused_layers == [1, 2]


def test_what_is_frozen_is_stored_as_it_was(built):
    recipe, _ = built
    before, after = recipe.work / "untrained", recipe.work / "final"
    assert (before / TOWER_SHARD).read_bytes() == (after / TOWER_SHARD).read_bytes()
    old, new = (load_file(folder / "model-00002.safetensors") for folder in (before, after))
    answers = "lm_head.weight"
    assert torch.equal(old[answers].float(), new[answers].float())
    for name in ("qformer.embeddings.word_embeddings", "language_model.embed_tokens"):
        scale = new[f"{name}.weight.scale"]
        stored = new[f"{name}.weight"] * scale[:, None]
        assert ((stored - old[f"{name}.weight"]).abs() <= scale[:, None] / 2 + 1e-6).all()
    assert not torch.equal(old["query_tokens"], new["query_tokens"])


def test_a_second_run_finds_the_tokens_and_gives_the_same_bytes(built, parts, tmp_path):
    recipe, _ = built
    kept = {path: path.stat().st_mtime_ns for path in (recipe.work / "features").rglob("*.npy")}
    assert len(kept) == 2
    again = replace(recipe, out=tmp_path / "out")
    again.build(parts, lambda _: None)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for path in recipe.out.iterdir():
        assert (again.out / path.name).read_bytes() == path.read_bytes(), path.name


# --- Another tower --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[towers.dinov2, towers.siglip], ids=["DINOv2", "SigLIP"])
def on_other(request, parts, data, tmp_path_factory):
    """The recipe, done on a tower with a class token and on one without: recipe and its words."""
    folder, said = tmp_path_factory.mktemp("other"), []
    request.param(folder / "tower", image_size=64)
    (folder / "tower" / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    recipe = Recipe(
        data,
        folder / "work",
        None,
        sizes=SIZES,
        schedule=SCHEDULE,
        n_splits=2,
        split_steps=2,
        tower=TowerFolder(folder / "tower", "someone/tower"),
        dtype=torch.float32,
    )
    recipe.build({name: parts[name] for name in parts.keys() - {"tower"}}, said.append)
    return recipe, said


def test_a_model_on_another_tower_judges_pictures_by_what_they_show(on_other, data):
    recipe, said = on_other
    bundle = Bundle.open(recipe.work / "final")
    assert bundle.manifest.name == "mini-someone-tower"
    assert bundle.manifest.image_size == 64
    assert f"{bundle.folder} is ready" in said[-1]
    detector, warning = detector_of(bundle, Promptbook(bundle.folder), precision=FLOAT32)
    assert warning is None
    examples = usable(data)
    crops = [plain_view(one.path.read_bytes(), 64) for one in examples]
    margins = detector.margins(crops).numpy()
    is_fake = np.array([one.is_fake for one in examples])
    assert (margins[is_fake][:, None] > margins[~is_fake]).mean() > 0.9


def test_pixels_reach_another_tower_as_it_wants_them(on_other, data):
    recipe, _ = on_other
    bundle = Bundle.open(recipe.work / "final")
    pixels = recipe.tower.read(2).pixels
    about = load_prompt(bundle.folder / "prompt.safetensors").about
    assert (
        (about.mean, about.std) == (pixels.mean, pixels.std) != (CLIP_PIXELS.mean, CLIP_PIXELS.std)
    )
    crop = plain_view(usable(data)[0].path.read_bytes(), 64)
    detector, _ = detector_of(bundle, Promptbook(bundle.folder), precision=FLOAT32)
    direct = detector.model.vision_features(detector.pixels([crop]))
    view = np.load(recipe.work / "features" / "train" / "plain.npy", mmap_mode="r")
    assert view.shape[1:] == (16 + bundle.manifest.class_token, towers.WIDTH)
    kept = torch.from_numpy(np.array(view[:1])).float()
    assert torch.allclose(detector.model.vision_model.post_layernorm(kept), direct, atol=0.02)


def test_the_card_says_what_was_built_and_measured_and_nothing_else(on_other):
    recipe, said = on_other
    card = (recipe.work / "MODEL_CARD.md").read_text()
    assert "# mini-someone-tower, a model for antifake: draft of its card" in card
    assert "| vision tower | someone/tower, first 2 layers, 48 wide" in card
    assert "| licence of the tower | apache-2.0 |" in card
    assert "| real | 16 | 4 | photo 16 |" in card
    assert "| AI-made | 16 | 4 | photo 16 |" in card
    assert "family1 4, family3 4, family5 4, family7 4" in card
    bundle = Bundle.open(recipe.work / "final")
    made = load_prompt(bundle.folder / "prompt.safetensors").about.made
    assert f"| {made['leave_out_auc']} |" in card
    assert any(words in card for words in said if words.startswith("threshold"))
    assert bundle.manifest.files[TOWER_SHARD].sha256 in card


# --- Tokens -------------------------------------------------------------------------------


def test_tokens_are_computed_once_and_an_interrupted_run_goes_on(untrained, data, tmp_path):
    examples = usable(data)[:7]
    cache = TokenCache(tmp_path, data, load(untrained, FLOAT32), batch=5)
    whole = cache.tokens(examples, "plain", lambda _done, _total: None)
    expected = np.array(whole.tokens)

    def stop(done, _total):
        assert done < len(examples), "it was over before it could be interrupted"
        raise KeyboardInterrupt

    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        cache.tokens(examples, "plain", stop)
    done = []
    again = cache.tokens(examples, "plain", lambda now, _total: done.append(now))
    assert done == [7]
    assert np.array_equal(again.tokens, expected)
    assert np.array_equal(again.pooled, pooled(expected))
    cache.tokens(examples, "plain", lambda *_: pytest.fail("computed again"))


def test_tokens_of_other_pictures_are_computed_anew(untrained, data, tmp_path):
    examples = usable(data)[:3]
    cache = TokenCache(tmp_path, data, load(untrained, FLOAT32))
    first = np.array(cache.tokens(examples, "plain", lambda *_: None).tokens)
    turned = np.array(cache.tokens(examples[::-1], "plain", lambda *_: None).tokens)
    assert np.array_equal(turned, first[::-1])
    changed = np.array(cache.tokens(examples, "changed1", lambda *_: None).tokens)
    assert not np.array_equal(changed, first)


def test_tokens_of_another_precision_are_computed_anew(untrained, data, tmp_path):
    examples = usable(data)[:2]
    computed = []
    for dtype in (torch.float32, torch.bfloat16, torch.bfloat16):
        tower = load(untrained, Precision(torch.device("cpu"), dtype))
        cache = TokenCache(tmp_path, data, tower)
        cache.tokens(examples, "plain", lambda _now, _total, dtype=dtype: computed.append(dtype))
    assert computed == [torch.float32, torch.bfloat16]


@pytest.mark.attack
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_tower_whose_numbers_overflow_is_refused(value):
    tower = SimpleNamespace(
        device=torch.device("cpu"),
        vision_features=lambda pixels: torch.full((len(pixels), 5, 3), value),
    )
    with pytest.raises(ModelError, match="weights are unusable"):
        tower_tokens(tower, np.zeros((2, 8, 8, 3), np.uint8))


def test_tokens_are_computed_where_the_tower_is(monkeypatch):
    """Pixels go to the tower's device, and its tokens come back."""
    places = []

    def vision_features(pixels):
        places.append(pixels.device.type)
        return torch.zeros(len(pixels), 5, 3)

    # Neither this machine nor its torch may know a GPU; "meta" is another device everywhere.
    tower = SimpleNamespace(device=torch.device("meta"), vision_features=vision_features)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: places.append("back") or tensor)
    assert tower_tokens(tower, np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 5, 3)
    assert places == ["meta", "back"]


def test_cached_tokens_are_what_the_finished_detector_sees(built, data):
    """The cache normalises without weights; the trained norm after it must give the same."""
    recipe, _ = built
    final = load(Bundle.open(recipe.work / "final"), FLOAT32)
    tower = load(Bundle.open(recipe.work / "untrained"), FLOAT32)
    crop = plain_view(usable(data)[0].path.read_bytes())
    detector, _ = detector_of(
        Bundle.open(recipe.work / "final"), Promptbook(recipe.work / "final"), precision=FLOAT32
    )
    direct = final.vision_features(detector.pixels([crop]))
    tokens = torch.from_numpy(tower_tokens(tower, crop[None])).float()
    assert torch.allclose(final.vision_model.post_layernorm(tokens), direct, atol=0.02)


# --- The bridge ---------------------------------------------------------------------------


def test_most_heads_start_at_cls_and_the_others_at_the_patches(untrained, data):
    model = load(untrained, FLOAT32)
    crops = np.stack([plain_view(one.path.read_bytes()) for one in usable(data)[::8]])
    tokens = tower_tokens(model, crops)
    weights = {name: value.data for name, value in model.named_parameters()}
    attend_to_cls(weights, tokens)
    norm = model.vision_model.post_layernorm(torch.from_numpy(tokens).float())
    cross = "qformer.encoder.layer.0.crossattention.attention."
    keys = norm @ weights[f"{cross}key.weight"].T + weights[f"{cross}key.bias"]  # [B, N, 384]
    bias = weights[f"{cross}query.bias"]
    for head in range(12):
        rows = slice(32 * head, 32 * head + 1)
        logits = (keys[..., rows] * bias[rows]).sum(-1) / 32**0.5  # [B, N]
        is_cls = (logits.mean(0)[0] - logits.mean()).item() > 0
        assert is_cls == (head < 9), head


def test_a_channel_that_never_changes_does_not_spoil_the_start(untrained):
    model = load(untrained, FLOAT32)
    tokens = np.random.default_rng(0).normal(size=(8, 197, 768)).astype(np.float16)
    tokens[..., 5] = 0.25
    weights = {name: value.data for name, value in model.named_parameters()}
    attend_to_cls(weights, tokens)
    assert all(value.isfinite().all() for value in weights.values())


def test_tuning_the_soft_prompt_moves_nothing_else(untrained, data):
    examples = usable(data)[::4]
    model = load(untrained, FLOAT32)
    crops = np.stack([plain_view(one.path.read_bytes()) for one in examples])
    tokens = tower_tokens(model, crops)
    bridge = Bridge(model, tokens, seed=0)
    chosen = np.arange(len(examples))
    weights = np.full(len(examples), 1 / len(examples))
    is_fake = np.array([one.is_fake for one in examples])
    view = type("View", (), {"tokens": tokens, "pooled": pooled(tokens)})
    teacher = fit_teacher(view.pooled, is_fake, weights)
    lessons = TrainingData(examples, chosen, weights, [view], teacher)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = [table.detach().clone() for table in bridge.soft_prompt]
    numbers = count(1)
    losses = []

    def note(step, loss):
        assert step == next(numbers)
        losses.append(loss)

    schedule = replace(SCHEDULE, batch=4, prompt_steps=20, prompt_lr=0.1)
    tune_soft_prompt(bridge, lessons, schedule, 0, note)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(
        not torch.equal(table, old) for table, old in zip(bridge.soft_prompt, start, strict=True)
    )
    assert len(losses) == 20
    assert np.mean(losses[-6:]) < np.mean(losses[:6])


def test_tower_and_word_tables_are_not_trained(untrained):
    names = [name for name, _ in load(untrained, FLOAT32).named_parameters()]
    frozen = [name for name in names if not is_trained(name)]
    assert any("vision_model.encoder" in name for name in frozen)
    assert any("embed_tokens" in name for name in frozen)
    trained = set(names) - set(frozen)
    assert {"query_tokens", "vision_model.post_layernorm.weight"} <= trained
    assert any("crossattention" in name for name in trained)
    assert not any(name.startswith("vision_model.e") or "lm_head" in name for name in trained)


@pytest.mark.parametrize("has_cls", [True, False])
def test_coarse_tokens_are_the_means_of_squares_of_four_patches(has_cls):
    random = np.random.default_rng(0)
    exact = random.normal(size=(3, has_cls + 36, 5)).astype(np.float16)
    found = Tokens(exact, pooled(exact, has_cls=has_cls)).coarse(has_cls=has_cls)
    assert found.tokens.shape == (3, has_cls + 9, 5)
    if has_cls:
        assert (found.tokens[:, 0] == exact[:, 0]).all()
    # The patches of the second row and the third column of squares.
    numbers = [has_cls + 6 * row + column for row in (2, 3) for column in (4, 5)]
    wanted = exact[:, numbers].astype(np.float32).mean(1)
    assert np.allclose(found.tokens[:, has_cls + 3 + 2], wanted, atol=1e-3)
    # What a teacher reads stays as it was.
    assert np.allclose(pooled(found.tokens, has_cls=has_cls), found.pooled, atol=1e-3)


def test_an_odd_grid_of_patches_is_left_as_it_is():
    exact = Tokens(np.zeros((1, 26, 4), np.float16), np.zeros((1, 8), np.float32))
    assert exact.coarse(has_cls=True) is exact
