"""A published model that is not what it should be is refused in a sentence, and leaves nothing."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from antifake.core.errors import AntifakeError, UsageError
from antifake.core.prepare import Source, prepare


def rewrite_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def name_files_outside(folder):
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_bytes())
    first = next(iter(index["weight_map"]))
    name = index["weight_map"][first]
    shutil.copy(folder / name, folder.parent / name)
    index["weight_map"] = {
        key: f"../{value}" if value == name else value for key, value in index["weight_map"].items()
    }
    path.write_text(json.dumps(index))


def lose_a_tensor(folder):
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_bytes())
    lost = index["weight_map"].pop("query_tokens", None) or index["weight_map"].pop(
        "model.query_tokens"
    )
    path.write_text(json.dumps(index))
    tensors = load_file(folder / lost)
    tensors = {name: value for name, value in tensors.items() if "query_tokens" not in name}
    save_file(tensors, folder / lost)


def spoil_a_number(folder):
    path = sorted(folder.glob("*.safetensors"))[0]
    tensors = load_file(path)
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_file(tensors, path)


def cut_a_shard(folder):
    path = sorted(folder.glob("*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-1])


def another_language_model(folder):
    config = json.loads((folder / "config.json").read_bytes())
    config["text_config"]["model_type"] = "opt"
    (folder / "config.json").write_text(json.dumps(config))


def no_tokenizer(folder):
    for path in folder.iterdir():
        if path.name.startswith(("tokenizer", "special_tokens", "added_tokens")):
            path.unlink()


DAMAGE = {
    "it names files outside": (name_files_outside, "names files outside its folder"),
    "its index is no JSON": (
        lambda folder: (folder / "model.safetensors.index.json").write_text("{"),
        "is not readable: copy the model again",
    ),
    "another model": (
        lambda folder: rewrite_json(folder / "config.json", model_type="blip"),
        "is not an InstructBLIP model",
    ),
    "another language model": (another_language_model, "is neither a LLaMA nor a T5"),
    "its configuration is no JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        "is not readable: copy the model again",
    ),
    "its configuration is a list": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "is not a description of a model",
    ),
    "a tensor is missing": (lose_a_tensor, "is incomplete: query_tokens is missing"),
    "a number is not finite": (spoil_a_number, "holds numbers that are not finite"),
    "a shard is cut short": (cut_a_shard, "is damaged"),
    "its tokenizer is no tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        "is not a tokenizer",
    ),
    "it has no tokenizer": (no_tokenizer, '"yes" and "no" are not one token each'),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_source_is_refused_and_leaves_nothing(tiny_source, tmp_path, damage, sentence):
    source = shutil.copytree(tiny_source, tmp_path / "source")
    damage(source)
    with pytest.raises(AntifakeError, match=sentence):
        prepare(Source(source), tmp_path / "out", dtype="fp32")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.part").exists()


def test_a_dtype_that_there_is_not_is_refused(tiny_source, tmp_path):
    with pytest.raises(UsageError, match="int4 is not one of fp32, fp16, bf16, int8"):
        prepare(Source(tiny_source), tmp_path / "out", dtype="int4")
