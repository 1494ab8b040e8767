"""The model run by hand equals transformers' own forward and the official decision."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from conftest import tiny_prompt
from kit.elsewhere import Elsewhere
from kit.reference import hf_margin, official_ranking
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from antifake.core.errors import ModelError
from antifake.core.instructblip import PromptedEmbedding, Question, load
from antifake.core.precision import Precision
from antifake.core.prepare import Source, prepare

FLOAT32 = Precision(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model(tiny_bundle):
    return load(tiny_bundle, FLOAT32)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(32, 3, 28, 28, generator=torch.Generator().manual_seed(5))


def margins(model, pixels, prompt):
    with torch.no_grad():
        return model.margin(model.vision_features(pixels), model.question(prompt))


@pytest.mark.parametrize("words", [1, 2])
def test_the_margin_equals_that_of_transformers_own_forward(model, tiny_source, pixels, words):
    # transformers builds ln_vision with the blocks' eps; ours has the official one.
    model.vision_model.post_layernorm.eps = 1e-6
    try:
        prompt = tiny_prompt(3, words)
        theirs = hf_margin(
            tiny_source, soft_qformer=prompt.qformer, soft_llm=prompt.llm, pixels=pixels
        )
        assert (margins(model, pixels, prompt) - theirs).abs().max() < 1e-5
    finally:
        model.vision_model.post_layernorm.eps = 1e-5


def test_the_sign_of_the_margin_is_the_official_ranking_every_time(model, tiny_source, pixels):
    model.vision_model.post_layernorm.eps = 1e-6
    answers = []
    try:
        for seed in range(20):
            prompt = tiny_prompt(seed)
            theirs = official_ranking(
                tiny_source, soft_qformer=prompt.qformer, soft_llm=prompt.llm, pixels=pixels
            )
            ours = ["no" if m > 0 else "yes" for m in margins(model, pixels, prompt)]
            assert ours == theirs
            answers += theirs
    finally:
        model.vision_model.post_layernorm.eps = 1e-5
    assert len(answers) == 640
    assert {"yes", "no"} == set(answers)


def test_a_batch_judges_as_each_picture_alone(model, pixels):
    prompt = tiny_prompt(1)
    together = margins(model, pixels[:5], prompt)
    alone = torch.cat([margins(model, pixels[i : i + 1], prompt) for i in range(5)])
    assert (together - alone).abs().max() < 1e-5


def test_gradients_reach_the_two_prompt_tensors_and_nothing_else(model, pixels):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    prompt = tiny_prompt(1)
    prompt.qformer.requires_grad_(True)
    prompt.llm.requires_grad_(True)
    optimizer = torch.optim.AdamW([prompt.qformer, prompt.llm], lr=0.05)
    margin = model.margin(model.vision_features(pixels), model.question(prompt))
    margin.square().mean().backward()
    assert prompt.qformer.grad.norm() > 0
    assert prompt.llm.grad.norm() > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    optimizer.step()
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


class Heads(TorchFunctionMode):
    """How many dimensions each product with an answer's row had."""

    def __init__(self, *heads):
        super().__init__()
        self.heads, self.seen = {head.data_ptr() for head in heads}, []

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        if func is functional.linear and args[1].data_ptr() in self.heads:
            self.seen.append(args[0].ndim)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("as_keys", [False, True])
def test_a_count_stands_for_copies_of_a_token(model, pixels, as_keys):
    tokens = model.vision_features(pixels[:3])
    counts = torch.tensor([[2, 1, 3, 0, 1] + [1] * (tokens.shape[1] - 5)]).repeat(3, 1)
    question = model.question(tiny_prompt(3, 2))
    with torch.no_grad():
        features = model.keys_and_values(tokens) if as_keys else tokens
        with model.reading_keys_and_values() if as_keys else nullcontext():
            copies = model.margin(features.repeat_interleave(counts[0], dim=1), question)
            assert (model.margin(features, question, counts) - copies).abs().max() < 1e-5
            assert (model.margin(features, question) - copies).abs().max() > 1e-4


