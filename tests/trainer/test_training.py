"""Learning a word on the tiny model: what must hold whatever is learned."""

import csv
import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_prompt
from kit.person import tiny_base_set
from kit.reference import HfModel
from kit.toy import toy_pictures
from kit.training import QUICK, tiny_trainer, toy_examples
from safetensors.torch import load_file

from antifake.core.errors import AntifakeError, ModelError, UsageError
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.prepare import Source, prepare
from antifake.core.prompt import load_prompt
from antifake.trainer.base_set.rows import base_features
from antifake.trainer.distributed import ProcessGroup
from antifake.trainer.examples import from_folders, from_manifest
from antifake.trainer.objective import objective
from antifake.trainer.presets import CORRECTIONS, PAPER
from antifake.trainer.trainable import (
    Shape,
    check_frozen,
    tensor_versions,
    trainable_prompt,
    warm_start,
)
from antifake.trainer.tune import checked_norm

FLOAT32 = Precision(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """32 pictures to learn from and 16 others to validate on."""
    folder = tmp_path_factory.mktemp("toys")
    toy_pictures(folder, n=32)
    toy_pictures(folder / "more", n=16, seed=7)
    return folder


@pytest.fixture(scope="module")
def whole_bundle(tiny_source, tmp_path_factory):
    """The tiny model with all its words."""
    folder = tmp_path_factory.mktemp("whole") / "whole"
    return prepare(Source(tiny_source), folder, dtype="fp32", full_tables=True)


@pytest.fixture
def whole_trainer(tiny_home, whole_bundle):
    return tiny_trainer(tiny_home, whole_bundle)


def log_of(out):
    with out.with_name(f"{out.stem}.log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_twenty_steps_teach_the_toy_pictures(tiny_home, toys, tmp_path):
    trainer = tiny_trainer(tiny_home)
    word = trainer.train(
        tmp_path / "w.safetensors", toy_examples(toys), validate=toy_examples(toys / "more")
    )
    made = word.about.made
    assert made["steps"] == 20
    assert made["validation_accuracy"][1] == 1.0
    assert made["validation_loss"][1] < 0.5 * made["validation_loss"][0]
    lines = log_of(tmp_path / "w.safetensors")
    assert [int(line["step"]) for line in lines] == list(range(1, 21))
    assert float(lines[-1]["accuracy"]) == 1.0
    assert all(float(line["gradient_norm"]) > 0 for line in lines)
    assert [line["step"] for line in lines if line["validation_loss"]] == [
        "4",
        "8",
        "12",
        "16",
        "20",
    ]
    assert f"antifake prompt import {tmp_path / 'w.safetensors'}" in trainer.all_said
    assert not (tmp_path / "w.safetensors.partial").exists()


def test_the_model_is_bit_for_bit_what_it_was(tiny_home, toys, tmp_path):
    bundle = tiny_home.bundle()
    before = {path.name: digest(path.read_bytes()) for path in bundle.folder.iterdir()}
    tiny_trainer(tiny_home).train(tmp_path / "w.safetensors", toy_examples(toys))
    assert before == {path.name: digest(path.read_bytes()) for path in bundle.folder.iterdir()}

    model = load(bundle, FLOAT32)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainable = trainable_prompt(model, warm_start(tiny_prompt(1), Shape()))
    counted = tensor_versions(model, trainable)
    optimizer = torch.optim.AdamW(trainable.tensors.values(), lr=0.05)
    features = model.vision_features(torch.randn(8, 3, 28, 28))
    teach = objective("pair", model, tiny_prompt(1).about)
    teach(features, trainable.question, torch.arange(8) > 3)[0].mean().backward()
    optimizer.step()
    assert all(tensor.grad is not None for tensor in trainable.tensors.values())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in tensors.items())
    check_frozen(model, trainable, counted)


def test_a_model_that_was_written_to_is_noticed(tiny_bundle):
    model = load(tiny_bundle, FLOAT32)
    trainable = trainable_prompt(model, tiny_prompt(1))
    counted = tensor_versions(model, trainable)
    model.lm_head.weight.mul_(1.0)
    with pytest.raises(AntifakeError, match="lm_head"):
        check_frozen(model, trainable, counted)


def test_a_first_step_without_a_gradient_ends_the_run(tiny_bundle):
    model = load(tiny_bundle, FLOAT32)
    trainable = trainable_prompt(model, tiny_prompt(1))
    (0.0 * sum(tensor.sum() for tensor in trainable.tensors.values())).backward()
    with pytest.raises(AntifakeError, match="no gradient"):
        checked_norm(trainable, is_first=True, may_overflow=False)
    checked_norm(trainable, is_first=False, may_overflow=False)
    trainable.tensors["llm"].grad.fill_(float("nan"))
    with pytest.raises(AntifakeError, match="not a number"):
        checked_norm(trainable, is_first=False, may_overflow=False)


def test_the_official_loss_is_that_of_transformers_own_forward(tiny_source, whole_bundle):
    model = load(whole_bundle, FLOAT32)
    model.vision_model.post_layernorm.eps = 1e-6  # as transformers builds it
    prompt = tiny_prompt(3)
    pixels = torch.randn(6, 3, 28, 28, generator=torch.Generator().manual_seed(2))
    is_fake = torch.tensor([True, False, False, True, True, False])
    trainable = trainable_prompt(model, prompt)
    losses, margins = objective("official", model, prompt.about)(
        model.vision_features(pixels), trainable.question, is_fake
    )
    hf = HfModel(tiny_source, ("Is this photo real", "?"), prompt.qformer, prompt.llm)
    yes, no = hf.answer_ids
    answers = torch.where(is_fake, no, yes)[:, None]  # [B, 1]
    end = torch.full_like(answers, 2)
    ids = torch.cat([torch.tensor(hf.prompt_ids).expand(6, -1), answers, end], dim=1)
    labels = ids.clone()
    labels[:, : len(hf.prompt_ids)] = -100
    logits = hf.logits(ids, pixels)  # [B, T, V]
    theirs = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
    )
    assert abs(float(losses.mean().detach()) - float(theirs)) < 1e-4
    plain = model.margin(model.vision_features(pixels), trainable.question)
    assert torch.allclose(margins, plain, atol=1e-4)


