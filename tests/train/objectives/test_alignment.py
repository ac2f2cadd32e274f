"""Alignment: the right position, the right negatives, and nothing for clips without text."""

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

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.objectives.alignment import (
    AlignmentConfig,
    SemanticAlignment,
    last_valid,
    text_keys,
)
from soundcodec_llmcodec.train.objectives.bridge import LOGITS, MODES, Bridge, BridgeConfig

DEPTH = 3


def alignment(bank: int = 4, smoothing: float = 0.1, depth: int = DEPTH, width: int = WIDTH) -> SemanticAlignment:
    return SemanticAlignment(AlignmentConfig(bank=bank, label_smoothing=smoothing), depth, width)


def states(batch: int, positions: int, seed: int = 0, width: int = WIDTH) -> list[torch.Tensor]:
    return [torch.randn(batch, positions, width, generator=generator(seed, i)) for i in range(DEPTH + 1)]


def aligned(module, audio, text, keys=None, has_text=None, audio_mask=None, text_mask=None):
    batch = len(audio[0])
    full = [torch.ones(x[0].shape[:2], dtype=torch.bool) for x in (audio, text)]
    keys = torch.arange(1, batch + 1) if keys is None else torch.tensor(keys)
    has_text = torch.ones(batch, dtype=torch.bool) if has_text is None else torch.tensor(has_text)
    masks = [full[0] if audio_mask is None else audio_mask, full[1] if text_mask is None else text_mask]
    return module(audio, masks[0], text, masks[1], has_text, keys)


def at_axis(axes: list[int]) -> list[torch.Tensor]:
    """States of one position that point along the given axes, in every layer."""
    return [functional.one_hot(torch.tensor(axes), WIDTH).float()[:, None]] * (DEPTH + 1)


@pytest.mark.parametrize(
    ("depth", "wanted"),
    [(30, range(11, 25)), (36, range(13, 29)), (3, range(2, 3)), (1, range(1, 2)), (2, range(1, 2))],
)
def test_layers_from_a_third_to_four_fifths(depth, wanted):
    """Layer i of n is hidden state i; state 0, the embeddings, never takes part."""
    assert AlignmentConfig().layers(depth) == tuple(wanted)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(side):
    audio, text = states(2, 5), states(2, 4, 1)
    plain = aligned(alignment(), audio, text)
    pad = (0, 0, 3, 0) if side == "left" else (0, 0, 0, 3)
    rubbish = [functional.pad(x, pad, value=1e3) for x in audio], [functional.pad(x, pad, value=-1e3) for x in text]
    masks = [functional.pad(torch.ones(2, n, dtype=torch.bool), pad[2:]) for n in (5, 4)]
    padded = aligned(alignment(), *rubbish, audio_mask=masks[0], text_mask=masks[1])
    torch.testing.assert_close(padded.cosine, plain.cosine)
    torch.testing.assert_close(padded.contrastive, plain.contrastive)


def test_the_last_valid_position():
    numbered = torch.arange(5.0).expand(3, 5)[..., None]
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 1, 1, 1, 0]])
    assert last_valid(numbered, mask).flatten().tolist() == [2, 4, 3]


def test_cosine_by_hand():
    audio, text = at_axis([0, 1, 2]), at_axis([0, 5, 2])
    audio = [x * 7 for x in audio]
    assert float(aligned(alignment(), audio, text).cosine) == pytest.approx(1 / 3)
    opposite = aligned(alignment(), at_axis([0]), [-x for x in at_axis([0])])
    assert float(opposite.cosine) == pytest.approx(2.0)


