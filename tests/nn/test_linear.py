"""Products by oneDNN are PyTorch's own to rounding, whatever else is in the batch, and step aside where they must."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from soundcodec_llmcodec.nn import linear as linear_file
from soundcodec_llmcodec.nn.linear import FasterProducts, linear

needs_onednn = pytest.mark.skipif(not linear_file._ONEDNN, reason="this PyTorch has no oneDNN")


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(96, 64, generator=generator), torch.randn(96, generator=generator)


@pytest.mark.parametrize("shape", [(1, 64), (2, 64), (3, 7, 64), (1, 1, 64), (64,)])
@pytest.mark.parametrize("gelu", [None, "none", "tanh"])
@torch.no_grad()
def test_it_is_what_pytorch_gives(weights, shape, gelu):
    weight, bias = weights
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    expected = functional.linear(x.double(), weight.double(), bias.double())
    expected = expected if gelu is None else functional.gelu(expected, approximate=gelu)
    found = linear(x, weight, bias, gelu=gelu)
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(linear(x, weight), functional.linear(x, weight), atol=1e-4, rtol=0)
    assert torch.equal(x, before)


@torch.no_grad()
def test_inputs_that_do_not_lie_in_order(weights):
    weight, bias = weights
    x = torch.randn(2, 64, 5, generator=torch.Generator().manual_seed(1)).transpose(1, 2)
    kernel = weight[:, :, None].expand(-1, -1, 3)[:, :, 1]
    torch.testing.assert_close(linear(x, kernel, bias), functional.linear(x, weight, bias), atol=1e-4, rtol=0)


@needs_onednn
@torch.no_grad()
def test_a_row_is_the_same_number_for_number_beside_any_others():
    """In float32: matrix units for bfloat16 add up in an order that follows the number of rows."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(300, 512, generator=generator), torch.randn(384, 512, generator=generator)
    whole = linear(x, weight)
    for first, count in ((0, 1), (7, 1), (3, 2), (11, 13), (100, 50), (99, 200)):
        assert torch.equal(linear(x[first : first + count], weight), whole[first : first + count]), (first, count)


def test_gradients_flow_as_ever(weights):
    weight, bias = (tensor.requires_grad_() for tensor in weights)
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    linear(x, weight, bias, gelu="tanh").sum().backward()
    found = [tensor.grad.clone() for tensor in (x, weight, bias)]
    for tensor in (x, weight, bias):
        tensor.grad = None
    functional.gelu(functional.linear(x, weight, bias), approximate="tanh").sum().backward()
    for tensor, gradient in zip((x, weight, bias), found, strict=True):
        torch.testing.assert_close(gradient, tensor.grad)


@torch.no_grad()
def test_autocast_has_its_say(weights):
    weight, bias = weights
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.ones(3, 64), weight, bias).dtype == torch.bfloat16


@torch.no_grad()
def test_without_onednn_the_results_are_pytorchs(weights, monkeypatch):
    monkeypatch.setattr(linear_file, "_ONEDNN", False)
    weight, bias = weights
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(linear(x, weight, bias), functional.linear(x, weight, bias))


def test_empty_inputs_are_no_error(weights):
    assert linear(torch.zeros(0, 64), *weights).shape == (0, 96)


@torch.no_grad()
def test_any_model_takes_the_faster_products_and_is_left_as_it_was(monkeypatch):
    calls = []
    monkeypatch.setattr(linear_file, "linear", lambda *args, **kwargs: calls.append(args) or linear(*args, **kwargs))
    torch.manual_seed(0)
    model, x = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4)), torch.randn(3, 8)
    expected = model(x)
    assert not calls
    with FasterProducts():
        torch.testing.assert_close(model(x), expected)
    assert len(calls) == 2
    assert torch.equal(model(x), expected)
    assert len(calls) == 2