def test_the_official_loss_goes_down(whole_trainer, toys, tmp_path):
    settings = replace(QUICK, loss="official", warm=False, epochs=10)
    word = whole_trainer.train(tmp_path / "w.safetensors", toy_examples(toys), settings)
    before, after = word.about.made["validation_loss"]
    assert after < before - 0.5
    assert word.about.made["start"] == "random"


def test_a_model_with_few_words_says_what_the_official_loss_needs(tiny_home, toys, tmp_path):
    settings = replace(QUICK, loss="official")
    with pytest.raises(UsageError, match="--full-tables, or train with --loss pair"):
        tiny_trainer(tiny_home).train(tmp_path / "w.safetensors", toy_examples(toys), settings)


def test_the_papers_way_runs_from_end_to_end(whole_trainer, toys, tmp_path):
    settings = replace(PAPER, epochs=2)
    word = whole_trainer.train(tmp_path / "w.safetensors", toy_examples(toys), settings)
    lines = log_of(tmp_path / "w.safetensors")
    assert [float(line["lr"]) for line in lines[:2]] == [1e-8, 1e-5]
    assert float(lines[-1]["lr"]) == pytest.approx(0.5e-5)
    assert word.about.made["best_step"] > 0
    assert word.qformer.std() < 0.03


def test_the_learning_rate_of_the_paper_is_one_value_an_epoch():
    assert PAPER.lr_at(0, 0) == 1e-8
    assert {PAPER.lr_at(0, step) for step in (1, 5)} == {1e-5}
    assert PAPER.lr_at(5, 0) == PAPER.lr_at(5, 99) == pytest.approx(0.5e-5)
    assert CORRECTIONS.lr_at(0, 0) == CORRECTIONS.lr_at(9, 3)