def test_contrastive_with_label_smoothing_by_hand():
    """Bank of two other texts; scale 5; the clip's own text matches (cosine 1), one of the bank's too, one is opposite:
    logits 5, 5, -5 with target 0. Smoothing 0.1 over three: 0.9 (lse - 5) + 0.1 (3 lse - 5 - 5 + 5) / 3."""
    module = alignment()
    same_and_opposite = [x * torch.tensor([1.0, -1.0])[:, None, None] for x in at_axis([0, 0])]
    aligned(module, at_axis([9, 9]), same_and_opposite, [8, 9])
    result = aligned(module, at_axis([0]), at_axis([0]), [1])
    lse = math.log(2 * math.exp(5) + math.exp(-5))
    assert float(result.contrastive) == pytest.approx(0.9 * (lse - 5) + 0.1 * (3 * lse - 5) / 3, abs=1e-5)
    logits = torch.tensor([[5.0, 5.0, -5.0]])
    torchs = functional.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1)
    torch.testing.assert_close(result.contrastive, torchs)


def test_the_batchs_other_texts_are_negatives_too():
    result = aligned(alignment(smoothing=0.0), at_axis([0, 1]), at_axis([0, 1]))
    assert float(result.contrastive) == pytest.approx(math.log(1 + math.exp(-5)), abs=1e-6)


def test_a_lone_clip_with_an_empty_bank_has_no_negatives():
    audio = [x.requires_grad_() for x in states(1, 3)]
    result = aligned(alignment(), audio, states(1, 2, 1))
    assert float(result.contrastive.detach()) == pytest.approx(0, abs=1e-6)
    result.contrastive.backward()
    assert all(x.grad is None or x.grad.abs().max() < 1e-6 for x in audio)


@pytest.mark.parametrize("where", ["bank", "batch"])
def test_equal_texts_are_no_negatives(where):
    keys = text_keys(["So it  was.", "so it was.", "another one"])
    assert keys[0] == keys[1] != keys[2]
    module = alignment(smoothing=0.0)
    if where == "bank":
        aligned(module, at_axis([9, 9]), at_axis([0, 3]), keys[[1, 2]].tolist())
        result = aligned(module, at_axis([0]), at_axis([0]), [int(keys[0])])
        told_from = 1
    else:
        result = aligned(module, at_axis([0, 0, 3]), at_axis([0, 0, 3]), keys.tolist())
        told_from = (1 + 1 + 2) / 3
    wanted = math.log(1 + told_from * math.exp(-5))
    assert float(result.contrastive) == pytest.approx(wanted, rel=2e-2)
    # With the equal texts among the negatives it would be at least a part of ln 2.
    assert float(result.contrastive) < 0.1


def test_first_in_first_out_of_single_texts_over_the_end():
    module = alignment(bank=3)
    aligned(module, at_axis([9, 9]), at_axis([0, 1]), [10, 11])
    assert (int(module.filled), int(module.slot)) == (2, 2)
    aligned(module, at_axis([9, 9]), at_axis([2, 3]), [12, 13])
    assert (int(module.filled), int(module.slot)) == (3, 1)
    assert module.keys.tolist() == [13, 11, 12]
    for layer in module.bank:
        assert torch.equal(layer, functional.one_hot(torch.tensor([3, 1, 2]), WIDTH).float())
    aligned(module, at_axis([9] * 5), at_axis([4, 5, 6, 7, 8]), [14, 15, 16, 17, 18])
    assert sorted(module.keys.tolist()) == [16, 17, 18]


def test_each_layer_is_compared_with_its_own_texts():
    module = SemanticAlignment(AlignmentConfig(bank=2, first_layer=0.0, last_layer=1.0), DEPTH, WIDTH)
    text = states(2, 1)
    aligned(module, states(2, 1, 1), text)
    assert module.layers == (1, 2, 3)
    for place, layer in enumerate(module.layers):
        torch.testing.assert_close(module.bank[place], functional.normalize(text[layer][:, 0], dim=-1))


def test_texts_join_after_the_loss_and_only_in_training():
    module = alignment().eval()
    aligned(module, states(2, 3), states(2, 3, 1))
    assert int(module.filled) == 0
    module.train()
    alone = aligned(module, states(1, 3), states(1, 3, 1), [1])
    assert float(alone.contrastive) == pytest.approx(0, abs=1e-6)
    assert int(module.filled) == 1
    assert not module.bank.requires_grad


