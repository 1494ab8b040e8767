"""Descriptions of models and prompts that lie: a sentence at once, and nothing is built by them."""

import copy
import json
import os
import shutil
import struct
import sys
import time

import pytest
from conftest import tiny_prompt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.command_line import antifake
from kit.pace import within
from kit.tiny_t5 import build_tiny_t5

from antifake.core.bundle import MANIFEST, Bundle, Manifest
from antifake.core.errors import AntifakeError, ModelError
from antifake.core.prepare import Source, prepare
from antifake.core.prompt_file import check_fits, open_prompt, read_header
from antifake.core.promptbook import Promptbook
from antifake.core.strict_json import strict_json

pytestmark = pytest.mark.attack

AT_ONCE_S = 5
ESCAPE = "\x1b]0;evil\x07\x1b[2J"


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    return shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")


@pytest.fixture(scope="module")
def t5_bundle(tmp_path_factory):
    """The tiny model whose language model is T5."""
    folder = tmp_path_factory.mktemp("t5")
    return prepare(Source(build_tiny_t5(folder / "source")), folder / "t5", dtype="fp32")


def refused(folder):
    """Returns the sentence with which a model is refused."""
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        Bundle.open(folder)
    assert time.monotonic() - began < within(AT_ONCE_S)
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- bundle.json --------------------------------------------------------------------------------

LIES = {
    "a text for a size": ("config.vision_config.image_size", "x"),
    "20,000 for a size": ("config.vision_config.image_size", 20_000),
    "a billion layers": ("config.text_config.num_hidden_layers", 10**9),
    "a width that no file has": ("config.text_config.hidden_size", 60_000),
    "no heads": ("config.qformer_config.num_attention_heads", 0),
    "a negative size": ("config.vision_config.patch_size", -16),
    "true for a number": ("tokens.yes", True),
    "a number for a name": ("name", 7),
    "no name": ("name", ""),
    "an escape in the name": ("name", ESCAPE),
    "a path for a name": ("name", "../../evil"),
    "an escape in the source": ("source", ESCAPE),
    "an escape in a kind": ("dtype", ESCAPE),
    "an empty list of files": ("files", {}),
    "a list for the files": ("files", []),
    "an escape in a file": ("files", {ESCAPE: {"bytes": 1, "sha256": "0" * 64}}),
    "a parent for a file": ("files", {"..": {"bytes": 1, "sha256": "0" * 64}}),
    "a file of Windows": ("files", {"..\\evil": {"bytes": 1, "sha256": "0" * 64}}),
    "a huge file": ("files", {"model-1": {"bytes": 10**18, "sha256": "0" * 64}}),
    "no hash": ("files", {"model-1": {"bytes": 1, "sha256": None}}),
    "rows of text": ("rows", {"llm": "abc"}),
    "a flag that is none": ("pre_layernorm", "no"),
    "a number for a flag": ("class_token", 0),
    "a layer that does not exist": ("fused_layers", [3]),
    "layer zero": ("fused_layers", [0]),
    "a layer twice": ("fused_layers", [1, 1]),
    "a number for layers": ("fused_layers", 2),
    "text for a layer": ("fused_layers", ["1"]),
    "true for a layer": ("fused_layers", [True]),
    "a part that is none": ("config.vision_config", None),
    "a key of its own": ("auto_map", {}),
    "no fingerprint": ("fingerprint", ""),
}


LIES_OF_T5 = {
    "a billion layers": ("config.text_config.num_decoder_layers", 10**9),
    "no layers of one stack": ("config.text_config.num_layers", 0),
    "a width that no file has": ("config.text_config.d_model", 60_000),
    "a text for a width": ("config.text_config.d_ff", "96"),
    "heads wider than a file": ("config.text_config.d_kv", 60_000),
    "heads of no width": ("config.text_config.d_kv", None),
    "a million heads": ("config.text_config.num_heads", 10**6),
    "a billion buckets": ("config.text_config.relative_attention_num_buckets", 10**9),
    "one bucket": ("config.text_config.relative_attention_num_buckets", 1),
    "no distance": ("config.text_config.relative_attention_max_distance", 1),
    "another kind": ("config.text_config.model_type", "opt"),
    "a list for the kind": ("config.text_config.model_type", []),
    "no kind": ("config.text_config.model_type", None),
    "LLaMA's kind": ("config.text_config.model_type", "llama"),
    "a number for a flag": ("scale_decoder_outputs", 1),
    "nothing to start with": ("tokens.start", None),
    "a negative end": ("tokens.closing", -1),
    "a leading token": ("tokens.leading", 2),
    "a token of its own": ("tokens.more", 2),
    "no answer": ("tokens.yes", None),
}