def test_the_same_order_gives_the_same_word_with_and_without_cache(tiny_home, toys, tmp_path):
    examples = toy_examples(toys)
    words = [
        tiny_trainer(tiny_home, cached=cached).train(tmp_path / f"{number}.safetensors", examples)
        for number, cached in enumerate((True, True, False))
    ]
    assert words[0].id == words[1].id == words[2].id
    other = tiny_trainer(tiny_home).train(
        tmp_path / "other.safetensors", examples, replace(QUICK, seed=1)
    )
    assert other.id != words[0].id


def test_what_makes_it_worse_is_not_kept(tiny_home, toys, tmp_path):
    taught = tiny_trainer(tiny_home).train(tmp_path / "good.safetensors", toy_examples(toys))
    trainer = tiny_trainer(tiny_home)
    word = trainer.train(
        tmp_path / "w.safetensors",
        toy_examples(toys),
        replace(QUICK, lr=10, epochs=9, patience=2),
        start=str(tmp_path / "good.safetensors"),
    )
    assert torch.equal(word.llm, taught.llm)
    assert torch.equal(word.qformer, taught.qformer)
    assert word.about.made["best_step"] == 0
    assert word.about.made["steps"] == 8  # two epochs of 26 pictures, and then enough
    assert "Nothing that was learned was better" in trainer.all_said


def test_the_account_tells_how_it_was_made_and_not_whose_pictures_they_were(
    tiny_home, toys, tmp_path
):
    word = tiny_trainer(tiny_home).train(tmp_path / "w.safetensors", toy_examples(toys))
    made = word.about.made
    assert made["preset"] == "corrections"
    assert made["seed"] == 42
    assert made["pictures"] == {"real": 13, "fake": 13}
    assert made["validation"] == {"real": 3, "fake": 3}
    assert made["start"] == tiny_prompt(1).id
    assert set(made["versions"]) == {"antifake", "torch", "transformers"}
    text = word.about.to_json()
    assert str(tmp_path) not in text
    assert str(toys) not in text
    assert "png" not in text


@pytest.mark.parametrize(
    ("shape", "shapes"),
    [
        (Shape(tokens=3), {"qformer": [3, 32], "llm": [3, 64]}),
        (Shape(sides="qformer"), {"qformer": [1, 32], "llm": [0, 64]}),
        (Shape(sides="llm", position="replace"), {"qformer": [0, 32], "llm": [1, 64]}),
        (Shape(position="prefix"), {"qformer": [1, 32], "llm": [1, 64]}),
    ],
)
def test_the_words_length_side_and_place_can_be_chosen(
    whole_trainer, toys, tmp_path, shape, shapes
):
    settings = replace(QUICK, warm=False, epochs=1)
    word = whole_trainer.train(
        tmp_path / "w.safetensors", toy_examples(toys), settings, shape=shape
    )
    assert word.shapes == shapes
    question = f"{word.about.before} [*]{word.about.after}"
    expected = {"prefix": " [*]Is this photo real?", "replace": "Is this photo [*]?"}
    assert question == expected.get(shape.position, "Is this photo real [*]?")


def test_a_word_that_exists_keeps_its_length(tiny_home, toys, tmp_path):
    with pytest.raises(UsageError, match="--tokens"):
        tiny_trainer(tiny_home).train(
            tmp_path / "w.safetensors", toy_examples(toys), shape=Shape(tokens=4)
        )


def test_without_a_prompt_there_is_nothing_to_start_from(tiny_home, toys, tmp_path):
    shutil.rmtree(tiny_home.prompts)
    with pytest.raises(ModelError, match="--preset paper"):
        tiny_trainer(tiny_home).train(tmp_path / "w.safetensors", toy_examples(toys))


