"""The tower of `mini` tuned on another machine: what is packed, drawn, tuned and trained there."""

import io
import json
import subprocess
import tarfile
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from kit.pretrained import pretrained_parts
from kit.threads import one_thread
from PIL import Image
from safetensors.torch import save_file

from antifake.core import clip_weights
from antifake.core.bundle import Bundle
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.trainer.mini.bridge import Sizes
from antifake.trainer.mini.gpu import autoencoder, pieces
from antifake.trainer.mini.gpu.__main__ import main
from antifake.trainer.mini.gpu.bridge import untrained_bundle
from antifake.trainer.mini.gpu.layers import CLS_HEADS, HEADS, SIZE, read_layers
from antifake.trainer.mini.gpu.pictures import drawn_pieces
from antifake.trainer.mini.gpu.pictures import load as load_pictures
from antifake.trainer.mini.gpu.tower import Tower, TowerWeights
from antifake.trainer.mini.gpu.tuning import (
    Loop,
    Setting,
    frozen_features,
    layer_tokens,
    margins,
    warmed_probe,
)
from antifake.trainer.mini.gpu.views import Arrays, Drawing, plain
from antifake.trainer.mini.teacher import Ensemble, fit_machine

SIZES = Sizes(1, (), qformer_layers=1, llm_layers=1, queries=4, positions=32)
CHANGED = 1


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five owners of each class, two pictures each, and some to test. AI-made ones are dark.

    One owner of each class is not to be learned from.
    """
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    lines = ["file,label,generator,family,kind,source,licence"]
    for part, sources in (("train", 6), ("train2", 4), ("test", 2)):
        for source in range(sources):
            label = ("real", "fake")[source % 2]
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            for number in range(2):
                name = f"{part}/{label}/{source}-{number}.jpg"
                pixels = random.integers(0, 128, (250, 260, 3)) + 100 * (label == "real")
                Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=70)
                family = f"family{source}" if label == "fake" else ""
                lines.append(f"{name},{label},,{family},photo,{part}-{source}/it,CC0")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    (folder / "autoencoder").mkdir()
    torch.manual_seed(0)
    for name, net in (("encoder", autoencoder.encoder()), ("decoder", autoencoder.decoder())):
        save_file(net.state_dict(), folder / "autoencoder" / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return pretrained_parts(tmp_path_factory.mktemp("parts"), tower_layers=2)


@pytest.fixture(scope="module")
def limit(data):
    """Bytes of a piece: the first one, with the autoencoder, has room for some pictures."""
    folders = (data / "autoencoder", data / "train2" / "real")
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir())


@pytest.fixture(scope="module")
def packed(data, parts, limit, tmp_path_factory):
    """The pieces, packed with a low limit."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LIMIT", limit)
        return pieces.pack(data, parts, folder / "work", folder / "out", SIZES)


@pytest.fixture(scope="module")
def root(packed, tmp_path_factory):
    """The other machine's folder: everything has arrived, and views are drawn."""
    folder = tmp_path_factory.mktemp("root")
    for path in packed:
        subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
    arrived = pieces.Arrived(folder)
    drawing = Drawing(folder / "data", folder / "views", "cpu", CHANGED, aligned=False)
    with ThreadPool(2) as pool:
        for name in arrived.names():
            if "pictures" in name or "test" in name:
                drawing.draw(name, arrived.pictures(name), pool)
    return folder


def test_pieces_are_within_the_limit_and_complete(packed, parts, limit, data, root):
    of_bridge = next(path for path in packed if "bridge" in path.name)
    ends = tarfile.RECORDSIZE + 2 * 4096
    """What ends an archive, and the mark."""
    assert all(path.stat().st_size <= limit + ends for path in packed if path != of_bridge)
    kinds = [path.stem.split("-")[1].rstrip("0123456789") for path in packed]
    assert kinds.count("pictures") > 1
    assert kinds.count("tower") > 1
    arrived = pieces.Arrived(root)
    assert arrived.names() == [path.stem for path in packed]
    assert all(map(arrived.has, arrived.names()))
    carried = [name for piece in arrived.names() for name in arrived.pictures(piece)]
    listed = [line.split(",")[0] for line in (data / "index.csv").read_text().splitlines()[1:]]
    assert sorted(carried) == sorted(listed)
    assert all((root / "data" / name).read_bytes() == (data / name).read_bytes() for name in listed)
    weights = TowerWeights.read(root / "weights")
    wanted = clip_weights.from_onnx(parts["tower"], 2)
    assert weights.layers == 2
    assert weights.tensors.keys() == wanted.keys()
    assert all(np.array_equal(weights.tensors[name].numpy(), wanted[name]) for name in wanted)


