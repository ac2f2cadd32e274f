"""Noise touches the frames it should, from the seed, and nothing of the caller's."""

from __future__ import annotations

import pytest
import torch
from objective_parts import CODEC, encoder_gradient, generator, padded_noise, tiny_codec

from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.train.noise import NoiseConfig, masked_noise

PAD, HOP = CODEC.stft_padding, CODEC.hop_length


def frames_of(padded):
    own = padded[:, PAD : padded.shape[1] - (CODEC.n_fft - HOP - PAD)]
    return own.unflatten(1, (-1, HOP))


def noisy(padded, step=0, training=True, **values):
    return masked_noise(padded, CODEC, NoiseConfig(**values), generator(0, step), training)


def test_whole_frames_are_touched_in_the_share_that_was_asked_for():
    padded = padded_noise(frames=2_000)
    changed = frames_of(noisy(padded, share=0.2)) != frames_of(padded)
    touched = changed.any(dim=2)
    assert torch.equal(touched, changed.all(dim=2))
    assert float(touched.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert not torch.equal(touched[0], touched[1])


def test_the_input_stays_and_the_padding_too():
    padded = padded_noise()
    before = padded.clone()
    result = noisy(padded, share=1.0)
    assert torch.equal(padded, before)
    assert result.shape == padded.shape
    assert torch.equal(result[:, :PAD], padded[:, :PAD])
    assert torch.equal(result[:, PAD + 20 * HOP :], padded[:, PAD + 20 * HOP :])


def test_no_share_and_no_training_give_the_input_itself_and_draw_nothing():
    padded, drawn_from = padded_noise(), generator()
    state = drawn_from.get_state()
    assert masked_noise(padded, CODEC, NoiseConfig(), drawn_from) is padded
    assert masked_noise(padded, CODEC, NoiseConfig(share=1.0), drawn_from, training=False) is padded
    assert torch.equal(drawn_from.get_state(), state)


def test_the_level_is_relative_to_the_clip():
    padded = padded_noise(frames=200) * torch.tensor([[1.0], [0.01]])
    own, replaced = frames_of(padded).flatten(1), frames_of(noisy(padded, share=1.0, level=0.5)).flatten(1)
    size, wanted = replaced.square().mean(dim=1).sqrt(), 0.5 * own.square().mean(dim=1).sqrt()
    torch.testing.assert_close(size, wanted, rtol=0.02, atol=0)
    correlation = [float(torch.corrcoef(torch.stack((a, b)))[0, 1]) for a, b in zip(own, replaced, strict=True)]
    assert max(map(abs, correlation)) < 0.02
    added = frames_of(noisy(padded, share=1.0, level=0.5, mode="add")).flatten(1)
    torch.testing.assert_close(added - own, replaced, rtol=1e-3, atol=1e-6)
    assert torch.equal(noisy(torch.zeros(1, 4_000), share=1.0), torch.zeros(1, 4_000))


def test_noise_follows_from_seed_and_step():
    padded = padded_noise()
    first, again, later = (noisy(padded, step=step, share=0.5) for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_the_encoder_learns_from_noisy_input():
    model = tiny_codec()
    model.tokenizer.features(noisy(padded_noise(), share=0.5)).square().mean().backward()
    assert encoder_gradient(model) > 0


@pytest.mark.parametrize("values", [{"share": 1.5}, {"share": -0.1}, {"level": -1.0}, {"mode": "drop"}])
def test_impossible_noise_is_rejected(values):
    with pytest.raises(TrainConfigError, match=next(iter(values))):
        NoiseConfig(**values)