def test_lora_learns_too_and_is_written_as_peft_reads_it(tiny_home, toys, tmp_path):
    from peft import LoraConfig, PeftModel

    out = tmp_path / "lora"
    tiny_trainer(tiny_home).train(out, toy_examples(toys), replace(QUICK, lr=0.01), lora=4)
    metrics = json.loads((out / "metrics.json").read_bytes())
    before, after = metrics["made"]["validation_loss"]
    assert after < before
    assert metrics["rank"] == 4
    state = load_file(out / "adapter_model.safetensors")
    assert any(".qformer." in name for name in state)
    assert any("crossattention" in name for name in state)
    assert any("q_proj.lora_B.weight" in name and value.any() for name, value in state.items())
    assert LoraConfig.from_pretrained(out).r == 4
    again = PeftModel.from_pretrained(load(tiny_home.bundle(), FLOAT32), out)
    loaded = dict(again.named_parameters())
    for name, value in state.items():
        place = name.replace("lora_A.", "lora_A.default.").replace("lora_B.", "lora_B.default.")
        assert torch.equal(loaded[place], value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lora", [0, 4])
def test_half_precision_teaches_too(tiny_home, toys, tmp_path, dtype, lora):
    """fp16 is that of GPUs, with the loss scaled up; here it is emulated."""
    half = Precision(torch.device("cpu"), dtype)
    trainer = tiny_trainer(tiny_home, precision=half)
    settings = replace(QUICK, lr=0.01 if lora else 0.05)
    trainer.train(tmp_path / "w.safetensors", toy_examples(toys), settings, lora=lora)
    losses = [float(line["loss"]) for line in log_of(tmp_path / "w.safetensors")]
    assert sum(losses[-4:]) < sum(losses[:4])


def test_gradients_of_a_process_without_a_picture_count_as_zero():
    tensor = torch.ones(3, requires_grad=True)
    ProcessGroup().all_reduce_gradients([tensor])
    assert torch.equal(tensor.grad, torch.zeros(3))


def test_the_tether_keeps_a_word_near_its_start(tiny_home, toys, tmp_path):
    start = load_prompt(tiny_home.prompts / "first.safetensors")
    moved = []
    for l2_sp in (0.0, 10.0):
        word = tiny_trainer(tiny_home).train(
            tmp_path / f"{l2_sp}.safetensors", toy_examples(toys), replace(QUICK, l2_sp=l2_sp)
        )
        moved.append(float((word.llm - start.llm).norm()))
    assert moved[1] < 0.5 * moved[0]


def test_pictures_of_the_base_set_keep_their_scores(tiny_home, toys, tmp_path):
    base = tiny_base_set(tiny_home, tiny_home.bundle())
    start = load_prompt(tiny_home.prompts / "first.safetensors")
    model = load(tiny_home.bundle(), FLOAT32)
    rows = base_features(base.replay, model)
    moved, said = [], []
    for n, one in enumerate((None, base)):
        trainer = tiny_trainer(tiny_home, base=one)
        word = trainer.train(tmp_path / f"{n}.safetensors", toy_examples(toys))
        moved.append(np.abs(rows.margins(model, word) - rows.margins(model, start)).mean())
        said.append(trainer.all_said)
        assert word.about.made["replayed"] == (len(base.replay) if one else 0)
    assert moved[1] < 0.5 * moved[0]
    assert f"on {len(base.replay)} other pictures" in said[1]
    assert "other pictures" not in said[0]


@pytest.mark.parametrize("changes", [{"settings": replace(QUICK, warm=False)}, {"lora": 2}])
def test_what_starts_at_random_keeps_no_scores(tiny_home, toys, tmp_path, changes):
    trainer = tiny_trainer(tiny_home, base=tiny_base_set(tiny_home, tiny_home.bundle()))
    trainer.train(tmp_path / "w.safetensors", toy_examples(toys), **changes)
    assert "other pictures" not in trainer.all_said


def test_an_unfinished_run_of_something_else_is_left_alone(tiny_home, toys, tmp_path):
    trainer = tiny_trainer(tiny_home)
    out, partial = tmp_path / "w.safetensors", tmp_path / "w.safetensors.partial"
    with pytest.raises(KeyboardInterrupt):
        trainer.train(out, toy_examples(toys), stop_after=6)
    assert (partial / "checkpoint.pt").is_file()
    with pytest.raises(UsageError, match="unfinished run with other pictures, settings"):
        trainer.train(out, toy_examples(toys), replace(QUICK, lr=0.04))
    with pytest.raises(UsageError, match="unfinished run with other pictures, settings"):
        trainer.train(out, toy_examples(toys)[:-1])
    (partial / "checkpoint.pt").write_bytes(b"torn")
    trainer.train(out, toy_examples(toys))
    assert "starts from the beginning" in trainer.all_said
    assert out.is_file()


def test_pictures_that_cannot_be_read_are_named_and_left_out(tiny_home, toys, tmp_path):
    shutil.copytree(toys / "real", tmp_path / "real")
    (tmp_path / "real" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    trainer = tiny_trainer(tiny_home)
    trainer.train(
        tmp_path / "w.safetensors",
        [*from_folders(tmp_path / "real", None), *toy_examples(toys)[16:]],
        replace(QUICK, epochs=1),
    )
    assert "broken.jpg: This picture is damaged or incomplete" in trainer.all_said
    assert "It is left out." in trainer.all_said


def test_mistakes_in_the_pictures_are_sentences(tiny_home, toys, tmp_path):
    examples = toy_examples(toys)
    reals, fakes = examples[:16], examples[16:]
    trainer = tiny_trainer(tiny_home)
    out = tmp_path / "w.safetensors"
    with pytest.raises(UsageError, match="All pictures to learn from are real"):
        trainer.train(out, reals)
    with pytest.raises(UsageError, match="once called real and once AI-made"):
        trainer.train(out, [*examples, replace(reals[0], is_fake=True)])
    with pytest.raises(UsageError, match="once called real and once AI-made"):
        trainer.train(out, examples, validate=[replace(reals[0], is_fake=True), fakes[0]])
    with pytest.raises(UsageError, match="no readable pictures to validate on"):
        trainer.train(out, examples, validate=examples[8:24])
    assert list(tmp_path.glob("w*")) == []


def test_validation_pictures_that_are_learned_from_are_left_out(tiny_home, toys, tmp_path):
    trainer = tiny_trainer(tiny_home)
    learn = toy_examples(toys)
    word = trainer.train(
        tmp_path / "w.safetensors",
        learn,
        replace(QUICK, epochs=1),
        validate=[*toy_examples(toys / "more"), learn[0], learn[20]],
    )
    assert "are also learned from" in trainer.all_said
    assert max(word.about.made["validation"].values()) <= 8


def test_a_table_names_the_pictures_as_well_as_folders(tiny_home, toys, tmp_path):
    lines = ["file,label"]
    lines += [f"{one.path},{'fake' if one.is_fake else 'real'}" for one in toy_examples(toys)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    words = [
        tiny_trainer(tiny_home).train(
            tmp_path / f"{n}.safetensors", examples, replace(QUICK, epochs=1)
        )
        for n, examples in enumerate([toy_examples(toys), from_manifest(tmp_path / "table.csv")])
    ]
    assert words[0].id == words[1].id


def test_with_pictures_enough_the_new_word_is_calibrated(tiny_home, toys, tmp_path):
    toy_pictures(tmp_path / "many", n=240, seed=9)
    trainer = tiny_trainer(tiny_home)
    word = trainer.train(
        tmp_path / "w.safetensors", toy_examples(toys), validate=toy_examples(tmp_path / "many")
    )
    assert min(word.about.made["validation"].values()) >= 25
    assert word.about.made["calibration"]["calibration_error"] < 0.1
    assert word.about.temperature != 1.0


def digest(data):
    return hashlib.sha256(data).hexdigest()
