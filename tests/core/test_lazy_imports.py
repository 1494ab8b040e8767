"""What a process has imported is a fact about the process, so each test starts its own."""

import json
import subprocess
import sys
from typing import Any

import pytest
from kit.imports import python_path, unfitting_transformers

from antifake.core.bundle import Bundle

TINY = """
import torch
def outputs(c):
    torch.manual_seed(0)
    vision = c.InstructBlipVisionModel(c.InstructBlipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=28, patch_size=14)).eval()
    qformer = c.InstructBlipQFormerModel(c.InstructBlipQFormerConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, encoder_hidden_size=32)).eval()
    llama = c.LlamaModel(c.LlamaConfig(
        vocab_size=50, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4)).eval()
    with torch.inference_mode():
        seen = vision(torch.randn(2, 3, 28, 28)).last_hidden_state
        asked = qformer(torch.tensor([[1, 2, 3]] * 2), query_embeds=torch.randn(2, 4, 32),
                        encoder_hidden_states=seen).last_hidden_state
        said = llama(inputs_embeds=torch.randn(2, 5, 64),
                     attention_mask=torch.tensor([[0, 1, 1, 1, 1], [1] * 5])).last_hidden_state
    return [t.double().sum().item() for t in (seen, asked, said)]
"""

LAZY = (
    TINY
    + """
import builtins, sys
from antifake.core import lazy_imports
ordinary_import = builtins.__import__
c = lazy_imports.transformers_classes()
assert builtins.__import__ is ordinary_import
"""
)

ORDINARY = (
    TINY
    + """
from types import SimpleNamespace
import transformers
from transformers.models.instructblip import modeling_instructblip as i
from transformers.models.llama import modeling_llama as l
c = SimpleNamespace(**{**vars(i), **vars(l)})
"""
)


def run(program: str) -> Any:
    """Run it with warnings as errors; gives what its last line prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_judging_imports_nothing_it_does_not_need_and_says_nothing() -> None:
    heavy, said = run(
        LAZY
        + """
import json
outputs(c)
heavy = {"torch._dynamo", "torch.distributed.tensor", "torch.distributed.fsdp",
         "scipy", "sklearn", "sympy", "jinja2"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    )
    assert heavy == []
    assert said == ""


def test_loading_a_model_does_not_read_all_files_of_transformers(tiny_bundle: Bundle) -> None:
    found, _said = run(f"""
import json, sys
from pathlib import Path
from antifake.core.bundle import Bundle
from antifake.core.instructblip import load
load(Bundle.open(Path({str(tiny_bundle.folder)!r})))
whole = {{"transformers", "transformers.models", "transformers.processing_utils", "accelerate"}}
print(json.dumps(sorted(whole & set(sys.modules))))
""")
    assert found == []


def test_t5_is_imported_lazily_too_and_brings_no_llama() -> None:
    found, said = run("""
import json, sys, torch
from antifake.core import lazy_imports
c = lazy_imports.transformers_classes("t5")
t5 = c.T5Model(c.T5Config(vocab_size=50, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4))
with torch.inference_mode():
    read = t5.eval().encoder(inputs_embeds=torch.randn(2, 3, 32)).last_hidden_state
heavy = {"torch._dynamo", "torch.distributed.tensor", "torch.distributed.fsdp", "scipy", "sklearn",
         "sympy", "jinja2", "transformers.models.llama.modeling_llama"}
print(json.dumps([list(read.shape), sorted(heavy & set(sys.modules))]))
""")
    assert found == [[2, 3, 32], []]
    assert said == ""


def test_a_lazily_imported_model_computes_what_an_ordinary_one_does() -> None:
    show = "\nimport json; print(json.dumps(outputs(c)))"
    assert run(LAZY + show)[0] == run(ORDINARY + show)[0]


