"""The friendly face: any rate and layout in, the same rate and exact length out, tokens alone decode."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch

from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.tokens import Tokens, load, save

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [1, 777, 9_000])
def test_same_rate_and_exact_length_back(tiny_codec, noise, rate, length):
    clip = noise(length).numpy()
    tokens = tiny_codec.encode(clip, rate)
    assert tokens.n_samples == length
    assert tokens.sampling_rate == rate
    assert len(tokens) == math.ceil(math.ceil(length * 16_000 / rate) / 320)
    audio = tiny_codec.decode(tokens)
    assert audio.shape == (length,)
    assert audio.dtype == np.float32


def test_mixed_rates_and_lengths_in_a_batch_equal_single(tiny_codec, noise):
    clips = [noise(n, n).numpy() for n in (5_000, 44_100, 3, 12_345)]
    rates = [8_000, 44_100, 16_000, 48_000]
    batch = tiny_codec.encode_batch(clips, rates)
    for clip, rate, tokens in zip(clips, rates, batch, strict=True):
        assert tokens == tiny_codec.encode(clip, rate)
    for tokens, audio in zip(batch, tiny_codec.decode_batch(batch), strict=True):
        np.testing.assert_allclose(audio, tiny_codec.decode(tokens), atol=1e-5)


def test_layouts_and_types_of_one_clip_give_the_same_tokens(tiny_codec, noise):
    samples = noise(4_000).numpy()
    as_int16 = np.round(samples * 32_767).astype(np.int16)
    exact = as_int16.astype(np.float32) / 32_768
    forms = [as_int16, exact, exact[None], torch.from_numpy(exact), exact.astype(np.float64), exact.tolist()]
    forms += [np.stack([exact, exact]), np.stack([exact, exact], axis=1)]
    expected = tiny_codec.encode(exact, 16_000).unit
    for form in forms:
        assert torch.equal(tiny_codec.encode(form, 16_000).unit, expected)


def test_a_file_its_bytes_and_its_samples_give_the_same_tokens(tiny_codec, noise, tmp_path):
    path = tmp_path / "clip.flac"
    soundfile.write(path, noise(30_000).numpy(), 44_100, subtype="PCM_16")
    samples, rate = soundfile.read(path, dtype="float32")
    expected = tiny_codec.encode(samples, rate)
    for form in (path, str(path), path.read_bytes(), {"path": str(path)}, {"audio": {"bytes": path.read_bytes()}}):
        assert tiny_codec.encode(form) == expected


def test_a_rate_that_contradicts_the_file_is_refused(tiny_codec, noise, tmp_path):
    soundfile.write(tmp_path / "clip.wav", noise(5_000).numpy(), 44_100)
    with pytest.raises(AudioError, match=r"44100|44,100"):
        tiny_codec.encode(tmp_path / "clip.wav", 16_000)


def test_kept_channels_come_back_as_channels(tiny_codec, noise):
    stereo = np.stack([noise(5_000).numpy(), noise(5_000, 1).numpy()])
    tokens = tiny_codec.encode(stereo, 22_050, keep_channels=True)
    assert tokens.channels == 2
    assert tiny_codec.decode(tokens).shape == (2, 5_000)
    left = tiny_codec.encode(stereo[0], 22_050)
    assert torch.equal(tokens.codes[0], left.codes[0])


def test_bare_tokens_decode_in_every_form(tiny_codec, noise):
    tokens = tiny_codec.encode(noise(320 * 9), 16_000)
    expected = tiny_codec.decode(tokens)
    unit = tokens.unit
    for form in (unit, unit[None], unit.tolist(), unit.numpy(), unit.numpy().astype(np.int32), tokens.text()):
        np.testing.assert_array_equal(tiny_codec.decode(form), expected)
    at_24k = tiny_codec.decode(unit, sampling_rate=24_000)
    assert at_24k.shape == (9 * 480,)


def test_invalid_tokens_name_themselves_or_are_counted(tiny_codec):
    with pytest.raises(ValueError, match="512"):
        tiny_codec.decode([3, 512, 4])
    with pytest.warns(UserWarning, match="1 frame"):
        dropped = tiny_codec.decode([3, 512, 4], on_invalid="drop")
    np.testing.assert_array_equal(dropped, tiny_codec.decode([3, 4]))
    with pytest.raises(ValueError, match=r"\b0 frames|no tokens|empty"):
        tiny_codec.decode([])


def test_tokens_of_another_codec_are_refused(tiny_codec, noise):
    other = LLMCodec.random(CodecConfig.preset("tiny"), seed=1)
    tokens = other.encode(noise(640), 16_000)
    with pytest.raises(ValueError, match=other.weights_hash[:12]):
        tiny_codec.decode(tokens)
    assert tiny_codec.decode(tokens, any_codec=True).shape == (640,)


def test_silence_and_clipping_have_defined_results(tiny_codec):
    silent = tiny_codec.decode(tiny_codec.encode(np.zeros(5_000), 16_000))
    assert np.isfinite(silent).all()
    loud = tiny_codec.encode(5.0 * np.ones(5_000), 16_000)
    assert np.isfinite(tiny_codec.decode(loud)).all()


@pytest.mark.parametrize(
    ("audio", "rate"),
    [
        (np.zeros(0), 16_000),
        (np.array([0.0, np.nan]), 16_000),
        (np.array([0.0, np.inf]), 16_000),
        (np.zeros(100), None),
        (np.zeros(100), 4_000),
        (np.zeros((3, 4, 5)), 16_000),
        (np.array(["a", "b"]), 16_000),
        (None, 16_000),
    ],
)
def test_impossible_audio_is_refused(tiny_codec, audio, rate):
    with pytest.raises(AudioError):
        tiny_codec.encode(audio, rate)


def test_domains_restrict_codes(tiny_codec, noise):
    codes = tiny_codec.encode(noise(16_000), 16_000, domain="other").unit
    assert codes.min() >= 256
    with pytest.raises(ValueError, match="speech, other"):
        tiny_codec.encode(noise(16_000), 16_000, domain="music")


def test_encoding_is_deterministic_whatever_the_random_state(tiny_codec, noise):
    clip = noise(8_000)
    first = tiny_codec.encode(clip, 16_000)
    torch.manual_seed(123)
    assert tiny_codec.encode(clip, 16_000) == first


def test_neither_training_mode_nor_autocast_changes_tokens(tiny_codec, noise):
    """A training loop is a caller like any other; a model left in train mode would normalise by the batch."""
    clip = noise(48_000)
    expected = tiny_codec.encode_samples(clip)
    codec = LLMCodec(tiny_codec.config, tiny_codec.model)
    codec.model.train()
    frozen = codec.model.tokenizer.eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codec.encode_samples(clip), expected)
        assert torch.equal(codec.encode_samples_batch([clip, clip[:640]])[0], expected)
    assert codec.model.training
    assert codec.model.token2wav.conformer.training
    assert not any(part.training for part in frozen.modules())
    codec.model.eval()


def test_a_wrapped_model_is_not_changed_and_its_hash_follows_it(noise):
    model = CodecModel(CodecConfig.preset("tiny")).train()
    codec = LLMCodec(model.config, model)
    codec.encode(noise(640), 16_000)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    before = codec.weights_hash
    with torch.no_grad():
        model.token2wav.istft_head.out.bias.add_(1.0)
    assert codec.weights_hash != before


def test_codes_and_samples_can_go_into_a_graph(tiny_codec, noise):
    codes = tiny_codec.encode_samples(noise(3_200))
    embedding = torch.nn.Embedding(512, 4)
    embedding(codes).sum().backward()
    gain = torch.ones(1, requires_grad=True)
    (gain * tiny_codec.decode_codes(codes)).sum().backward()
    assert gain.grad is not None


def test_batch_errors_name_the_item(tiny_codec, noise):
    with pytest.raises(AudioError, match="item 1 of 2"):
        tiny_codec.encode_batch([noise(640), np.array([np.nan])], 16_000)
    with pytest.raises(ValueError, match=r"item 1 of 2.*99999"):
        tiny_codec.decode_batch([[1, 2], [99_999]])
    assert len(tiny_codec.encode_batch([noise(640)], np.int64(16_000))) == 1


def test_an_unreadable_item_costs_only_itself_where_that_is_asked_for(tiny_codec, noise):
    good, rates = [noise(5_000), noise(700, 1)], [16_000, None, None, 8_000]
    batch = [good[0], b"no sound", "missing.wav", good[1]]
    first, unreadable, missing, last = tiny_codec.encode_batch(batch, rates, on_unreadable="return")
    assert (first, last) == (tiny_codec.encode(good[0], 16_000), tiny_codec.encode(good[1], 8_000))
    assert isinstance(unreadable, AudioError)
    assert "item 1 of 4" in str(unreadable)
    assert isinstance(missing, FileNotFoundError)
    assert len(tiny_codec.encode_batch([b"", b"x"], on_unreadable="return")) == 2


def test_tokens_of_another_kind_of_codec_are_refused_without_a_hash(tiny_codec):
    tokens = Tokens(torch.zeros(1, 1, 4, dtype=torch.int64), 1_000, 16_000, codebook_size=1_024)
    with pytest.raises(ValueError, match="another kind"):
        tiny_codec.decode(tokens, any_codec=True)


@pytest.mark.slow
def test_an_hour_there_and_back(tiny_codec, noise):
    hour = noise(3_600 * 16_000)
    codes = tiny_codec.encode_samples(hour)
    assert codes.shape == (1, 180_000)
    assert tiny_codec.decode_codes(codes, hour.shape[0]).shape == hour.shape
    start = 320 * 90_000
    window = tiny_codec.encode_samples(hour[start : start + 320 * 200])
    context = tiny_codec.config.context_frames(1)
    assert torch.equal(codes[:, 90_000 + context : 90_200 - context], window[:, context:-context])


def test_several_levels_go_all_the_way(noise, tmp_path):
    fields = {**CodecConfig.preset("tiny").to_dict(), "num_quantizers": 2}
    codec = LLMCodec.random(CodecConfig.from_dict(fields))
    clips = [noise(5_000), noise(9_999, 1)]
    tokens = codec.encode_batch(clips, 16_000)
    assert [item.unit.shape for item in tokens] == [(2, 16), (2, 32)]
    assert tokens == [codec.encode(clip, 16_000) for clip in clips]
    save(tokens[0], tmp_path / "clip.llmc")
    np.testing.assert_array_equal(codec.decode(load(tmp_path / "clip.llmc")), codec.decode(tokens[0]))
    with pytest.raises(ValueError, match="2"):
        codec.decode(tokens[0].unit[0])
