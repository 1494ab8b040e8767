"""The text parts, cut down, are still what they were: the same words, the same numbers."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants
from kit.pretrained import KEY_ROWS, SMOLLM, STRANGERS, pretrained_parts
from safetensors.torch import load_file

from antifake.trainer.mini.pretrained import (
    PUNCTUATION,
    WORDS,
    SmolLM,
    bert_tokenizer,
    minilm_state,
    row_of,
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return pretrained_parts(tmp_path_factory.mktemp("parts"))


def test_the_q_formers_words_are_whole_and_others_fall_into_letters(parts):
    tokenizer, rows = bert_tokenizer(parts["vocabulary"])
    assert tokenizer.encode("Is this photo real?").tokens == ["is", "this", "photo", "real", "?"]
    assert tokenizer.encode("zeb").tokens == ["z", "##e", "##b"]
    full = parts["vocabulary"].read_text("utf-8").splitlines()
    kept = [full[row] for row in rows]
    assert kept == [tokenizer.id_to_token(number) for number in range(len(rows))]
    assert set(WORDS) | set(PUNCTUATION) <= set(kept)
    assert not set(STRANGERS) & set(kept)


def test_minilms_numbers_stand_under_the_q_formers_names(parts):
    theirs = load_file(parts["minilm"])
    ours = minilm_state(parts["minilm"], layers=1, positions=64, rows=[7, 3])
    words = theirs["embeddings.word_embeddings.weight"]
    assert torch.equal(ours["embeddings.word_embeddings.weight"], words[[7, 3]])
    positions = theirs["embeddings.position_embeddings.weight"][:64]
    types = theirs["embeddings.token_type_embeddings.weight"]
    assert torch.equal(ours["embeddings.position_embeddings.weight"], positions + types[0])
    layer = "encoder.layer.0."
    for mine, their in (
        ("attention.attention.key", "attention.self.key"),
        ("crossattention.attention.query", "attention.self.query"),
        ("crossattention.output.dense", "attention.output.dense"),
        ("intermediate_query.dense", "intermediate.dense"),
        ("output_query.LayerNorm", "output.LayerNorm"),
    ):
        for kind in ("weight", "bias"):
            assert torch.equal(ours[f"{layer}{mine}.{kind}"], theirs[f"{layer}{their}.{kind}"])
    assert not any("crossattention.attention.key" in name for name in ours)


def test_the_language_models_tokens_are_those_of_the_full_tokenizer(parts):
    smollm = SmolLM(parts["smollm"])
    tokenizer, rows = smollm.tokenizer()
    tokens = tokenizer.encode("Is this photo real?").tokens
    assert tokens == ["I", "s", "Ġthis", "Ġphoto", "Ġreal", "?"]
    full = smollm.strings("tokens")
    kept = [tokenizer.id_to_token(number) for number in range(len(rows))]
    assert [full[row] for row in rows] == kept
    assert len({row_of(tokenizer, answer) for answer in ("yes", "no", "<|im_start|>")}) == 3
    assert not set(STRANGERS) & set(kept)
    with pytest.raises(KeyError):
        row_of(tokenizer, STRANGERS[0])


def test_the_language_models_numbers_stand_under_llamas_names(parts):
    smollm = SmolLM(parts["smollm"])
    state = smollm.state(layers=1, rows=[5, 2])
    assert torch.equal(state["embed_tokens.weight"], smollm.tensor("token_embd.weight")[[5, 2]])
    assert torch.equal(
        state["layers.0.mlp.down_proj.weight"], smollm.tensor("blk.0.ffn_down.weight")
    )
    assert state["layers.0.self_attn.k_proj.weight"].shape == (KEY_ROWS, SMOLLM)


def test_a_matrix_is_dequantised_as_the_format_says(parts):
    (found,) = [one for one in SmolLM(parts["smollm"])._reader.tensors if "attn_v" in one.name]
    theirs = quants.dequantize(np.array(found.data), GGMLQuantizationType.Q4_1)
    ours = SmolLM(parts["smollm"]).state(layers=1, rows=[0])["layers.0.self_attn.v_proj.weight"]
    assert np.array_equal(ours.numpy(), theirs)


@pytest.mark.parametrize(("name", "heads"), [("q_proj", 9), ("k_proj", 3)])
def test_rotated_rows_come_in_halves(parts, name, heads):
    """Rotary embeddings turn rows i and i + 1 of llama.cpp's, i and i + half of Llama's."""
    smollm = SmolLM(parts["smollm"])
    ours = smollm.state(layers=1, rows=[0])[f"layers.0.self_attn.{name}.weight"]
    theirs = smollm.tensor(f"blk.0.attn_{name[0]}.weight")
    size = len(theirs) // heads
    for head in range(heads):
        mine, their = (table[head * size : (head + 1) * size] for table in (ours, theirs))
        assert torch.equal(mine[: size // 2], their[0::2])
        assert torch.equal(mine[size // 2 :], their[1::2])