def test_clips_without_text_take_no_part():
    audio, text = states(3, 5), states(3, 4, 1)
    alone = aligned(alignment(), [x[[0, 2]] for x in audio], [x[[0, 2]] for x in text], [1, 3])
    text = [x.clone() for x in text]
    for x in text:
        x[1] = torch.nan
    module = alignment()
    audio = [x.requires_grad_() for x in audio]
    result = aligned(module, audio, text, [1, 0, 3], [True, False, True])
    torch.testing.assert_close(result.cosine, alone.cosine)
    torch.testing.assert_close(result.contrastive, alone.contrastive)
    assert int(result.n) == 2
    assert module.keys.tolist()[:2] == [1, 3]
    (result.cosine + result.contrastive).backward()
    used = audio[module.layers[0]].grad
    assert used[1].abs().sum() == 0
    assert used[0].abs().sum() > 0


@pytest.mark.parametrize("why", ["has no text", "text is all padding"])
def test_no_text_at_all_is_exactly_nothing(why):
    module = alignment()
    aligned(module, states(2, 3), states(2, 3, 1))
    audio = [x.requires_grad_() for x in states(2, 5)]
    text = [torch.full((2, 1, WIDTH), torch.nan)] * (DEPTH + 1)
    empty = torch.full((2, 1), why == "has no text")
    result = aligned(module, audio, text, [0, 0], [why != "has no text"] * 2, text_mask=empty)
    assert (float(result.cosine.detach()), float(result.contrastive.detach()), int(result.n)) == (0, 0, 0)
    (result.cosine + result.contrastive).backward()
    assert all(x.grad is None or not x.grad.any() for x in audio)
    assert int(module.filled) == 2


def test_the_bank_is_saved_and_restored():
    whole, first = alignment(), alignment()
    for module in (whole, first):
        aligned(module, states(3, 3), states(3, 3, 1), [4, 5, 6])
    restored = alignment()
    restored.load_state_dict(first.state_dict())
    results = [aligned(m, states(2, 3, 2), states(2, 3, 3), [7, 8]) for m in (whole, restored)]
    assert torch.equal(results[0].contrastive, results[1].contrastive)
    saved, loaded = whole.state_dict(), restored.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in saved.items())
    assert restored.keys.tolist() == [8, 5, 6, 7]


def test_keys_of_texts():
    keys = text_keys(["", None, "  ", "a", "b"])
    assert keys.tolist()[:3] == [0, 0, 0]
    assert len(set(keys.tolist())) == 3
    assert torch.equal(keys, text_keys(["", None, "  ", "a", "b"]))


@pytest.mark.parametrize("part", ["cosine", "contrastive"])
@pytest.mark.parametrize("logits", LOGITS)
@pytest.mark.parametrize("mode", MODES)
def test_who_gets_gradients(mode, logits, part):
    model, lm, rows = tiny_codec(), frozen_lm(), embeddings()
    torch.manual_seed(1)
    bridge = Bridge(BridgeConfig(mode=mode, logits=logits), CODEC)
    inputs = bridge(quantized_noise(model), quantizer_of(model), rows, 0, generator()).inputs
    # Text states with a graph behind them: alignment must not send gradients that way.
    words = torch.randn(2, 6, WIDTH, generator=generator(2)).requires_grad_()
    result = aligned(alignment(), hidden_states(lm, inputs), hidden_states(lm, words))
    getattr(result, part).backward()
    assert (encoder_gradient(model) > 0) == (mode != "detach")
    assert rows.grad.abs().sum() > 0
    assert words.grad is None
    assert untouched(lm)
    assert quantizer_of(model).codebook.grad is None


def test_impossible_alignments_are_rejected():
    for values in ({"bank": 0}, {"logit_scale": 0.0}, {"label_smoothing": 1.0}, {"first_layer": 0.9}):
        with pytest.raises(TrainConfigError, match=next(iter(values))):
            AlignmentConfig(**values)
    with pytest.raises(ValueError, match="text states should be 4"):
        aligned(alignment(), states(1, 2), states(1, 2)[:2])