def test_redundant_work_can_be_skipped(model, pixels):
    """The same margins and gradients, for less work, and a whole model again afterwards."""
    prompt = tiny_prompt(3, 2)

    def seen():
        rows = [one.detach().clone().requires_grad_() for one in (prompt.qformer, prompt.llm)]
        question = model.ask(prompt.about.before, prompt.about.after, *rows)
        with FlopCounterMode(display=False) as counted:
            found = model.margin(model.vision_features(pixels[:4]), question)
        found.sum().backward()
        return found.detach(), [one.grad for one in rows], counted.get_total_flops()

    whole, gradients, work = seen()
    with model.skipping_redundant_work():
        margins, found, less = seen()
    assert (margins - whole).abs().max() < 1e-5
    for one, other in zip(found, gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert less < work
    assert seen()[2] == work


def test_the_head_only_ever_sees_two_dimensions(tiny_source, tmp_path, pixels):
    """A Linear on a 3-D slice copies the head once an image on a bf16 CPU: 200 times slower."""
    from antifake.trainer.objective import objective

    source, folder = Source(tiny_source), tmp_path / "whole"
    model = load(prepare(source, folder, dtype="fp32", full_tables=True), FLOAT32)
    prompt = tiny_prompt(1)
    features, question = model.vision_features(pixels[:4]), model.question(prompt)
    for name in ("pair", "official"):
        with Heads(model.answer_rows, model.lm_head.weight) as heads:
            objective(name, model, prompt.about)(features, question, torch.arange(4) > 1)
        assert heads.seen == [2]


def test_the_answers_rows_are_those_of_the_head(model):
    tokens, kept = model.manifest.tokens, model.manifest.rows["lm_head"]
    rows = [kept.index(tokens.yes), kept.index(tokens.no)]
    assert torch.equal(model.answer_rows, model.lm_head.weight[rows].float())
    assert not model.answer_rows.requires_grad
    assert "answer_rows" not in model.state_dict()


@pytest.mark.parametrize("weights", ["plain", "int8"])
def test_a_pass_copies_nothing_from_the_processor_and_waits_for_no_answer(
    tiny_bundle, pixels, weights
):
    """Else a GPU would wait, and no CUDA graph could hold it. On meta no tensor has an answer."""
    model = load(tiny_bundle, Precision(torch.device("cpu"), torch.float32, weights))
    asked = model.question(tiny_prompt(1))
    model.to("meta")
    question = Question(*(getattr(asked, field.name).to("meta") for field in fields(asked)))
    pictures = pixels[:2].to("meta")
    with Elsewhere() as elsewhere, torch.no_grad():
        found = model.margin(model.vision_features(pictures), question)
    assert found.shape == (2,)
    assert elsewhere.count > 100


def test_a_learned_row_of_a_batch_is_read_where_it_stands():
    words = torch.nn.Embedding(5, 3)
    table = PromptedEmbedding(words)
    learned = torch.randn(2, 3, requires_grad=True)
    ids = torch.tensor([[0, 5, 6, 4], [6, 6, 1, 5]])
    table.learned = (learned,)
    rows = torch.cat([words.weight, learned])
    assert torch.equal(table(ids), rows[ids])
    table(ids).sum().backward()
    assert torch.equal(learned.grad, torch.tensor([[2.0] * 3, [3.0] * 3]))
    table.learned = (torch.zeros(0, 3),)
    assert torch.equal(table(ids.clamp(max=4)), words(ids.clamp(max=4)))


def test_two_pictures_look_alike_to_a_model_that_was_only_built(tiny_source, tmp_path, pixels):
    """Its vision starts at 1e-10 and its queries at 0; the kit draws weights that see."""
    from transformers import InstructBlipForConditionalGeneration

    seeing = load(prepare(Source(tiny_source), tmp_path / "seeing", dtype="fp32"), FLOAT32)
    stock = tmp_path / "stock"
    shutil.copytree(tiny_source, stock)
    config = InstructBlipForConditionalGeneration.from_pretrained(stock).config
    with torch.random.fork_rng(devices=[]):
        built = InstructBlipForConditionalGeneration(config)
    for shard in stock.glob("model*"):
        shard.unlink()
    built.save_pretrained(stock)
    blind = load(prepare(Source(stock), tmp_path / "blind", dtype="fp32"), FLOAT32)
    prompt = tiny_prompt(1)
    assert margins(seeing, pixels, prompt).std() > 0.1
    assert margins(blind, pixels, prompt).std() < 1e-6


def test_cutting_the_vocabularies_changes_no_margin(model, tiny_source, tmp_path, pixels):
    whole = load(
        prepare(Source(tiny_source), tmp_path / "whole", dtype="fp32", full_tables=True), FLOAT32
    )
    prompt = tiny_prompt(2)
    assert torch.equal(margins(whole, pixels, prompt), margins(model, pixels, prompt))
    assert whole.manifest.fingerprint == model.manifest.fingerprint


def test_another_question_needs_the_full_tables(model):
    other = tiny_prompt(1, before="Is this", after="?")
    assert model.question(other).before.shape[1] == 3
    with pytest.raises(ModelError, match="--full-tables"):
        model.question(tiny_prompt(1, before="no real yes"))


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "int8"])
def test_smaller_bundles_agree_with_float32(model, tiny_source, tmp_path, pixels, dtype):
    small = load(prepare(Source(tiny_source), tmp_path / dtype, dtype=dtype), FLOAT32)
    prompt = tiny_prompt(2)
    exact, found = margins(model, pixels, prompt), margins(small, pixels, prompt)
    assert torch.corrcoef(torch.stack([exact, found]))[0, 1] > 0.99
    assert small.manifest.fingerprint == model.manifest.fingerprint


