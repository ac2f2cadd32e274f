"""The forms in which people have audio, rates and tokens, and what is one clip where a batch is asked for."""

from __future__ import annotations

import copy
import types
from typing import Any

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.token_ids import TokenError

RATES: list[Any] = [22_050, 22_050.0, np.int32(22_050), np.array(22_050), np.array([22_050]), torch.tensor(22_050)]


@pytest.mark.parametrize("rate", RATES, ids=repr)
def test_rates_in_every_form(tiny_codec, noise, rate):
    clip = noise(9_000).numpy()
    expected = tiny_codec.encode(clip, 22_050)
    assert tiny_codec.encode(clip, rate) == expected
    assert tiny_codec.encode({"array": clip, "sampling_rate": rate}) == expected
    assert tiny_codec.encode_batch([clip], rate) == tiny_codec.encode_batch([clip], [rate]) == [expected]
    assert tiny_codec.decode(expected, sampling_rate=rate).shape == (9_000,)
    samples = tiny_codec.stream_decoder(sampling_rate=rate)
    assert samples.sampling_rate == tiny_codec.stream_encoder(rate).sampling_rate == 22_050


@pytest.mark.parametrize("form", [np.asarray, torch.tensor])
def test_a_rate_for_each_clip_as_an_array(tiny_codec, noise, form):
    clips = [noise(5_000, 1), noise(7_000, 2)]
    expected = [tiny_codec.encode(clips[0], 16_000), tiny_codec.encode(clips[1], 24_000)]
    assert tiny_codec.encode_batch(clips, form([16_000, 24_000])) == expected
    with pytest.raises(ValueError, match="2 clips came with 3"):
        tiny_codec.encode_batch(clips, form([16_000] * 3))
    for bad in (16_000.5, "16000"):
        with pytest.raises(AudioError, match="rate"):
            tiny_codec.encode_batch(clips, bad)


def test_a_batchs_axis_of_one_is_no_channel(tiny_codec, noise):
    samples, stereo = noise(5_000), torch.stack([noise(5_000), noise(5_000, 1)])
    expected, both = tiny_codec.encode(samples, 16_000), tiny_codec.encode(stereo, 16_000)
    assert tiny_codec.encode(samples[None, None], 16_000) == expected
    assert tiny_codec.encode(samples[:5][None, None], 16_000).n_samples == 5
    assert tiny_codec.encode(stereo[None], 16_000) == tiny_codec.encode(stereo.T[None], 16_000) == both
    encoder = tiny_codec.stream_encoder(16_000)
    assert torch.equal(torch.cat([encoder.push(samples[None, None]), encoder.flush()]), expected.unit)


def test_arrays_of_clips_are_batches_and_never_channels(tiny_codec, noise):
    first, second = noise(5_000, 1), noise(5_000, 2)
    expected = [tiny_codec.encode(first, 16_000), tiny_codec.encode(second, 16_000)]
    batch = torch.stack([first, second])
    for several in (batch, batch.numpy(), batch[:, None], batch[:, None].numpy(), tuple(batch), iter(batch)):
        assert tiny_codec.encode_batch(several, 16_000) == expected
    kept = torch.stack([batch, batch.flip(1)])
    assert tiny_codec.encode_batch(kept, 16_000) == [tiny_codec.encode(clip, 16_000) for clip in kept]
    with pytest.raises(AudioError, match=r"\(2, 1, 5000\).*encode_batch"):
        tiny_codec.encode(batch[:, None], 16_000)


@pytest.mark.parametrize(
    "one",
    [
        np.zeros(5_000, dtype=np.float32),
        torch.zeros(5_000),
        [0.0] * 50,
        np.zeros((5_000, 2), dtype=np.float32),
        (np.zeros(5_000, dtype=np.float32), 16_000),
        {"array": np.zeros(5_000), "sampling_rate": 16_000},
        "clip.wav",
        b"RIFF",
    ],
    ids=lambda one: type(one).__name__,
)
def test_one_clip_is_no_batch(tiny_codec, one):
    with pytest.raises(AudioError, match=r"several clips.*encode\(\)"):
        tiny_codec.encode_batch(one, 16_000)


