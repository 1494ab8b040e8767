"""The learned pseudo-word: our format, the official checkpoints, and everything that is neither."""

import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import tiny_prompt
from kit.official import (
    malformed_safetensors,
    write_evil_pth,
    write_official_pth,
    wrong_safetensors,
)
from safetensors.torch import save

from antifake.core.errors import ModelError
from antifake.core.instructblip import load
from antifake.core.prompt import import_official, load_prompt
from antifake.core.prompt_file import OFFICIAL_MEAN, open_prompt


def test_a_saved_prompt_is_read_back_identical(tmp_path):
    prompt = tiny_prompt(4, words=3, threshold=0.25, temperature=1.5)
    prompt.save(tmp_path / "a.safetensors")
    again = load_prompt(tmp_path / "a.safetensors")
    assert torch.equal(again.qformer, prompt.qformer)
    assert torch.equal(again.llm, prompt.llm)
    assert again.about == prompt.about
    assert again.to_bytes() == prompt.to_bytes()
    assert open_prompt(tmp_path / "a.safetensors").id == prompt.id


def test_an_official_checkpoint_gives_its_embeddings(tmp_path):
    qformer, llm = torch.randn(1, 768), torch.randn(1, 4096)
    path = write_official_pth(tmp_path / "COCO_150k_SD3_SD2IP.pth", qformer, llm, config={})
    imported = import_official(path)
    assert torch.equal(imported.prompt.qformer, qformer)
    assert torch.equal(imported.prompt.llm, llm)
    assert imported.prompt.about.mean == OFFICIAL_MEAN
    assert "epoch 9" in imported.took
    assert any("mean and std" in line for line in imported.assumed)
    imported.prompt.save(tmp_path / "p.safetensors")
    assert torch.equal(load_prompt(tmp_path / "p.safetensors").llm, llm)


def test_mean_and_std_are_read_from_the_checkpoints_own_config(tmp_path):
    path = write_official_pth(
        tmp_path / "c.pth", torch.randn(1, 768), torch.randn(1, 4096), module_prefix=True
    )
    imported = import_official(path)
    assert "mean and std of its config" in imported.took
    config = torch.load(path, weights_only=True)["config"]
    mean = config["datasets"]["textinv"]["vis_processor"]["eval"]["mean"]
    assert list(imported.prompt.about.mean) == mean


@pytest.mark.parametrize("side", ["qformer", "llm"])
def test_an_ablation_with_one_side_reads_the_question_without_the_word(tmp_path, tiny_bundle, side):
    rows = {"qformer": None, "llm": None} | {side: torch.randn(1, 32 if side == "qformer" else 64)}
    path = write_official_pth(tmp_path / "one.pth", rows["qformer"], rows["llm"])
    imported = import_official(path)
    other = "llm" if side == "qformer" else "qformer"
    assert any(f"no learned word on the {other} side" in line for line in imported.assumed)
    question = load(tiny_bundle).question(imported.prompt)
    assert question.llm_rows.shape[0] == (side == "llm")


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["zip", "legacy", "raw"])
def test_an_evil_checkpoint_is_refused_and_nothing_of_it_runs(tmp_path, kind):
    canary = tmp_path / "canary"
    path = write_evil_pth(tmp_path / "evil.pth", canary, kind=kind)
    with pytest.raises(ModelError, match="read safely"):
        import_official(path)
    assert not canary.exists()


@pytest.mark.attack
def test_torchs_environment_switch_cannot_make_it_run(tmp_path):
    canary = tmp_path / "canary"
    path = write_evil_pth(tmp_path / "evil.pth", canary, kind="zip")
    code = (
        "import sys; from pathlib import Path; from antifake.core.prompt import import_official\n"
        "from antifake.core.errors import ModelError\n"
        "try: import_official(Path(sys.argv[1]))\n"
        "except ModelError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=os.environ | {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "refused"
    assert not canary.exists()


@pytest.mark.attack
def test_a_checkpoint_that_would_unpack_to_gigabytes_is_not_unpacked(tmp_path):
    import zipfile

    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(200_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ModelError, match="would unpack"):
        import_official(path)


def test_something_else_is_not_a_checkpoint(tmp_path):
    torch.save({"model": {"layer.weight": torch.zeros(2, 2)}}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("other.pth", "list.pth", "text.pth", "empty.pth", "missing.pth"):
        with pytest.raises(ModelError):
            import_official(tmp_path / name)


@pytest.mark.attack
def test_every_broken_safetensors_file_is_refused_with_a_sentence(tmp_path):
    good = tiny_prompt(1)
    rows = {"qformer": good.qformer, "llm": good.llm}
    metadata = {"antifake_prompt": good.about.to_json()}
    assert load_prompt_bytes(tmp_path, save(rows, metadata))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    files = malformed_safetensors(tmp_path / "a") + wrong_safetensors(
        tmp_path / "b", rows, metadata
    )
    assert len(files) >= 28
    taken = [why for path, why in files if not is_refused(path)]
    # A width is only wrong for a model, which says so when it is asked; a side without a row is
    # an ablation.
    assert taken == ["one column too many", "no row at all"]


def is_refused(path):
    try:
        load_prompt(path)
    except ModelError as error:
        return len(str(error)) < 400
    return False


def load_prompt_bytes(folder, data):
    (folder / "x.safetensors").write_bytes(data)
    return load_prompt(folder / "x.safetensors")


def test_a_prompt_for_another_model_is_told_apart(tiny_bundle):
    model = load(tiny_bundle)
    wide = tiny_prompt(1)
    other = type(wide)(torch.randn(1, 768), torch.randn(1, 4096), wide.about)
    with pytest.raises(ModelError, match="768 wide, that of tiny is 32"):
        model.question(other)
    with pytest.raises(ModelError, match="was tuned for some-7b"):
        model.question(wide.tuned_for("f" * 64, "some-7b"))
    assert model.question(wide.tuned_for(model.manifest.fingerprint, "tiny"))


def test_a_checkpoint_named_as_a_prompt_says_what_to_do(tmp_path):
    path = write_official_pth(tmp_path / "x.safetensors", torch.randn(1, 768), None)
    with pytest.raises(ModelError, match="antifake prompt import"):
        load_prompt(path)


def test_circumstances_that_make_no_sense_are_refused(tmp_path):
    good = tiny_prompt(1)
    for field, value in (
        ("temperature", 0),
        ("temperature", float("nan")),
        ("std", [0, 1, 1]),
        ("mean", [1, 2]),
        ("bands", {"real_below": 0.9, "fake_above": 0.1}),
        ("before", None),
    ):
        raw = json.loads(good.about.to_json()) | {field: value}
        data = save(
            {"qformer": good.qformer, "llm": good.llm}, {"antifake_prompt": json.dumps(raw)}
        )
        with pytest.raises(ModelError):
            load_prompt_bytes(tmp_path, data)