def test_int8_kept_in_memory_judges_and_tunes_as_dequantised(tiny_source, tmp_path, pixels):
    bundle = prepare(Source(tiny_source), tmp_path / "int8", dtype="int8")
    kept = load(bundle, Precision(torch.device("cpu"), torch.float32, "int8"))
    plain = load(bundle, FLOAT32)
    grads = []
    for model in (kept, plain):
        prompt = tiny_prompt(2)
        prompt.llm.requires_grad_(True)
        margin = model.margin(model.vision_features(pixels), model.question(prompt))
        margin.sum().backward()
        grads.append((margin.detach(), prompt.llm.grad))
    assert torch.allclose(grads[0][0], grads[1][0], atol=1e-5)
    assert torch.allclose(grads[0][1], grads[1][1], atol=1e-4)
    stored = kept.language_model.layers[0].mlp.up_proj.codes
    assert stored.dtype == torch.int8


def test_bfloat16_keeps_the_residual_stream_in_float32(tiny_bundle, pixels):
    model = load(tiny_bundle, Precision(torch.device("cpu"), torch.bfloat16))
    seen = []
    layer = model.language_model.layers[1]
    layer.register_forward_pre_hook(
        lambda _m, args, _kwargs: seen.append(args[0].dtype), with_kwargs=True
    )
    margins(model, pixels[:2], tiny_prompt(1))
    assert seen == [torch.float32]
    assert layer.mlp.up_proj.weight.dtype == torch.bfloat16


def test_the_language_model_can_be_taken_from_another_folder(tiny_source, tmp_path, pixels):
    """Official prompts were tuned on Vicuna v1.3; the hub's InstructBLIP most likely holds v1.1."""
    from kit.tiny import build_tiny
    from transformers import InstructBlipForConditionalGeneration

    other = build_tiny(tmp_path / "other", seed=9)
    theirs = InstructBlipForConditionalGeneration.from_pretrained(other)
    theirs.language_model.save_pretrained(tmp_path / "vicuna")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "vicuna" / name).write_bytes((other / name).read_bytes())
    mixed = load(
        prepare(Source(tiny_source, tmp_path / "vicuna"), tmp_path / "mixed", dtype="fp32"), FLOAT32
    )
    plain = load(prepare(Source(other), tmp_path / "plain", dtype="fp32"), FLOAT32)
    for mine, expected in zip(
        mixed.language_model.parameters(), plain.language_model.parameters(), strict=True
    ):
        assert torch.equal(mine, expected)
    assert mixed.manifest.fingerprint != plain.manifest.fingerprint
    assert torch.isfinite(margins(mixed, pixels, tiny_prompt(1))).all()


def test_the_bundle_is_loaded_by_mmap_without_a_second_copy(tiny_bundle):
    """A float32 bundle run in float32: parameters are views of the file, not of a heap copy."""
    model = load(tiny_bundle, FLOAT32)
    parameter = model.language_model.layers[0].mlp.up_proj.weight
    address = parameter.data_ptr()
    with Path("/proc/self/maps").open() as maps:
        line = next(
            line
            for line in maps
            if int(line.split("-")[0], 16) <= address < int(line.split()[0].split("-")[1], 16)
        )
    assert "model-00001.safetensors" in line


def test_the_manifest_is_one_readable_json(tiny_bundle):
    raw = json.loads((tiny_bundle.folder / "bundle.json").read_bytes())
    assert raw["dtype"] == "fp32"
    assert raw["tokens"]["leading"] == 2
