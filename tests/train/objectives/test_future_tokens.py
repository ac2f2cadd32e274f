"""Head j at the position that has read tokens 0..l answers for token l + 1 + j, and sees nothing of it."""

from __future__ import annotations

import math

import pytest
import torch
from objective_parts import (
    CODEC,
    WIDTH,
    embeddings,
    encoder_gradient,
    frozen_lm,
    generator,
    hidden_states,
    quantized_noise,
    quantizer_of,
    tiny_codec,
    untouched,
)
from torch.nn import functional

from soundcodec_llmcodec.nn import chunked_sums
from soundcodec_llmcodec.train.objectives.bridge import LOGITS, MODES, Bridge, BridgeConfig
from soundcodec_llmcodec.train.objectives.future_tokens import FutureTokenHeads

V = 11
BOTH = pytest.mark.parametrize("bos", [False, True], ids=["no-bos", "bos"])


def counting(bos: bool, batch: int = 3, frames: int = 9):
    """Codes that count up from 0, and hidden states of a model that knows the last token it read (V - 1 before any)."""
    codes = torch.arange(frames).repeat(batch, 1) % V
    read = functional.pad(codes, (1, 0), value=V - 1) if bos else codes
    return functional.one_hot(read, V).float(), codes


def shifting(heads: int, extra: int = 0) -> FutureTokenHeads:
    """Heads that add 1 + j + extra to the token last read: right for a count exactly when extra is 0."""
    made = FutureTokenHeads(V, V, heads)
    for j, weight in enumerate(made.rows):
        weight.data.copy_(50 * torch.eye(V).roll(1 + j + extra, 0))
    return made


@BOTH
def test_a_count_is_predicted_at_the_right_distance_and_at_no_other(bos):
    hidden, codes = counting(bos)
    right = shifting(4)(hidden, codes, bos=bos)
    assert right.accuracy.tolist() == [1.0] * 4
    assert float(right.loss.detach()) < 1e-6
    for extra in (-1, 1):
        wrong = shifting(4, extra)(hidden, codes, bos=bos)
        assert wrong.accuracy.tolist() == [0.0] * 4
        assert float(wrong.loss.detach()) > 40


@BOTH
def test_no_head_sees_its_target(bos):
    """Random tokens, and hidden states that hold the last five read: heads that had one of those for a target would be
    right on fresh clips too; heads whose targets are still to come stay at chance there."""
    codes = torch.randint(0, V, (64, 12), generator=generator())
    known = functional.one_hot(codes, V).float()
    read = functional.pad(known, (0, 0, 1, 0)) if bos else known
    # The last five tokens read, each in a place of its own.
    hidden = torch.cat([functional.pad(read, (0, 0, k, 0))[:, : read.shape[1]] for k in range(5)], dim=2)
    torch.manual_seed(0)
    heads = FutureTokenHeads(hidden.shape[2], V, 3)
    optimizer = torch.optim.Adam(heads.parameters(), 0.03)
    for _ in range(60):
        optimizer.zero_grad()
        heads(hidden[:32], codes[:32], bos=bos).loss.backward()
        optimizer.step()
    fresh = heads(hidden[32:], codes[32:], bos=bos)
    assert fresh.accuracy.max() < 2.5 / V
    # What an off-by-one would have trained on, the token just read, is learnt at once from the same states.
    first = int(bos)
    states = hidden[:, first:].flatten(0, 1)
    probe = torch.linalg.lstsq(states, functional.one_hot(codes.flatten(), V).float()).solution
    assert ((states @ probe).argmax(dim=1) == codes.flatten()).all()


@BOTH
@pytest.mark.parametrize("j", [0, 2])
def test_gradients_end_before_the_target(bos, j):
    """With only head j at work and only one target, a causal LM's inputs get gradients up to 1 + j before it."""
    frames, target = 9, 6
    inputs = torch.randn(1, frames + bos, WIDTH, generator=generator()).requires_grad_()
    heads = FutureTokenHeads(WIDTH, V, j + 1)
    for weight in heads.rows[:j]:
        weight.data.zero_()
    codes = torch.randint(0, V, (1, frames), generator=generator(1))
    hidden = hidden_states(frozen_lm(), inputs)[-1]
    gradients = []
    for n in (target + 1, target):
        loss = heads(hidden, codes, bos=bos, frame_mask=torch.arange(frames)[None] < n).loss * n_targets(n, j, bos)
        gradients.append(torch.autograd.grad(loss, inputs, retain_graph=True)[0])
    whole, cut = gradients
    of_target = (whole - cut)[0].abs().sum(dim=1)
    last = target - 1 - j + bos
    assert of_target[last] > 1e-4
    assert (of_target[last + 1 :] < 1e-6).all()