def lying(folder, where, lie):
    """Puts a lie into the description."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    *path, key = where.split(".")
    inner = manifest
    for step in path:
        inner = inner[step]
    inner[key] = lie
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(("where", "lie"), LIES.values(), ids=LIES)
def test_a_description_that_lies_is_refused_in_a_sentence(folder, where, lie):
    assert "is not a description of a model" in refused(lying(folder, where, lie))


@pytest.mark.parametrize(("where", "lie"), LIES_OF_T5.values(), ids=LIES_OF_T5)
def test_a_description_of_a_t5_that_lies_is_refused_in_a_sentence(t5_bundle, tmp_path, where, lie):
    folder = shutil.copytree(t5_bundle.folder, tmp_path / "t5")
    assert "is not a description of a model" in refused(lying(folder, where, lie))


TEXTS = {
    "nothing": b"",
    "an empty list": b"[]",
    "a number": b"7",
    "ten thousand brackets": b"[" * 100_000,
    "objects in objects": b'{"a":' * 100_000,
    "not UTF-8": b'{"format": "\xff"}',
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "half a character": b'{"format": "\\ud800"}',
    "twice the same": b'{"format": 1, "format": 2}',
    "no number": b'{"format": NaN}',
    "an endless number": b'{"format": 1e999}',
    "a number of 400 digits": b'{"format": 1' + b"0" * 400 + b"}",
    "a number of a million digits": b'{"format": ' + b"9" * 1_000_000 + b"}",
    "five megabytes": b" " * 5_000_000 + b"{}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_no_description_is_refused_in_a_sentence(folder, text):
    (folder / MANIFEST).write_bytes(text)
    refused(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "endless link", "long name"])
def test_what_is_no_file_is_not_read(tiny_home, kind):
    """Everything of the home that is read without a daemon: reading a pipe would never end."""
    home = tiny_home.root
    files = [
        tiny_home.models / "tiny" / MANIFEST,
        tiny_home.models / "active",
        tiny_home.prompts / "active.json",
        tiny_home.prompts / "first.safetensors",
        home / "requests.log",
        home / "config.toml",
    ]
    for file in files:
        file.unlink(missing_ok=True)
        if kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file, 0o600)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        else:
            file.symlink_to(file if kind == "endless link" else "n" * 250)
    began = time.monotonic()
    antifake("model", "list")
    antifake("prompt", "list")
    code = 0 if kind == "long name" else 2
    antifake("privacy", code=code)
    antifake("prompt", "show", code=3)
    antifake("config", "get", "server.port", code=code)
    assert time.monotonic() - began < within(AT_ONCE_S)


# --- Names on a terminal ------------------------------------------------------------------------


def test_no_name_of_a_file_commands_a_terminal(tiny_home):
    for evil in (f"x{ESCAPE}", "\u202efdp", "..", "-rf", "a b", "n" * 200):
        odd = tiny_home.models / evil
        if evil != "..":
            shutil.copytree(tiny_home.models / "tiny", odd)
            (tiny_home.prompts / f"{evil}.safetensors").write_bytes(b"evil")
    (tiny_home.models / "active").write_text(f"tiny\n{ESCAPE}")
    for words in (["model", "list"], ["prompt", "list"], ["prompt", "show", "first"]):
        done = antifake(*words, code=None)
        assert "\x1b" not in done.output
        assert "\u202e" not in done.output
    assert "first" in antifake("prompt", "list", "--model", "tiny").output


def test_what_a_prompt_says_of_itself_commands_no_terminal(tiny_home):
    prompt = tiny_prompt(2, made={f"by{ESCAPE}": ESCAPE})
    Promptbook(tiny_home.prompts).add("evil", prompt.to_bytes())
    done = antifake("prompt", "show", "evil")
    assert "\\x1b" in done.output
    assert "\x1b" not in done.output
    (tiny_home.root / "requests.log").write_text(ESCAPE)
    assert "\x1b" not in antifake("privacy").output


# --- Prompts ------------------------------------------------------------------------------------


def with_header(header) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


def header_of(data: bytes):
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


PROMPT_LIES = {
    "a number of 400 digits": ("threshold", 10**400),
    "an endless number": ("temperature", float("inf")),
    "no number": ("mean", [float("nan")] * 3),
    "two numbers of three": ("std", [1, 1]),
    "an escape in the question": ("before", ESCAPE),
    "a question without end": ("after", "real " * 10_000),
    "a number for a model": ("base_name", 5),
    "an escape in the model": ("base_name", ESCAPE),
    "a list of how it was made": ("made", []),
    "bands that are texts": ("bands", {"real_below": "a", "fake_above": "b"}),
    "a key of its own": ("evil", 1),
}


@pytest.mark.parametrize(("key", "lie"), PROMPT_LIES.values(), ids=PROMPT_LIES)
def test_a_prompt_that_lies_is_refused_in_a_sentence(tmp_path, key, lie):
    header = header_of(tiny_prompt(1).to_bytes())
    about = json.loads(header["__metadata__"]["antifake_prompt"])
    header["__metadata__"]["antifake_prompt"] = json.dumps(about | {key: lie})
    (tmp_path / "p.safetensors").write_bytes(with_header(header))
    with pytest.raises(ModelError, match="not a readable prompt: its header is damaged"):
        open_prompt(tmp_path / "p.safetensors")


@pytest.mark.parametrize(
    "shape", [[1], [1, 2, 3], [-1, 8], [1, True], [20_000, 8], [1, 10**30], ["1", "8"], None]
)
def test_a_prompt_with_a_shape_that_cannot_be_is_refused(shape):
    header = header_of(tiny_prompt(1).to_bytes())
    header["llm"]["shape"] = shape
    with pytest.raises(ModelError, match="header is damaged"):
        read_header(with_header(header), "p")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_list_of_active_prompts_that_cannot_be_read_is_no_list(tiny_home, text):
    (tiny_home.prompts / "active.json").write_bytes(text)
    began = time.monotonic()
    assert "first" in antifake("prompt", "list").output
    antifake("prompt", "use", "first")
    assert "* first" in antifake("prompt", "list").output
    assert time.monotonic() - began < within(AT_ONCE_S)


@pytest.mark.parametrize(
    "entry", [[["../../evil", "0"]], [[1, 2]], ["first"], [["a", "b", "c"]], {"a": 1}, 5, None]
)
def test_an_active_prompt_that_cannot_be_is_passed_over(tiny_home, entry):
    (tiny_home.prompts / "active.json").write_text(json.dumps({"tiny": entry}))
    done = antifake("prompt", "show", code=3)
    assert "tiny has no prompt" in done.output


# --- Anything -----------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.just(ESCAPE),
    st.just("../../evil"),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def places_in(value, path=()):
    """Yields the way to each value inside."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield (*path, key)
            yield from places_in(one, (*path, key))