def test_pairs_of_samples_and_rate(tiny_codec, noise):
    samples = noise(5_000)
    expected = tiny_codec.encode(samples, 24_000)
    pairs: list[Any] = [
        (samples, 24_000),
        (samples[None], np.int64(24_000)),
        (24_000, samples.numpy()),
        [samples.tolist(), 24_000.0],
        types.SimpleNamespace(data=samples[None], sample_rate=24_000),
    ]
    for pair in pairs:
        assert tiny_codec.encode(pair) == tiny_codec.encode(pair, 24_000) == expected
        assert tiny_codec.encode({"audio": pair}) == expected
    assert tiny_codec.encode_batch(pairs) == [expected] * len(pairs)
    with pytest.raises(AudioError, match=r"16000.*24000"):
        tiny_codec.encode((samples, 24_000), 16_000)
    with pytest.raises(AudioError, match="7000"):
        tiny_codec.encode((samples, 7_000))


def test_two_numbers_and_two_channels_are_no_pair(tiny_codec, noise):
    assert tiny_codec.encode([0.5, 0.25], 16_000).n_samples == 2
    channels = [noise(50).tolist(), noise(50, 1).tolist()]
    assert tiny_codec.encode(channels, 16_000) == tiny_codec.encode(np.array(channels), 16_000)


def test_a_tokens_own_codes_and_a_batchs_axis_decode(tiny_codec, noise):
    tokens = tiny_codec.encode(noise(320 * 9), 16_000)
    expected = tiny_codec.decode(tokens)
    for form in (tokens.codes, tokens.codes.numpy(), tokens.codes.tolist(), tokens.unit[None]):
        np.testing.assert_array_equal(tiny_codec.decode(form), expected)
    np.testing.assert_array_equal(tiny_codec.decode(range(3, 30)), tiny_codec.decode(list(range(3, 30))))
    decoder = tiny_codec.stream_decoder()
    pieces = [decoder.push(tokens.codes), decoder.push(range(0)), decoder.push(range(3)), decoder.flush()]
    assert sum(len(piece) for piece in pieces) == 320 * 12
    for length in (np.int64(2_000), torch.tensor(2_000), 2_000.0):
        assert tiny_codec.decode(tokens, n_samples=length).shape == (2_000,)
    for length in (True, 0.5, "2000", [2_000]):
        with pytest.raises(TokenError, match="n_samples"):
            tiny_codec.decode(tokens, n_samples=length)


def test_batches_of_tokens_in_every_form(tiny_codec):
    ids = torch.arange(60).reshape(2, 30)
    expected = [tiny_codec.decode(row) for row in ids]
    for form in (ids, ids[:, None], ids.numpy(), ids.tolist(), iter(ids), tuple(ids)):
        for found, right in zip(tiny_codec.decode_batch(form), expected, strict=True):
            np.testing.assert_allclose(found, right, atol=1e-6)
    tokens = tiny_codec.encode(np.zeros(640), 16_000)
    for one in (tokens, ids[0], ids[0].tolist(), range(3), "<CODEC_1>", 5, None, {"ids": [1]}):
        with pytest.raises(TokenError, match=r"several clips.*decode\(\)"):
            tiny_codec.decode_batch(one)
    for several in (ids[:, None], [tokens, tokens], [[1, 2], [3]]):
        with pytest.raises(TokenError, match="decode_batch"):
            tiny_codec.decode(several)
    with pytest.raises(AudioError, match="encode_batch"):
        tiny_codec.encode([np.zeros(640), np.zeros(640)], 16_000)
    for neither in (5, None):
        with pytest.raises(AudioError, match="several clips"):
            tiny_codec.encode_batch(neither, 16_000)


def test_nothing_that_is_given_is_changed(tiny_codec, noise):
    samples = noise(5_000).numpy()
    codes = tiny_codec.encode(samples, 16_000).codes.numpy().copy()
    for array in (samples, codes):
        array.flags.writeable = False
    batch = np.stack([samples, samples])
    item = {"audio": (samples, np.array(16_000)), "id": "a"}
    given: list[Any] = [batch, item, batch[:, None], [16_000.0, 16_000.0]]
    before = copy.deepcopy(given)
    tiny_codec.encode(item)
    tiny_codec.encode_batch(batch, given[3])
    tiny_codec.encode_batch(given[2], given[3])
    tiny_codec.decode(codes)[:] = 7
    tiny_codec.decode_batch([codes, codes])
    assert given[3] == before[3]
    for now, then in zip((batch, given[2], samples), (before[0], before[2], before[1]["audio"][0]), strict=True):
        np.testing.assert_array_equal(now, then)
