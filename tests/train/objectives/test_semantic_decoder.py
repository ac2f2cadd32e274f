"""X-Codec's semantic decoder and the levels drawn in training: what learns from the loss, and what does not."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
import torch

from soundcodec_llmcodec import teachers
from soundcodec_llmcodec.nn.semantic_join import mean_of_layers
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.objectives.semantic_decoder import (
    SemanticDecoder,
    SemanticDecoderConfig,
    teacher_of_loss,
)
from soundcodec_llmcodec.train.steps import drawn_levels
from soundcodec_llmcodec.train.train_config import TrainConfig
from tests.train.train_runs import assert_equal, made_up_teacher, trainer

LOSSES = {"mel": LossSchedule(1.0), "semantic": LossSchedule(5.0)}


@pytest.fixture
def toy_teacher(monkeypatch, joined_codec):
    """A teacher of the sizes of the codec's branch, as if its package were installed."""
    return dataclasses.replace(made_up_teacher(monkeypatch, joined_codec), join=None)


def run_of(tiny_config, folder, codec, **changes):
    return trainer(tiny_config, folder, codec=codec.config.to_dict(), segment_s=0.4, losses=LOSSES, **changes)


def test_the_loss_is_the_error_of_what_is_rebuilt(joined_codec):
    torch.manual_seed(0)
    semantic = joined_codec.config.semantic
    decoder = SemanticDecoder(SemanticDecoderConfig(width=12), semantic, joined_codec.config)
    features, states = torch.randn(2, 6, joined_codec.config.hidden_size), torch.randn(2, 6, 32, requires_grad=True)
    loss = decoder(features, states)
    expected = (decoder.rebuilt(features) - mean_of_layers(states, 2)).square().mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert states.grad is None


def test_gradients_reach_encoder_and_codebook_and_neither_teacher_nor_decoder(
    toy_teacher, joined_codec, tiny_config, tmp_path
):
    run = run_of(tiny_config, tmp_path, joined_codec, steps=1)
    model, semantic = run.state.model, run.state.others["semantic"].module
    batch = run.batch(0)
    states = model.tokenizer.semantic.states(batch.padded)
    _, quantized = model.reconstruct(batch.padded, states=states, levels=1)
    semantic(quantized.features, states).backward()
    tokenizer = model.tokenizer
    for part in (tokenizer.stft_head, tokenizer.conformer, tokenizer.join, tokenizer.vq.levels[0], semantic):
        assert any(p.grad is not None and bool(p.grad.any()) for p in part.parameters()), part
    for part in (tokenizer.vq.levels[1], tokenizer.vq.levels[2], model.token2wav, tokenizer.semantic.encoder):
        assert all(p.grad is None or not bool(p.grad.any()) for p in part.parameters()), part


@pytest.mark.parametrize("branch", ["join", "input", "loss alone"])
def test_a_run_resumes_bit_for_bit_and_leaves_the_teacher_as_it_was(
    toy_teacher, joined_codec, semantic_codec, tiny_codec, tiny_config, tmp_path, branch
):
    codec = {"join": joined_codec, "input": semantic_codec, "loss alone": tiny_codec}[branch]
    changes = {"teacher": toy_teacher, "checkpoint_every": 2}
    whole = run_of(tiny_config, tmp_path / "whole", codec, steps=4, **changes)
    # The codec's own features are the target where there are any; else another encoder hears the wave.
    assert (whole.tools.semantic is None) == (branch == "join")
    teacher = whole.tools.semantic or whole.state.model.tokenizer.semantic
    before = teachers.teacher_hash(teacher.encoder.state_dict())
    whole.run()
    assert teachers.teacher_hash(teacher.encoder.state_dict()) == before
    run_of(tiny_config, tmp_path / "parts", codec, steps=2, **changes).run()
    again = run_of(tiny_config, tmp_path / "parts", codec, steps=4, **changes)
    again.run()
    assert_equal(whole.state, again.state)
    exported = whole.state.model.state_dict()
    assert not [name for name in exported if "rebuilt" in name or "semantic_decoder" in name]


def test_levels_are_drawn_evenly_from_the_codecs_choices(joined_codec, tiny_config):
    config = dataclasses.replace(tiny_config, codec=joined_codec.config.to_dict(), seed=3)
    drawn = Counter(drawn_levels(config, step) for step in range(400))
    assert set(drawn) == {1, 3}
    assert 160 < drawn[1] < 240
    assert [drawn_levels(config, step) for step in range(20)] == [drawn_levels(config, step) for step in range(20)]
    assert drawn_levels(tiny_config, 0) is None


def test_features_and_losses_are_those_of_the_levels_drawn(joined_codec, noise):
    vq, features = joined_codec.model.tokenizer.vq, torch.randn(2, 7, joined_codec.config.hidden_size)
    whole, first = vq(features, 0, 512), vq(features, 0, 512, counted=1)
    assert torch.equal(whole.codes, first.codes)
    torch.testing.assert_close(first.features, vq.embed(whole.codes[:, :1]))
    torch.testing.assert_close(whole.features, vq.embed(whole.codes))
    assert 0 < float(first.commitment_loss) < float(whole.commitment_loss)


def test_the_target_is_the_codecs_own_teacher_where_it_joins(joined_codec, semantic_codec):
    other = TrainConfig(losses=LOSSES).teacher
    assert teacher_of_loss(other, joined_codec.config) is joined_codec.config.semantic
    assert teacher_of_loss(other, semantic_codec.config) is other


def test_a_decoder_alone_has_nothing_to_learn_from_it():
    with pytest.raises(TrainConfigError, match="the loss semantic has nothing to change"):
        TrainConfig(losses=LOSSES, trains="decoder")
    with pytest.raises(TrainConfigError, match="odd"):
        SemanticDecoderConfig(kernel=2)
