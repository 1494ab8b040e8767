"""FLAN-T5 as the language model: the same as transformers' own forward, prepared, small, taught."""

import json
import shutil
from dataclasses import fields, replace

import pytest
import torch
from conftest import tiny_prompt
from kit.command_line import antifake
from kit.elsewhere import Elsewhere
from kit.reference_t5 import HfT5
from kit.tiny_t5 import build_tiny_t5, t5_tokenizer
from kit.toy import toy_pictures
from kit.training import QUICK, tiny_trainer, toy_examples
from safetensors.torch import load_file, save_file
from transformers import InstructBlipForConditionalGeneration

from antifake.core.bundle import MANIFEST, Bundle
from antifake.core.catalog import CATALOG, Home
from antifake.core.errors import ModelError, UsageError
from antifake.core.instructblip import Question, load
from antifake.core.precision import Machine, Precision, choose
from antifake.core.prepare import Source, plan, prepare, true_size_config
from antifake.core.quantization import Int8Linear, Nf4Linear
from antifake.trainer.lora import trainable_lora
from antifake.trainer.objective import objective
from antifake.trainer.trainable import Shape

CPU = torch.device("cpu")
FLOAT32 = Precision(CPU, torch.float32)
KINDS = {"FLAN-T5, a head of its own": True, "T5, its table is the head": False}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def either(request, tmp_path_factory):
    """A source of either kind of T5, and the model with its whole vocabulary."""
    folder = tmp_path_factory.mktemp("t5")
    source = build_tiny_t5(folder / "source", flan=request.param)
    bundle = prepare(Source(source), folder / "whole", dtype="fp32", full_tables=True)
    return source, loaded(bundle)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_tiny_t5(tmp_path_factory.mktemp("flan") / "source")


@pytest.fixture(scope="module")
def bundle(source, tmp_path_factory):
    return prepare(Source(source), tmp_path_factory.mktemp("flan") / "flan", dtype="fp32")


@pytest.fixture(scope="module")
def model(bundle):
    return loaded(bundle)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(24, 3, 28, 28, generator=torch.Generator().manual_seed(5))


def loaded(bundle, precision=FLOAT32):
    model = load(bundle, precision)
    # transformers builds ln_vision with the blocks' eps; ours has the official one.
    model.vision_model.post_layernorm.eps = 1e-6
    return model


def margins(model, pixels, prompt):
    with torch.no_grad():
        return model.margin(model.vision_features(pixels), model.question(prompt))


def one_side(prompt, side):
    """Returns a prompt whose word stands on one side only, or on both."""
    keep = {"both": (1, 1), "qformer": (1, 0), "llm": (0, 1)}[side]
    tables = (prompt.qformer, prompt.llm)
    return type(prompt)(*(t[: n * len(t)] for t, n in zip(tables, keep, strict=True)), prompt.about)


def theirs(source, prompt):
    return HfT5(source, soft_qformer=prompt.qformer, soft_llm=prompt.llm)


@pytest.mark.parametrize(("words", "side"), [(1, "both"), (2, "both"), (1, "qformer"), (1, "llm")])
def test_the_margin_equals_that_of_transformers_own_forward(either, pixels, words, side):
    source, model = either
    prompt = one_side(tiny_prompt(3, words), side)
    exact = theirs(source, prompt).margin(pixels)
    assert exact.std() > 0.05
    assert (margins(model, pixels, prompt) - exact).abs().max() < 1e-5


def test_the_official_ranking_counts_the_end_of_the_answer(either, pixels):
    source, model = either
    answers, differ = set(), 0
    for seed in range(6):
        prompt = tiny_prompt(seed)
        hf = theirs(source, prompt)
        with torch.no_grad():
            yes, no = (hf.loss(answer, pixels) for answer in hf.answer_ids)
            features, question = model.vision_features(pixels), model.question(prompt)
            found = model.official_margin(features, question)
            differ += int(((found > 0) != (model.margin(features, question) > 0)).sum())
        assert (found - (yes - no)).abs().max() < 2e-5
        ranked = hf.official_ranking(pixels)
        assert ["no" if one > 0 else "yes" for one in found] == ranked
        answers |= set(ranked)
    assert answers == {"yes", "no"}
    assert differ, "the end counted nowhere, so this test shows nothing"


def test_llama_has_no_end_to_count(tiny_bundle, pixels):
    model = loaded(tiny_bundle)
    features, question = model.vision_features(pixels), model.question(tiny_prompt(1))
    assert torch.equal(model.official_margin(features, question), model.margin(features, question))