def test_views_are_drawn_without_the_label(data, tmp_path):
    text = (data / "index.csv").read_text()
    turned = text.replace(",real,", ",?,").replace(",fake,", ",real,").replace(",?,", ",fake,")
    names = [line.split(",")[0] for line in text.splitlines()[1:5]]
    found = []
    for number, index in enumerate((text, turned)):
        folder = tmp_path / f"data{number}"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((data / name).read_bytes())
        (folder / "index.csv").write_text(index)
        drawing = Drawing(folder, tmp_path / f"views{number}", "cpu", 4, aligned=False)
        with ThreadPool(1) as pool:
            drawing.draw("1-pictures", names, pool)
        arrays = Arrays(drawing.out, "1-pictures")
        found.append([np.array(arrays.open(kind)) for kind in ("plain", "changed")])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    first = found[0][1][0]
    assert len({view.tobytes() for view in first}) == 4


def test_real_pictures_are_also_sent_through_the_autoencoder(data, tmp_path):
    names = ["train/real/0-0.jpg", "train/fake/1-0.jpg"]
    drawing = Drawing(data, tmp_path, "cpu", 1)
    with ThreadPool(1) as pool:
        drawing.draw("1-pictures", names, pool)
    assert drawn_pieces(tmp_path)["1-pictures"]["aligned"] == names[:1]
    aligned = Arrays(tmp_path, "1-pictures").open("aligned")
    own = Arrays(tmp_path, "1-pictures").open("changed")
    assert aligned.shape == (1, 2, 240, 240, 3)
    assert not np.array_equal(aligned[0, 0], own[0, 0])


def test_the_autoencoder_keeps_shape_and_the_file_s_compression(data):
    model = autoencoder.Autoencoder(data / "autoencoder")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3)).astype(np.uint8)
    redrawn = model.redraw(pictures, "cpu")
    assert redrawn.shape == (2, 16, 24, 3)
    assert redrawn.dtype == np.uint8
    original = (data / "train/real/0-0.jpg").read_bytes()
    again = Image.open(io.BytesIO(autoencoder.saved_alike(redrawn[0], original)))
    assert again.quantization == Image.open(io.BytesIO(original)).quantization


def test_a_picture_that_the_detector_refuses_still_has_a_plain_view():
    file = io.BytesIO()
    Image.new("RGB", (300, 200), (9, 9, 9)).save(file, "PNG")
    assert plain(file.getvalue()).shape == (224, 224, 3)


def test_tuning_lowers_the_loss_on_what_it_learns_from(root):
    names = [name for name in drawn_pieces(root / "views") if "pictures" in name]
    pictures = load_pictures(root / "views", root / "data", names, "cpu")
    tower = Tower(TowerWeights.read(root / "weights"), 1)
    fakes = np.array([one.is_fake for one in pictures.examples])
    chosen = np.concatenate([np.flatnonzero(fakes)[:3], np.flatnonzero(~fakes)[:3]])
    features = torch.zeros(len(fakes), 2, 1536)
    features[chosen] = frozen_features(tower, pictures.plain[chosen], (1,))[1][:, None]
    warmed = warmed_probe(features, pictures, chosen, seed=0, steps=0)
    setting = Setting("lora", 1, "lora", lr=1e-3, rank=2, batch=6, average=0.5, probe_lr=3e-3)
    tuned = Loop(setting, tower, pictures, warmed, chosen).run(6)
    truth = torch.from_numpy(fakes[chosen].astype(np.float32))

    def loss(share):
        tuned.go(share)
        said = torch.from_numpy(margins(tuned.tower, tuned.probe, pictures.plain[chosen]))
        return float(torch.nn.functional.binary_cross_entropy_with_logits(said, truth))

    assert loss(1.0) < 0.8 * loss(0.0)
    updates = tuned.go(1.0).tower.updates()
    assert any(one.abs().max() > 0 for key, one in updates.items() if key.endswith(".up"))