def read_or_reason(read, *arguments):
    """Returns what it reads; None if it is refused with a reason that a terminal can show."""
    try:
        return read(*arguments)
    except (ValueError, AntifakeError) as error:
        if not str(error).isprintable():
            pytest.fail(repr(error))
        return None


@settings(
    max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), value=VALUES)
def test_any_change_of_a_description_is_refused_or_harmless(tiny_bundle, t5_bundle, data, value):
    bundle = data.draw(st.sampled_from([tiny_bundle, t5_bundle]))
    raw = json.loads(bundle.manifest.to_json())
    path = data.draw(st.sampled_from(list(places_in(raw))))
    changed = copy.deepcopy(raw)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[path[-1]] = value
    else:
        del inner[path[-1]]
    manifest = read_or_reason(Manifest.from_json, json.dumps(changed).encode())
    if manifest is None:
        return
    assert 8 <= manifest.image_size <= 2048
    assert all(name.isprintable() for name in (manifest.version, manifest.source, *manifest.files))
    assert 1 <= manifest.llm_width <= 2**16
    check_fits(tiny_prompt(1).about, {"qformer": [0, 0], "llm": [0, 0]}, manifest)


@settings(max_examples=300, deadline=2000)
@given(data=st.data(), value=VALUES)
def test_any_change_of_a_prompt_is_refused_in_a_sentence_or_harmless(data, value):
    header = header_of(tiny_prompt(1).to_bytes())
    about = json.loads(header["__metadata__"].pop("antifake_prompt"))
    both = {"header": header, "about": about}
    path = data.draw(st.sampled_from([p for p in places_in(both) if len(p) > 1]))
    inner = both
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["antifake_prompt"] = json.dumps(about)
    read = read_or_reason(read_header, with_header(header), "p")
    if read is None:
        return
    found, shapes = read
    assert (found.before + found.after + found.base_name).isprintable()
    assert all(0 <= n <= 2**16 for shape in shapes.values() for n in shape)


@settings(max_examples=300, deadline=2000)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_bytes_are_json_of_one_meaning_or_a_reason(data):
    value = read_or_reason(lambda: [strict_json(data)])
    assert value is None or value == [json.loads(data)]
