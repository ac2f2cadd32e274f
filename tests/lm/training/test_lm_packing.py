"""Packing: every token is scored once, in place, and nothing of a clip reaches another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.training.lm_config import make_config
from soundcodec_llmcodec.lm.training.network_building import build
from soundcodec_llmcodec.lm.training.packing import (
    OPEN_ROWS,
    UNSCORED,
    Layout,
    PackedPiece,
    Sampler,
    clips_to_predict,
    collate,
    packed,
)
from soundcodec_llmcodec.lm.training.token_clips import Clips

SOURCE = TokenSource("toy", "0" * 64, 16000, 320, 50)
LAYOUTS = [Layout(7, 60, 61), Layout(7, None, 61), Layout(7, 60, None), Layout(7, None, None)]


def clips_of(*lengths: int) -> Clips:
    draws = np.random.default_rng(0)
    return Clips.of(SOURCE, [draws.integers(0, 50, n) for n in lengths])


@given(st.lists(st.integers(0, 90), min_size=1, max_size=200), st.integers(2, 64), st.integers(0, 3))
@effort(max_examples=60, deadline=None)
def test_rows_hold_every_position_once_and_are_not_too_long(lengths, row_tokens, epoch):
    rows = packed(np.array(lengths), row_tokens, 5, epoch)
    seen = sorted((piece.clip, at) for row in rows for piece in row for at in range(piece.start, piece.stop))
    assert seen == [(clip, at) for clip, length in enumerate(lengths) for at in range(length)]
    assert all(0 < sum(map(len, row)) <= row_tokens for row in rows)
    cut = {piece.clip for row in rows for piece in row if len(piece) != lengths[piece.clip]}
    assert all(lengths[clip] > row_tokens for clip in cut)


def test_rows_are_nearly_full():
    lengths = np.random.default_rng(0).integers(20, 400, 2000)
    rows = packed(lengths, 512, 0)
    assert lengths.sum() / (512 * len(rows)) > 0.97
    assert len(rows) > OPEN_ROWS


def test_order_is_a_function_of_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(1, 90, 100)
    assert packed(lengths, 64, 1, 2) == packed(lengths, 64, 1, 2)
    assert packed(lengths, 64, 1, 2) != packed(lengths, 64, 1, 3)
    assert packed(lengths, 64, 1, 2) != packed(lengths, 64, 2, 2)


def test_long_clips_are_cut_elsewhere_in_each_epoch():
    cuts = {tuple(p.start for row in packed(np.array([100]), 40, 0, epoch) for p in row) for epoch in range(10)}
    assert len(cuts) > 5


def test_the_sampler_goes_on_from_where_it_stands():
    lengths = np.random.default_rng(0).integers(1, 60, 30)
    whole, parts = Sampler(lengths, 64, 3), Sampler(lengths, 64, 3)
    expected = [whole.take(4) for _ in range(12)]
    found = []
    for _ in range(12):
        found.append(parts.take(4))
        again = Sampler(lengths, 64, 3)
        again.epoch, again.row = parts.epoch, parts.row
        parts = again
    assert found == expected
    assert whole.epoch > 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_targets_are_the_tokens_that_follow_each_once(layout):
    clips = clips_of(5, 1, 30, 12)
    rows = packed(layout.positions(clips.lengths), 16, 0)
    batch = collate(rows, clips, layout)
    inputs, targets = batch.ids[batch.scored].tolist(), batch.targets[batch.scored].tolist()
    pairs = []
    for clip in range(len(clips)):
        ids = [*([60] if layout.bos_id else []), *(clips.clip(clip) + 7).tolist(), *([61] if layout.eos_id else [])]
        pairs += itertools.pairwise(ids)
    assert sorted(zip(inputs, targets, strict=True)) == sorted(pairs)


def test_positions_and_segments_restart_with_each_piece():
    clips, layout = clips_of(3, 2), Layout(0, 50, 51)
    batch = collate([(PackedPiece(0, 0, 4), PackedPiece(1, 0, 3)), (PackedPiece(0, 2, 4),)], clips, layout)
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2], [0, 1, 0, 0, 0, 0, 0]]
    assert batch.segments.tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, -1, -1, -1, -1, -1]]
    assert (batch.targets[1, 2:] == UNSCORED).all()
    seen = batch.mask()[0, 0].int().tolist()
    assert seen[3] == [1, 1, 1, 1, 0, 0, 0]
    assert seen[4] == [0, 0, 0, 0, 1, 0, 0]
    assert batch.mask().any(-1).all()


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_packed_loss_and_gradient_are_those_of_each_clip_alone(architecture):
    scratch = {"layers": 2, "width": 16, "heads": 2, "architecture": architecture}
    network = build(make_config({"scratch": scratch}), SOURCE)
    # As drawn, attention is all but even and little would be seen of a leak.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5 if parameter.ndim > 1 else 1)
    clips = clips_of(9, 4, 17, 6, 2, 11)
    rows = packed(network.layout.positions(clips.lengths), 24, 0)
    assert max(map(len, rows)) > 1
    together = network(collate(rows, clips, network.layout))
    together.backward()
    expected = {name: p.grad.clone() for name, p in network.trained().items()}
    network.zero_grad()
    alone = []
    for index in range(len(clips)):
        loss = network(collate([(PackedPiece(index, 0, len(clips.clip(index)) + 1),)], clips, network.layout))
        loss.backward()
        alone.append(loss.detach())
    assert together.item() == pytest.approx(sum(alone).item(), rel=1e-6)
    for name, parameter in network.trained().items():
        scale = float(expected[name].abs().max())
        assert scale > 0
        assert float((parameter.grad - expected[name]).abs().max()) <= 1e-5 * max(1.0, scale), name
    plain = network.lm(input_ids=torch.tensor([[50, *clips.clip(2)]])).logits[0].log_softmax(-1)
    last = [*clips.clip(2).tolist(), 51]
    assert alone[2].item() == pytest.approx(-plain[range(18), last].sum().item(), rel=1e-5)


@pytest.mark.parametrize(("layout", "expected"), zip(LAYOUTS, (3, 3, 3, 1), strict=True))
def test_clips_of_one_token_need_a_token_before_or_after(layout, expected):
    assert clips_to_predict(layout, clips_of(1, 1, 4)) == expected