def n_targets(frames: int, j: int, bos: bool) -> int:
    return frames - 1 - j + bos


@BOTH
def test_losses_and_weights_by_hand(bos):
    """Heads of zeros but for head 1's ln 4 on token 2: uniform heads cost ln 11; head 1 ln 14, less ln 4 for a 2."""
    codes = torch.tensor([[2, 0, 2, 2, 5, 2]])
    hidden = torch.ones(1, 6 + bos, 1)
    heads = FutureTokenHeads(1, V, 3)
    for weight in heads.rows:
        weight.data.zero_()
    heads.rows[1].data[2] = math.log(4)
    result = heads(hidden, codes, bos=bos)
    # Targets of head 1: tokens 1.. with BOS, 2.. without.
    targets = codes[0, 2 - bos :]
    twos = float((targets == 2).float().mean())
    by_hand = [math.log(11), math.log(14) - twos * math.log(4), math.log(11)]
    assert result.per_head.tolist() == pytest.approx(by_hand, abs=1e-5)
    assert result.accuracy[1].item() == pytest.approx(twos)
    weights = [6 / 11, 3 / 11, 2 / 11]
    assert heads.weights.tolist() == pytest.approx(weights)
    wanted = sum(w * x for w, x in zip(weights, by_hand, strict=True))
    assert float(result.loss.detach()) == pytest.approx(wanted, abs=1e-5)
    assert not result.per_head.requires_grad


@BOTH
def test_padding_and_what_lies_beyond_the_clip_do_not_count(bos):
    torch.manual_seed(0)
    heads = FutureTokenHeads(WIDTH, V, 3)
    codes = torch.randint(0, V, (2, 8), generator=generator())
    hidden = torch.randn(2, 8 + bos, WIDTH, generator=generator(1))
    mask = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    result = heads(hidden, codes, bos=bos, frame_mask=mask)
    one, two = heads(hidden[:1], codes[:1], bos=bos), heads(hidden[1:, : 5 + bos], codes[1:, :5], bos=bos)
    for j in range(3):
        a, b = n_targets(8, j, bos), n_targets(5, j, bos)
        pooled = (a * one.per_head[j] + b * two.per_head[j]) / (a + b)
        assert float(result.per_head[j]) == pytest.approx(float(pooled), abs=1e-5)
    spoilt_codes, spoilt_hidden = codes.clone(), hidden.clone()
    spoilt_codes[1, 5:], spoilt_hidden[1, 5 + bos :] = 3, 1e3
    again = heads(spoilt_hidden, spoilt_codes, bos=bos, frame_mask=mask)
    torch.testing.assert_close(again.loss, result.loss)
    nothing = heads(hidden, codes, bos=bos, frame_mask=torch.zeros_like(mask))
    assert float(nothing.loss.detach()) == 0
    assert nothing.accuracy.isnan().all()


def test_heads_start_from_the_lm_heads_audio_rows():
    rows = torch.randn(V, WIDTH, generator=generator())
    heads = FutureTokenHeads(WIDTH, V, 2, rows)
    assert all(torch.equal(weight, rows) for weight in heads.rows)
    assert [name for name, _ in heads.named_parameters()] == ["heads.0.weight", "heads.1.weight"]
    heads.rows[0].data.zero_()
    assert torch.equal(heads.rows[1], rows)
    assert rows.abs().sum() > 0


