"""The official ranking beside ours: against transformers' own forward, and on the command line."""

import json

import numpy as np
import pytest
import torch
from conftest import tiny_prompt
from kit import suites as trees
from kit.command_line import antifake
from kit.reference import official_ranking
from kit.tiny_t5 import build_tiny_t5

from antifake.core.detector import Detector
from antifake.core.errors import ModelError
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.prepare import Source, prepare
from antifake.core.promptbook import Promptbook
from antifake.trainer.benchmark.official import OfficialDetector, candidate_losses


def loaded(bundle):
    found = load(bundle, Precision(torch.device("cpu"), torch.float32))
    found.vision_model.post_layernorm.eps = 1e-6  # as transformers' InstructBLIP has it
    return found


@pytest.fixture(scope="module")
def model(tiny_bundle):
    """With a few rows of its vocabulary only, as `mini`."""
    return loaded(tiny_bundle)


@pytest.fixture(scope="module")
def whole(tiny_source, tmp_path_factory):
    """The same with all of its vocabulary."""
    folder = tmp_path_factory.mktemp("whole") / "tiny"
    return loaded(prepare(Source(tiny_source), folder, dtype="fp32", full_tables=True))


@pytest.mark.parametrize("tables", ["model", "whole"])
def test_it_gives_the_answers_of_the_official_code(tables, tiny_source, request):
    model = request.getfixturevalue(tables)
    crops = np.random.default_rng(3).integers(0, 256, (16, 28, 28, 3), np.uint8)
    answers = []
    for seed in range(3):
        prompt = tiny_prompt(seed)
        detector = OfficialDetector(Detector(model, prompt, "p@1"))
        theirs = official_ranking(
            tiny_source,
            soft_qformer=prompt.qformer,
            soft_llm=prompt.llm,
            pixels=detector.pixels(crops),
        )
        ours = ["no" if one.p_fake > 0.5 else "yes" for one in detector.judge(crops)]
        assert ours == theirs
        answers += ours
    assert set(answers) == {"yes", "no"}


def test_a_fitted_threshold_has_no_place_in_it(model):
    crops = np.random.default_rng(3).integers(0, 256, (4, 28, 28, 3), np.uint8)
    plain, fitted = (
        OfficialDetector(Detector(model, tiny_prompt(1, threshold=at, temperature=how), "p@1"))
        for at, how in ((0.0, 1.0), (5.0, 0.1))
    )
    assert [v.p_fake for v in plain.judge(crops)] == [v.p_fake for v in fitted.judge(crops)]


def test_losses_are_those_of_the_whole_vocabulary(whole):
    """The difference alone would not tell: it is the same over any vocabulary."""
    features = whole.vision_features(torch.randn(2, 3, 28, 28))
    question = whole.question(tiny_prompt(1))
    with torch.no_grad():
        losses = candidate_losses(whole, features, question)
        hidden = whole.hidden(features, question)
        tokens = whole.manifest.tokens
        log_shares = torch.log_softmax(whole.lm_head(hidden), dim=-1)
    assert log_shares.shape[1] > 100
    assert (losses + log_shares[:, [tokens.yes, tokens.no]]).abs().max() < 1e-5


def test_a_t5_counts_the_end_of_its_answers_as_the_model_itself_does(tmp_path):
    source = Source(build_tiny_t5(tmp_path / "source"))
    crops = np.random.default_rng(3).integers(0, 256, (4, 28, 28, 3), np.uint8)
    t5 = loaded(prepare(source, tmp_path / "whole", dtype="fp32", full_tables=True))
    detector = OfficialDetector(Detector(t5, tiny_prompt(1), "p@1"))
    with torch.no_grad():
        features = t5.vision_features(detector.pixels(crops))
        margins = t5.official_margin(features, t5.question(tiny_prompt(1)))
    assert (detector.margins(crops) - margins).abs().max() < 1e-5
    cut = loaded(prepare(source, tmp_path / "cut", dtype="fp32"))
    with pytest.raises(ModelError, match="--full-tables"):
        OfficialDetector(Detector(cut, tiny_prompt(1), "p@1")).judge(crops)


def test_both_ways_judge_the_same_pictures_and_the_table_tells_how_often_they_agree(
    tiny_home, tmp_path
):
    # A threshold that calls other pictures AI-made than the official way does.
    book = Promptbook(tiny_home.prompts)
    book.add("strict", tiny_prompt(1, threshold=100.0).to_bytes())
    root, out = trees.genimage(tmp_path / "data", n=3), tmp_path / "out"
    command = ("benchmark", "run", "genimage", root, "-o", out, "--protocol", "official")
    antifake(*command, "--prompt", "strict")
    ours, theirs = (
        [
            json.loads(line)
            for path in sorted(out.rglob(f"*.delivered{kind}.jsonl"))
            for line in path.read_text().splitlines()[1:]
        ]
        for kind in ("", ".official")
    )
    assert [row["name"] for row in ours] == [row["name"] for row in theirs]
    assert not any(row["p_fake"] > 0.5 for row in ours)
    n_same = sum(
        (a["p_fake"] > 0.5) == (b["p_fake"] > 0.5) for a, b in zip(ours, theirs, strict=True)
    )
    text = antifake("benchmark", "table", out).output
    assert f"gives the same answer as ours to {100 * n_same / len(ours):.1f} [" in text
    assert "official ranking, as delivered |" in text