def test_the_official_ranking_needs_the_whole_vocabulary(model, pixels):
    features, question = model.vision_features(pixels[:1]), model.question(tiny_prompt(1))
    with pytest.raises(ModelError, match="--full-tables"):
        model.official_margin(features, question)
    with pytest.raises(UsageError, match="--full-tables"):
        objective("official", model, tiny_prompt(1).about)


def test_cutting_the_vocabulary_changes_no_margin(either, pixels, tmp_path):
    source, whole = either
    cut = loaded(prepare(Source(source), tmp_path / "cut", dtype="fp32"))
    prompt = tiny_prompt(2)
    assert torch.equal(margins(cut, pixels, prompt), margins(whole, pixels, prompt))
    assert len(cut.lm_head.weight) == 2
    assert cut.manifest.fingerprint == whole.manifest.fingerprint


def test_a_batch_judges_as_each_picture_alone_and_redundant_work_is_none(model, pixels):
    prompt = tiny_prompt(1)
    together = margins(model, pixels[:5], prompt)
    alone = torch.cat([margins(model, pixels[i : i + 1], prompt) for i in range(5)])
    assert (together - alone).abs().max() < 1e-5
    with model.skipping_redundant_work():
        assert (margins(model, pixels[:5], prompt) - together).abs().max() < 1e-5


def taught(model, pixels, loss="pair"):
    """Returns losses [B], and gradients [P, Hq] and [P, Hl] of the word."""
    prompt = tiny_prompt(1)
    rows = [one.clone().requires_grad_() for one in (prompt.qformer, prompt.llm)]
    question = model.ask(prompt.about.before, prompt.about.after, *rows)
    teach = objective(loss, model, prompt.about)
    features = model.vision_features(pixels)
    losses, _ = teach(features, question, torch.arange(len(pixels)) % 2 == 1)
    losses.sum().backward()
    return losses.detach(), [one.grad for one in rows]


@pytest.mark.parametrize("loss", ["pair", "official"])
def test_gradients_reach_the_word_and_nothing_else(either, pixels, loss):
    _, model = either
    _, grads = taught(model, pixels[:4], loss)
    assert all(grad.norm() > 0 for grad in grads)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_official_loss_is_that_of_transformers(either, pixels):
    source, model = either
    hf = theirs(source, tiny_prompt(1))
    losses, _ = taught(model, pixels[:2], "official")
    exact = torch.stack([hf.loss(hf.answer_ids[i], pixels[i : i + 1])[0] for i in range(2)])
    assert (2 * losses - exact).abs().max() < 2e-5  # ours is the mean of two


@pytest.mark.parametrize("stored", ["fp16", "bf16", "int8"])
def test_smaller_bundles_agree_with_float32(model, source, tmp_path, pixels, stored):
    small = loaded(prepare(Source(source), tmp_path / stored, dtype=stored))
    prompt = tiny_prompt(2)
    exact, found = margins(model, pixels, prompt), margins(small, pixels, prompt)
    assert torch.corrcoef(torch.stack([exact, found]))[0, 1] > 0.99
    assert small.manifest.fingerprint == model.manifest.fingerprint


def with_matrices_of(small, model):
    """Returns the plain model with the matrices of the small one, as numbers, for its own."""
    plain = dict(model.named_modules())
    for name, module in small.named_modules():
        if isinstance(module, Int8Linear | Nf4Linear):
            matrix = plain[name].weight.data
            matrix.copy_(module(torch.eye(matrix.shape[1])).T)
    return model


