"""Batches that the bridge learns from."""

from dataclasses import replace

import torch

from antifake.trainer.mini.distillation import Batch


def test_a_mixture_s_pooled_features_are_those_of_its_tokens():
    torch.manual_seed(5)
    tokens = torch.randn(6, 9, 4)
    pooled = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
    labels = torch.tensor([0.0, 1, 0, 1, 1, 0])
    batch = Batch(tokens, pooled, labels, [None] * 6, torch.rand(6), torch.rand(6))
    mixed, features, truth = batch.mixed(slice(1, 6))
    assert torch.allclose(
        torch.cat([mixed[:, 0], mixed[:, 1:].mean(1)], dim=1), features, atol=1e-5
    )
    assert ((truth >= 0) & (truth <= 1)).all()
    still = replace(batch, push=torch.zeros(6), share=torch.ones(6))
    assert torch.equal(still.mixed(slice(0, 6))[0], tokens)
