"""Layers that are read together equal the hidden states that transformers itself reports."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from antifake.core.bundle import seal
from antifake.core.instructblip import load
from antifake.core.precision import Precision
from antifake.core.prepare import Source, prepare

FLOAT32 = Precision(torch.device("cpu"), torch.float32)


@pytest.fixture
def bundle(tiny_source, tmp_path):
    return prepare(Source(tiny_source), tmp_path / "bundle", dtype="fp32")


def fusing(bundle, layers):
    return load(seal(bundle.folder, replace(bundle.manifest, fused_layers=layers)), FLOAT32)


@pytest.mark.parametrize("layers", [[1, 2], [1], [2], [2, 1]])
def test_the_mean_of_normalised_layers_goes_into_the_last_norm(bundle, layers):
    plain = load(bundle, FLOAT32).vision_model
    model = fusing(bundle, layers)
    pixels = torch.randn(4, 3, 28, 28)
    with torch.no_grad():
        states = plain(pixel_values=pixels, output_hidden_states=True).hidden_states
        eps = plain.config.layer_norm_eps
        each = [functional.layer_norm(states[n], states[n].shape[-1:], eps=eps) for n in layers]
        wanted = plain.post_layernorm(torch.stack(each).mean(0))
    assert torch.allclose(model.vision_features(pixels), wanted, atol=1e-5)


def test_without_layers_to_fuse_the_stock_encoder_runs(bundle):
    pixels = torch.randn(2, 3, 28, 28)
    stock, fused = load(bundle, FLOAT32), fusing(bundle, [1, 2])
    assert type(stock.vision_model.encoder).__name__ == "InstructBlipEncoder"
    assert list(stock.state_dict()) == list(fused.state_dict())
    assert not torch.allclose(stock.vision_features(pixels), fused.vision_features(pixels))
