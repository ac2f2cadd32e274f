"""The chunked loss against PyTorch's own, and both likelihoods against a plain softmax."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from soundcodec_llmcodec.nn import vocabulary_loss


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(37, 8, generator=generator)
    weight = torch.randn(50, 8, generator=generator)
    return states, weight, torch.randn(50, generator=generator), torch.randint(0, 50, (37,), generator=generator)


@pytest.mark.parametrize("with_bias", [True, False])
def test_sum_and_gradients_are_those_of_cross_entropy(parts, with_bias, monkeypatch):
    monkeypatch.setattr(vocabulary_loss, "CHUNK_ELEMENTS", 400)  # 8 rows at a time, 5 in the last
    states, weight, bias, targets = parts
    leaves = [t.clone().requires_grad_() for t in (states, weight, *([bias] if with_bias else []))]
    found = vocabulary_loss.summed_nll(leaves[0], leaves[1], leaves[2] if with_bias else None, targets)
    (3 * found).backward()
    again = [t.detach().clone().requires_grad_() for t in leaves]
    logits = functional.linear(again[0], again[1], again[2] if with_bias else None)
    expected = functional.cross_entropy(logits, targets, reduction="sum")
    (3 * expected).backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(leaves, again, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)


def test_half_precision_is_near_and_extremes_are_finite(parts):
    states, weight, _, targets = parts
    expected = functional.cross_entropy(states @ weight.t(), targets, reduction="sum")
    leaf = states.bfloat16().requires_grad_()
    found = vocabulary_loss.summed_nll(leaf, weight.requires_grad_(), None, targets)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=0.01)
    assert weight.grad.dtype == torch.float32
    far = vocabulary_loss.summed_nll(1000 * states.bfloat16(), weight, None, targets)
    assert torch.isfinite(far)
    assert torch.isnan(vocabulary_loss.summed_nll(leaf * torch.nan, weight, None, targets))


def test_what_needs_no_gradient_gets_none(parts):
    states, weight, _, targets = parts
    leaf = states.requires_grad_()
    vocabulary_loss.summed_nll(leaf, weight, None, targets).backward()
    assert leaf.grad is not None
    assert weight.grad is None


def test_likelihoods_over_the_codes_and_over_all(parts):
    states, weight, bias, _ = parts
    targets = torch.arange(37) % 20 + 10
    audio, full = vocabulary_loss.both_nll(states, weight, bias, targets, 10, 30)
    logits = (states @ weight.t() + bias).double()
    rows = torch.arange(37)
    torch.testing.assert_close(full.double(), -logits.log_softmax(1)[rows, targets], rtol=1e-5, atol=1e-5)
    codes = -logits[:, 10:30].log_softmax(1)[rows, targets - 10]
    torch.testing.assert_close(audio.double(), codes, rtol=1e-5, atol=1e-5)
    assert (full > audio).all()