@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("mode", MODES)
def test_who_gets_gradients(mode, logits):
    model, lm, rows = tiny_codec(), frozen_lm(), embeddings()
    quantized = quantized_noise(model)
    torch.manual_seed(1)
    bridge = Bridge(BridgeConfig(mode=mode, logits=logits), CODEC)
    inputs = bridge(quantized, quantizer_of(model), rows, 0, generator()).inputs
    heads = FutureTokenHeads(WIDTH, CODEC.codebook_size, 5, rows.detach())
    heads(hidden_states(lm, inputs)[-1], quantized.codes[:, 0], bos=False).loss.backward()
    assert (encoder_gradient(model) > 0) == (mode != "detach")
    assert rows.grad.abs().sum() > 0
    assert all(weight.grad.abs().sum() > 0 for weight in heads.rows)
    assert untouched(lm)
    assert quantizer_of(model).codebook.grad is None


@pytest.mark.parametrize("elements", [V, 7 * V, 10_000], ids=["row-by-row", "uneven", "at-once"])
def test_chunks_change_neither_loss_nor_gradients(monkeypatch, elements):
    monkeypatch.setattr(chunked_sums, "CHUNK_ELEMENTS", elements)
    torch.manual_seed(0)
    heads = FutureTokenHeads(WIDTH, V, 3)
    codes = torch.randint(0, V, (2, 8), generator=generator())
    hidden = torch.randn(2, 8, WIDTH, generator=generator(1)).requires_grad_()
    result = heads(hidden, codes, bos=False)
    (2 * result.loss).backward()
    found = [hidden.grad, *(weight.grad for weight in heads.rows)]
    plain = sum(
        w * functional.cross_entropy((hidden[:, : 7 - j] @ weight.t()).flatten(0, 1), codes[:, 1 + j :].flatten())
        for j, (w, weight) in enumerate(zip(heads.weights, heads.rows, strict=True))
    )
    torch.testing.assert_close(result.loss, plain)
    for got, wanted in zip(found, torch.autograd.grad(2 * plain, (hidden, *heads.rows)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


def test_logits_of_all_rows_never_stand_together(monkeypatch):
    """The largest tensor made on the way is a chunk's, not (B * F, V), let alone for all heads."""
    monkeypatch.setattr(chunked_sums, "CHUNK_ELEMENTS", 16 * 500)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            sizes = [t.numel() for t in (out if isinstance(out, tuple) else (out,)) if isinstance(t, torch.Tensor)]
            largest = max([largest, *sizes])
            return out

    heads = FutureTokenHeads(2, 500, 5)
    with Watch():
        heads(torch.randn(4, 100, 2), torch.zeros(4, 100, dtype=torch.int64), bos=False).loss.backward()
    assert largest == 16 * 500


def test_bfloat16_autocast_gives_about_the_same():
    torch.manual_seed(0)
    heads = FutureTokenHeads(WIDTH, V, 2)
    hidden, codes = torch.randn(4, 30, WIDTH).requires_grad_(), torch.randint(0, V, (4, 30))
    plain = heads(hidden, codes, bos=False).loss
    wanted = torch.autograd.grad(plain, (hidden, heads.rows[0]))
    with torch.autocast("cpu", torch.bfloat16):
        cast = heads(hidden, codes, bos=False).loss
    found = torch.autograd.grad(cast, (hidden, heads.rows[0]))
    torch.testing.assert_close(cast, plain, rtol=1e-2, atol=0)
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == torch.float32
        assert float((got - want).norm() / want.norm()) < 0.02


@pytest.mark.parametrize(
    ("positions", "frames", "bos", "message"),
    [(9, 9, True, r"\(1, 10\).*with BOS"), (10, 9, False, r"\(1, 9\).*without BOS"), (3, 3, False, "no target")],
)
def test_shapes_that_do_not_fit_are_rejected(positions, frames, bos, message):
    heads = FutureTokenHeads(WIDTH, V, 3)
    with pytest.raises(ValueError, match=message):
        heads(torch.zeros(1, positions, WIDTH), torch.zeros(1, frames, dtype=torch.int64), bos=bos)
    with pytest.raises(ValueError, match=r"\(11, 24\)"):
        FutureTokenHeads(WIDTH, V, 1, torch.zeros(V, 3))
    with pytest.raises(ValueError, match="at least one head"):
        FutureTokenHeads(WIDTH, V, 0)
