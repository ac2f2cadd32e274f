"""A sum taken in chunks is the sum, with the same gradients, once."""

from __future__ import annotations

import pytest
import torch

from soundcodec_llmcodec.nn import chunked_sums
from soundcodec_llmcodec.nn.chunked_sums import chunked_sum, cross_entropy_rows


@pytest.fixture(autouse=True)
def two_rows_a_chunk(monkeypatch):
    monkeypatch.setattr(chunked_sums, "CHUNK_ELEMENTS", 8)


def parts(n: int = 5):
    draw = torch.Generator().manual_seed(0)
    made = [torch.randn(size, generator=draw).requires_grad_() for size in ((n, 3), (n,), (4, 3), (4,))]
    return tuple(made[:2]), tuple(made[2:])


def weighted(rows, shares, weight, bias):
    return ((rows @ weight.t() + bias).tanh().sum(dim=1) * shares).sum(), torch.stack((rows.sum(), shares.sum()))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_value_statistics_and_gradients_are_those_of_the_whole(n):
    rows, shared = parts(n)
    total, statistics = chunked_sum(weighted, rows, shared, 4)
    found = torch.autograd.grad(3 * total, (*rows, *shared))
    whole, wanted_statistics = weighted(*rows, *shared)
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(statistics, wanted_statistics)
    assert not statistics.requires_grad
    for got, wanted in zip(found, torch.autograd.grad(3 * whole, (*rows, *shared)), strict=True):
        torch.testing.assert_close(got, wanted)


def test_only_what_wants_gradients_gets_them():
    rows, shared = parts()
    rows[0].requires_grad_(False)
    shared[0].requires_grad_(False)
    chunked_sum(weighted, rows, shared, 4)[0].backward()
    assert rows[0].grad is shared[0].grad is None
    assert rows[1].grad is not None
    assert shared[1].grad is not None


def test_without_gradients_none_are_computed():
    rows, shared = parts()
    seen = []

    def watched(*tensors):
        seen.append(torch.is_grad_enabled() or any(tensor.requires_grad for tensor in tensors))
        return weighted(*tensors)

    with torch.no_grad():
        total, _ = chunked_sum(watched, rows, shared, 4)
    assert not total.requires_grad
    assert seen == [False] * 3


def test_the_loss_is_differentiated_once():
    rows, shared = parts()
    total, _ = chunked_sum(weighted, rows, shared, 4)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated already"):
        total.backward()


def test_cross_entropy_rows_by_hand():
    """Logits (ln 3, 0, 0, 0): codes 0 and 1 cost ln 2 and ln 6."""
    logits = torch.tensor([[3.0, 1, 1, 1], [3.0, 1, 1, 1]]).log()
    total, statistics = cross_entropy_rows(logits, torch.tensor([0, 1]), torch.tensor([0.25, 0.5]))
    assert float(total) == pytest.approx(0.25 * 0.693147 + 0.5 * 1.791759, abs=1e-5)
    assert statistics.tolist() == [0.25, 0.75]