AFTERWARDS = {
    "the_classes_are_everybodys": """
import transformers
assert transformers.InstructBlipVisionModel is c.InstructBlipVisionModel
assert transformers.models.llama.modeling_llama.LlamaModel is c.LlamaModel
""",
    "a_whole_model_generates": """
from transformers import AutoModelForCausalLM, InstructBlipForConditionalGeneration
config = c.LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
                       num_attention_heads=2, pad_token_id=0)
model = AutoModelForCausalLM.from_config(config)
ids = torch.tensor([[3, 4, 5]])
assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > 3
model(input_ids=ids, labels=ids).loss.backward()
""",
    "the_deferred_modules_are_real": """
import scipy.optimize, jinja2, torch.distributed.tensor
assert scipy.optimize.linear_sum_assignment([[1, 0], [0, 1]])[1].tolist() == [1, 0]
assert jinja2.Template("{{ 1 + 1 }}").render() == "2"
assert isinstance(torch.distributed.tensor.Shard(0), torch.distributed.tensor.Shard)
from transformers.loss import loss_for_object_detection as loss
assert loss.linear_sum_assignment([[1, 0], [0, 1]])[1].tolist() == [1, 0]
assert loss.linear_sum_assignment is scipy.optimize.linear_sum_assignment
""",
    "dynamo_hears_of_the_marks": """
import transformers
marked = transformers.PreTrainedModel.can_record_outputs.fget
import torch._dynamo
assert id(marked) in torch._dynamo.trace_rules._allowed_callable_ids
assert torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1)).item() == 1
""",
    "processors_are_real": """
from transformers import BlipImageProcessor, InstructBlipProcessor, ProcessorMixin
assert issubclass(InstructBlipProcessor, ProcessorMixin)
assert BlipImageProcessor()(torch.zeros(3, 30, 30))["pixel_values"][0].shape == (3, 384, 384)
import accelerate, typing
from transformers import modeling_layers
assert modeling_layers.Unpack is typing.Unpack
from transformers.integrations import accelerate as those
assert those.dispatch_model == accelerate.dispatch_model
""",
    "dtensor_is_told_from_tensor": """
from transformers.distributed import utils
plain = torch.zeros(1)
assert not utils.is_dtensor(plain)
import torch.distributed.tensor
assert not utils.is_dtensor(plain)
""",
}


@pytest.mark.parametrize("use", AFTERWARDS.values(), ids=AFTERWARDS.keys())
def test_everything_else_still_works_in_the_same_process(use: str) -> None:
    run(LAZY + use + "\nprint('null')")


def test_a_placeholder_is_the_thing_at_its_first_use() -> None:
    run("""
import sys
from antifake.core.lazy_imports import LazyObject, deferred
with deferred("fractions", "decimal", "no.such.module", by="__main__"):
    from fractions import Fraction
    from decimal import Decimal, DivisionByZero
    import decimal as whole
    optional = Fraction | None
assert "fractions" not in sys.modules
later = Fraction
assert isinstance(later, LazyObject)
assert not isinstance(1, Fraction) and not issubclass(int, Fraction)
assert "fractions" not in sys.modules
assert Fraction(1, 2) + Fraction(1, 2) == 1
import fractions
assert Fraction is fractions.Fraction and later == Fraction and hash(later) == hash(Fraction)
assert isinstance(Fraction(1), later) and later.from_float(0.5) == Fraction(1, 2)
assert isinstance(Fraction(1), optional.resolve_())
class Mine(later): pass
assert Mine.__mro__[1] is Fraction
assert whole.Decimal("1") == Decimal("1")
print("null")
""")


def test_an_error_inside_restores_everything() -> None:
    run("""
import builtins, sys
from antifake.core.lazy_imports import without_init, deferred
before = builtins.__import__
try:
    with without_init("transformers"), deferred("fractions", by="__main__"):
        raise KeyError
except KeyError: pass
assert builtins.__import__ is before and "transformers" not in sys.modules
print("null")
""")


def test_where_lazy_imports_do_not_fit_ordinary_ones_are_made_and_the_log_says_so_once(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(unfitting_transformers(tmp_path / "site")))
    reason, said = run(
        TINY
        + """
import json
from antifake.core import lazy_imports
assert lazy_imports.fallback_reason() is None
outputs(lazy_imports.transformers_classes())
lazy_imports.transformers_classes()
import transformers
assert transformers.LlamaModel is not None
print(json.dumps(lazy_imports.fallback_reason()))
"""
    )
    assert reason == "TypeError: made for this test"
    assert said.count("Lazy imports do not fit this version of transformers") == 1


def test_where_lazy_imports_fit_there_is_no_reason_to_fall_back() -> None:
    show = "\nimport json; print(json.dumps(lazy_imports.fallback_reason()))"
    assert run(LAZY + show)[0] is None


def test_the_result_of_another_process_is_printed_without_a_codec_or_numpy():
    code = "import antifake.core.results, sys; print({'numpy', 'PIL', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