def test_one_owner_of_each_class_is_left_to_the_base_set(root):
    names = [name for name in drawn_pieces(root / "views") if "pictures" in name]
    pictures = load_pictures(root / "views", root / "data", names, "cpu")
    left = np.setdiff1d(np.arange(len(pictures.examples)), pictures.learned)
    owners = {(pictures.examples[i].is_fake, pictures.examples[i].owner) for i in left}
    assert len(left) == 4
    assert len({is_fake for is_fake, _ in owners}) == len(owners) == 2


def test_tokens_of_a_layer_are_those_of_a_tower_cut_there(root):
    weights = TowerWeights.read(root / "weights")
    pictures = torch.randint(0, 256, (3, 224, 224, 3), dtype=torch.uint8)
    deep = list(layer_tokens(Tower(weights, 2), pictures, (1, 2), at_once=2))
    for layer in (1, 2):
        with torch.no_grad():
            wanted = Tower(weights, layer)(pictures)
        assert torch.allclose(torch.cat([one[layer] for one in deep]), wanted, atol=1e-4)


def test_an_ensemble_averages_its_members():
    random = np.random.default_rng(0)
    pooled, truth = random.normal(size=(30, 4)).astype(np.float32), np.arange(30) % 2 == 0
    members = [fit_machine(pooled[:, :3], truth, np.ones(30))]
    members.append(fit_machine(pooled[:, 3:], ~truth, np.ones(30)))
    x = torch.from_numpy(pooled)
    wanted = (members[0].logits(x[:, :3]) + members[1].logits(x[:, 3:])) / 2
    assert torch.allclose(Ensemble(members).logits(x), wanted)


def test_heads_start_at_one_group_of_tokens_of_one_layer(root, tmp_path):
    weights = TowerWeights.read(root / "weights")
    bundle = untrained_bundle(root / "untrained", weights, 1, tmp_path / "untrained")
    model = load(Bundle.open(bundle.folder), Precision(torch.device("cpu"), torch.float32))
    torch.manual_seed(0)
    seen = [torch.randn(60, 20, 768) for _ in range(2)]
    for number, tokens in enumerate(seen):
        tokens[:, 0] += 3 * torch.randn(768) * (number + 1)
    read_layers(model, seen)
    with torch.no_grad():
        features = model.vision_model.post_layernorm(torch.cat(seen, 1))
        assert features.shape == (60, 40, 768)
        cross = model.qformer.encoder.layer[0].crossattention.attention
        for head in range(HEADS):
            row = head * SIZE
            score = features @ cross.key.weight[row] * cross.query.bias[row] / SIZE**0.5
            means = [score[:, 0], score[:, 1:20], score[:, 20], score[:, 21:]]
            best = int(np.argmax([float(one.mean()) for one in means]))
            assert best == 2 * (head % 2) + (head >= CLS_HEADS)


def test_bridges_are_judged_and_written(root):
    said = CliRunner().invoke(
        main, ["fuse", "--root", str(root), "--device", "cpu", "--seconds", "900", "--small"]
    )
    assert said.exit_code == 0, said.output
    facts = [json.loads(one) for one in (root / "out/results.jsonl").read_text().splitlines()]
    ways = [fact["way"] for fact in facts if "way" in fact]
    assert ways[:3] == ["machines on layer 1", "machines on layer 2", "machines on layers 1, 2"]
    assert ways[3:] == ["bridge that reads layers 1, 2"] * 2
    assert any("test-final-1-2" in fact for fact in facts)
    assert "wrote final-1-2: 16 pictures" in said.output
    assert [path.name for path in (root / "out/large").iterdir()] == ["final-1-2.safetensors"]
    assert (root / "out" / "finished").is_file()