@pytest.mark.parametrize(("weights", "least"), [("int8", 0.99), ("nf4", 0.7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_weights_in_memory_judge_and_teach(bundle, pixels, weights, least, dtype):
    kind = {"int8": Int8Linear, "nf4": Nf4Linear}[weights]
    largest = {"int8": 0.02, "nf4": 0.15}[weights]
    apart = {torch.float32: 1e-4, torch.bfloat16: 0.2}[dtype]
    small, exact = loaded(bundle, Precision(CPU, dtype, weights)), loaded(bundle)
    rounded = with_matrices_of(small, loaded(bundle))
    for name in (
        "encoder.block.1.layer.0.SelfAttention.q",
        "decoder.block.2.layer.2.DenseReluDense.wo",
    ):
        one, other = (m.language_model.get_submodule(name).weight for m in (exact, rounded))
        assert 0 < (one - other).norm() < largest * one.norm()
    prompt = tiny_prompt(2)
    best, found, wanted = (margins(m, pixels, prompt).float() for m in (exact, small, rounded))
    assert torch.corrcoef(torch.stack([best, found]))[0, 1] > least
    torch.testing.assert_close(found, wanted, atol=apart, rtol=0)
    grads = taught(small, pixels[:4])[1]
    assert all(grad.norm() > 0 for grad in grads)
    encoder, decoder = small.language_model.encoder.block[1], small.language_model.decoder.block[2]
    for matrix in (
        encoder.layer[0].SelfAttention.q,
        encoder.layer[1].DenseReluDense.wo,
        decoder.layer[1].EncDecAttention.v,
        decoder.layer[2].DenseReluDense.wi_0,
    ):
        assert type(matrix) is kind
    biases = small.language_model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias
    assert biases.weight.dtype == torch.float32


def test_int8_on_disk_is_int8_in_memory_and_takes_less(source, tmp_path):
    sizes = {}
    for dtype in ("fp16", "int8"):
        sizes[dtype] = prepare(Source(source), tmp_path / dtype, dtype=dtype).manifest.total_bytes
    assert sizes["int8"] < sizes["fp16"]
    bundle = Bundle.open(tmp_path / "int8")
    model = loaded(bundle, Precision(CPU, torch.float32, "int8"))
    stored = load_file(tmp_path / "int8" / "model-00001.safetensors")
    name = "language_model.decoder.block.2.layer.1.EncDecAttention.k"
    assert torch.equal(model.get_submodule(name).codes, stored[f"{name}.weight"])


def test_half_precision_keeps_the_residual_stream_in_float32(bundle, pixels):
    model = loaded(bundle, Precision(CPU, torch.bfloat16))
    seen = []
    for block in (model.language_model.encoder.block[1], model.language_model.decoder.block[1]):
        block.register_forward_pre_hook(lambda _m, args: seen.append(args[0].dtype))
    prompt = tiny_prompt(1)
    found = margins(model, pixels, prompt)
    exact = margins(loaded(bundle), pixels, prompt)
    assert torch.corrcoef(torch.stack([exact, found]))[0, 1] > 0.99
    assert seen == [torch.float32] * 2
    kinds = {name: parameter.dtype for name, parameter in model.named_parameters()}
    assert kinds["language_model.shared.weight"] == torch.float32
    assert (
        kinds["language_model.encoder.block.0.layer.1.DenseReluDense.wo.weight"] == torch.bfloat16
    )


def test_a_graphics_card_computes_t5_in_bfloat16(model, tiny_bundle):
    card = Machine("cuda", lambda _: 10**12, True)
    assert choose(half=model.reader.half, machine=card).dtype == torch.bfloat16
    assert choose(half=load(tiny_bundle, FLOAT32).reader.half, machine=card).dtype == torch.float16


@pytest.mark.parametrize("weights", ["plain", "int8"])
def test_a_pass_copies_nothing_from_the_processor_and_waits_for_no_answer(bundle, pixels, weights):
    """Else a GPU would wait, and no CUDA graph could hold it. On meta no tensor has an answer."""
    model = loaded(bundle, Precision(CPU, torch.float32, weights))
    asked = model.question(tiny_prompt(1))
    model.to("meta")
    question = Question(*(getattr(asked, field.name).to("meta") for field in fields(asked)))
    pictures = pixels[:2].to("meta")
    with Elsewhere() as elsewhere, torch.no_grad():
        found = model.margin(model.vision_features(pictures), question)
    assert found.shape == (2,)
    assert elsewhere.count > 100


def test_the_language_model_can_be_taken_from_another_folder(source, tmp_path, pixels):
    other = build_tiny_t5(tmp_path / "other", seed=9, flan=False)
    hf = InstructBlipForConditionalGeneration.from_pretrained(other)
    hf.language_model.save_pretrained(tmp_path / "t5")
    t5_tokenizer().save_pretrained(tmp_path / "t5")
    mixed = loaded(prepare(Source(source, tmp_path / "t5"), tmp_path / "mixed", dtype="fp32"))
    plain = loaded(prepare(Source(other), tmp_path / "plain", dtype="fp32"))
    for mine, expected in zip(
        mixed.language_model.parameters(), plain.language_model.parameters(), strict=True
    ):
        assert torch.equal(mine, expected)
    assert torch.equal(mixed.lm_head.weight, plain.lm_head.weight)
    assert torch.isfinite(margins(mixed, pixels, tiny_prompt(1))).all()


def test_a_file_of_old_with_its_table_three_times_is_read(bundle, source, tmp_path):
    old = shutil.copytree(source, tmp_path / "old")
    tensors = load_file(old / "model.safetensors")
    table = tensors["language_model.shared.weight"]
    for stack in ("encoder", "decoder"):
        tensors[f"language_model.{stack}.embed_tokens.weight"] = table.clone()
    surplus = (
        "language_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    )
    save_file(tensors | {surplus: torch.zeros(8, 4)}, old / "model.safetensors", {"format": "pt"})
    again = prepare(Source(old), tmp_path / "again", dtype="fp32")
    assert again.manifest.fingerprint == bundle.manifest.fingerprint


def test_a_llama_of_another_kind_of_text_is_no_t5(source, tmp_path):
    """Its description says LLaMA, its weights are T5's."""
    odd = shutil.copytree(source, tmp_path / "odd")
    about = json.loads((odd / "config.json").read_bytes())
    about["text_config"] = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2}
    (odd / "config.json").write_text(json.dumps(about))
    with pytest.raises(ModelError, match="is incomplete"):
        prepare(Source(odd), tmp_path / "out", dtype="fp32")


def test_a_word_is_learned_from_toy_pictures(bundle, tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    toy_pictures(tmp_path / "toys", n=32)
    toy_pictures(tmp_path / "more", n=16, seed=7)
    trainer = tiny_trainer(home, bundle, precision=FLOAT32)
    word = trainer.train(
        tmp_path / "w.safetensors",
        toy_examples(tmp_path / "toys"),
        replace(QUICK, warm=False, lr=0.1),
        validate=toy_examples(tmp_path / "more"),
        shape=Shape(tokens=1),
    )
    made = word.about.made
    assert made["validation_accuracy"][1] == 1.0
    assert made["validation_loss"][1] < 0.5 * made["validation_loss"][0]


def test_lora_learns_in_the_same_projections_as_llamas(bundle, pixels):
    model = loaded(bundle)
    lora = trainable_lora(model, 2, seed=0)
    of_t5 = {name.split(".lora_")[0] for name in lora.tensors if "language_model" in name}
    kinds = {name.split(".", 5)[-1] for name in of_t5}
    attentions = {"0.SelfAttention", "1.EncDecAttention"}
    assert kinds == {f"{one}.{side}" for one in attentions for side in "qv"}
    assert len(of_t5) == 2 * (2 + 3 + 3), "each attention of two and three layers"
    features = model.vision_features(pixels[:2])
    model.margin(features, lora.question).sum().backward()
    assert all(lora.tensors[name].grad is not None for name in lora.moved_at_once)


# --- What is written down, and the commands -----------------------------------------------------


def test_a_bundle_from_before_has_no_new_fields_and_is_read(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle.folder, tmp_path / "before")
    manifest = json.loads((folder / MANIFEST).read_bytes())
    del (
        manifest["scale_decoder_outputs"],
        manifest["tokens"]["start"],
        manifest["tokens"]["closing"],
    )
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert Bundle.open(folder).manifest == tiny_bundle.manifest


def test_the_published_model_would_weigh_what_it_is_said_to():
    rows = plan(true_size_config("instructblip-flan-t5-xl"), "bf16", full_tables=True)
    numbers = sum(row.parameters for row in rows)
    assert numbers == pytest.approx(4.02e9, rel=0.01)
    assert CATALOG["instructblip-flan-t5-xl"].hub_bytes == pytest.approx(4 * numbers, rel=0.01)


def test_it_is_pulled_from_a_folder_by_its_name_and_judges(source, tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    monkeypatch.setenv("ANTIFAKE_HOME", str(home.root))
    name = "instructblip-flan-t5-xl"
    assert name in antifake("model", "list").output
    antifake("model", "pull", name, "--from", str(source), "--dtype", "int8")
    antifake("model", "use", name)
    (tmp_path / "word.safetensors").write_bytes(tiny_prompt(1).to_bytes())
    antifake("prompt", "import", str(tmp_path / "word.safetensors"))
    antifake("prompt", "use", "word")
    real, _fake = toy_pictures(tmp_path / "toys", n=2)
    picture = next(real.iterdir())
    (found,) = json.loads(antifake("check", "--json", str(picture), code=None).output)
    assert 0 <= found["p_fake"] <= 1
    assert found["model"].startswith(f"{name}@")
