"""Streams in both directions: what they give put together, when, and what they refuse."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundcodec_llmcodec.audio import as_clip, mono
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.data import open_dataset
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.streaming import StreamError
from soundcodec_llmcodec.streaming.rates import RateStream
from soundcodec_llmcodec.token_ids import TokenError, token_text

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech"
# The tiny preset: a layer of 4 frames of window and 3 of kernel, and 2 frames that overlap in the (inverse) STFT.
TINY_LOOKAHEAD = 9
CUTS = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def ids(n: int, codebook_size: int = 512, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, codebook_size, n)


def pieces(data, cuts):
    """The data in pieces that end at the cuts; some may be empty."""
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(bounds)]


def decoded(codec: LLMCodec, parts, **options) -> np.ndarray:
    with codec.stream_decoder(**options) as decoder:
        return np.concatenate([*(decoder.push(part) for part in parts), decoder.flush()])


def encoded(codec: LLMCodec, parts, rate: int = 16_000, **options) -> torch.Tensor:
    with codec.stream_encoder(rate, **options) as encoder:
        return torch.cat([*(encoder.push(part) for part in parts), encoder.flush()], dim=-1)


@pytest.fixture(scope="module")
def two_levels() -> LLMCodec:
    """Two codebook levels, two layers each way, another hop and n_fft, odd sizes throughout."""
    fields = {"num_quantizers": 2, "encoder_layers": 2, "decoder_layers": 2, "attention_window": 3, "n_fft": 500}
    fields |= {"hop_length": 100, "conv_kernel_size": 5}
    return LLMCodec.random(CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), **fields}))


# -- put together, a stream is the whole clip --------------------------------------------------------------------------
@CUTS
@given(
    frames=st.integers(1, 90),
    chunk=st.sampled_from([1, 3, 8, 40]),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_the_decoder_gives_the_whole_clips_samples_for_any_cuts(tiny_codec, frames, chunk, cuts):
    tokens = ids(frames, seed=frames)
    streamed = decoded(tiny_codec, pieces(tokens, cuts), chunk_frames=chunk)
    assert streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, tiny_codec.decode(tokens), atol=1e-5, rtol=0)
    # Not nearly but just the same for other cuts.
    np.testing.assert_array_equal(streamed, decoded(tiny_codec, [tokens], chunk_frames=chunk))


@CUTS
@given(
    samples=st.integers(1, 30_000),
    chunk=st.sampled_from([1, 3, 8, 40]),
    cuts=st.lists(st.integers(0, 100_000), max_size=12),
)
def test_the_encoder_gives_the_whole_clips_ids_for_any_cuts(tiny_codec, noise, samples, chunk, cuts):
    clip = noise(samples, seed=samples).numpy()
    streamed = encoded(tiny_codec, pieces(clip, cuts), chunk_frames=chunk)
    assert torch.equal(streamed, tiny_codec.encode(clip, 16_000).unit)


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 479, 480, 481, 640, 641, 799, 800, 801, 1_120, 1_121])
def test_the_shortest_clips_are_mirrored_and_filled_as_they_are_whole(tiny_codec, noise, samples):
    clip = noise(samples, 3).numpy()
    streamed = encoded(tiny_codec, clip.reshape(-1, 1), chunk_frames=1)
    assert torch.equal(streamed, tiny_codec.encode(clip, 16_000).unit)


def test_several_levels_and_layers(two_levels, noise):
    clip = noise(20_050).numpy()
    whole = two_levels.encode(clip, 16_000)
    streamed = encoded(two_levels, np.array_split(clip, 17), chunk_frames=4)
    assert streamed.shape == (2, 201)
    assert torch.equal(streamed, whole.unit)
    audio = decoded(two_levels, streamed.split(13, dim=1), chunk_frames=4)
    np.testing.assert_allclose(audio, two_levels.decode(streamed), atol=1e-5, rtol=0)


def test_the_encoder_keeps_to_its_domain(tiny_codec, noise):
    clip = noise(16_000).numpy()
    streamed = encoded(tiny_codec, [clip], domain="other")
    assert streamed.min() >= 256
    assert torch.equal(streamed, tiny_codec.encode(clip, 16_000, domain="other").unit)
    with pytest.raises(ValueError, match="unknown domain"):
        tiny_codec.stream_encoder(16_000, domain="opera")


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_across_the_seams(tiny_codec, noise, rate):
    tokens = ids(60)
    audio = decoded(tiny_codec, np.array_split(tokens, 23), sampling_rate=rate, chunk_frames=2)
    np.testing.assert_allclose(audio, tiny_codec.decode(tokens, sampling_rate=rate), atol=1e-5, rtol=0)
    clip = noise(rate + 77).numpy()
    streamed = encoded(tiny_codec, np.array_split(clip, 31), rate, chunk_frames=2)
    assert torch.equal(streamed, tiny_codec.encode(clip, rate).unit)


def test_a_rate_streams_length_is_the_whole_clips():
    for n in (1, 2, 3, 100, 12_345):
        for to_rate in (8_000, 16_000, 16_001, 192_000):
            stream = RateStream(16_000, to_rate)
            given_back = [stream.push(np.zeros(n, dtype=np.float32)), stream.push(np.zeros(0, np.float32), last=True)]
            assert sum(map(len, given_back)) == -(-n * to_rate // 16_000)


def test_real_speech_goes_both_ways_unchanged():
    if not REAL_SPEECH.is_dir():
        pytest.skip(f"{REAL_SPEECH}, with real recordings, is not there")
    codec = LLMCodec.from_pretrained()
    item = next(open_dataset(f"{REAL_SPEECH}:validation").rows())
    clip = as_clip(item.audio)
    samples = mono(clip)[: 12 * clip.sampling_rate]
    tokens = encoded(codec, np.array_split(samples, 40), clip.sampling_rate)
    assert torch.equal(tokens, codec.encode(samples, clip.sampling_rate).unit)
    whole = codec.decode(tokens)
    np.testing.assert_allclose(decoded(codec, tokens.split(7)), whole, atol=1e-5, rtol=0)
    # With 0.64 s of look-ahead: the same magnitudes (a pitch that is decided otherwise moves the harmonics' phases from
    # there on, which nobody hears), and no clicks where chunks meet.
    soon = decoded(codec, tokens.split(7), lookahead_frames=32)
    assert loudness_apart_db(whole, soon) < 0.3
    assert loudness_apart_db(whole, np.roll(soon, 320)) > 1
    steps = np.abs(np.diff(soon))
    seams = np.arange(25 * 320 - 1, len(steps), 25 * 320)
    assert steps[seams].max() <= np.delete(steps, seams).max()
    beside = np.mean([steps[seam - 160 : seam + 160].mean() for seam in seams])
    assert steps[seams].mean() < 2 * beside


# -- when things come out ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("chunk", [1, 7])
def test_a_frames_samples_come_as_soon_as_stated_and_not_sooner(tiny_codec, chunk):
    decoder = tiny_codec.stream_decoder(chunk_frames=chunk)
    assert decoder.exact
    assert decoder.lookahead_frames == TINY_LOOKAHEAD
    assert decoder.latency_s == pytest.approx((TINY_LOOKAHEAD + chunk - 1) / 50)
    waited, out = [], 0
    for pushed, token in enumerate(ids(80), start=1):
        out += len(decoder.push(token)) // 320
        assert out >= pushed - (TINY_LOOKAHEAD + chunk - 1)
        assert out <= max(0, pushed - TINY_LOOKAHEAD)
        assert decoder.pending_frames == pushed - out
        waited.append(pushed - out)
    assert max(waited) == TINY_LOOKAHEAD + chunk - 1


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_frames_ids_come_as_soon_as_stated(tiny_codec, noise, rate):
    encoder = tiny_codec.stream_encoder(rate, chunk_frames=3)
    assert encoder.lookahead_frames == TINY_LOOKAHEAD
    frames = TINY_LOOKAHEAD + 2
    assert frames / 50 <= encoder.latency_s <= frames / 50 + (0.0 if rate == 16_000 else 0.05)
    out = 0
    for pushed, part in enumerate(noise(2 * rate).split(rate // 100), start=1):
        out += len(encoder.push(part))
        assert out >= np.floor((pushed / 100 - encoder.latency_s) * 50 + 1e-6)
    assert out > 80


def test_resampled_samples_come_as_soon_as_stated(tiny_codec):
    decoder = tiny_codec.stream_decoder(chunk_frames=2, sampling_rate=44_100)
    out = 0
    for pushed, token in enumerate(ids(120), start=1):
        out += len(decoder.push(token))
        assert out / 44_100 >= pushed / 50 - decoder.latency_s
    assert decoder.latency_s > tiny_codec.stream_decoder(chunk_frames=2).latency_s


def test_the_lookahead_is_what_can_change_a_frame(tiny_codec):
    """Another id `lookahead_frames` after a frame changes its samples; one later does not."""
    tokens = ids(60)
    samples = tiny_codec.decode(tokens).reshape(60, 320)
    changed = tokens.copy()
    changed[40] = (changed[40] + 100) % 512
    differ = (tiny_codec.decode(changed).reshape(60, 320) != samples).any(axis=1).nonzero()[0]
    assert differ.min() == 40 - TINY_LOOKAHEAD


def test_the_bundled_codecs_lookahead_follows_from_its_config():
    codec = LLMCodec.random(CodecConfig.preset("compact_phase"))
    assert codec.stream_decoder().lookahead_frames == 5 * (32 + 15) + 2
    assert codec.stream_encoder(16_000).lookahead_frames == 4 * (32 + 15) + 2


def test_a_semantic_branch_waits_for_its_block_and_the_context_behind_it():
    config = CodecConfig.preset("compact")
    encoder = LLMCodec.random(config).stream_encoder(16_000)
    assert encoder.lookahead_frames == config.encoder_layers * (32 + 15) + 2 + (96 - 1) + 32


@CUTS
@given(
    samples=st.integers(1, 30_000),
    chunk=st.sampled_from([1, 8, 40]),
    cuts=st.lists(st.integers(0, 30_000), max_size=8),
)
def test_a_stream_with_a_semantic_branch_gives_the_whole_clips_ids(semantic_codec, noise, samples, chunk, cuts):
    clip = noise(samples, seed=samples).numpy()
    streamed = encoded(semantic_codec, pieces(clip, cuts), chunk_frames=chunk)
    assert torch.equal(streamed, semantic_codec.encode(clip, 16_000).unit)


def test_a_streams_memory_and_work_are_bounded(tiny_codec, noise, monkeypatch):
    """After 50 and after 1,000 frames a stream holds as many numbers and runs as many frames a push."""
    decoder, encoder = tiny_codec.stream_decoder(chunk_frames=4), tiny_codec.stream_encoder(16_000, chunk_frames=4)
    soon = tiny_codec.stream_decoder(chunk_frames=4, lookahead_frames=2)
    sizes = []
    run = []
    layers = [tiny_codec.model.tokenizer.conformer.layers[0].ffn1, tiny_codec.model.token2wav.conformer.layers[0].ffn1]
    hooks = [layer.register_forward_pre_hook(lambda _, given: run.append(given[0].shape[1])) for layer in layers]
    clip = noise(320 * 4)
    for _ in range(250):
        run.clear()
        for stream, data in ((decoder, ids(4)), (encoder, clip), (soon, ids(4))):
            stream.push(data)
        sizes.append((held(decoder), held(encoder), held(soon), tuple(run)))
    for hook in hooks:
        hook.remove()
    assert sizes[50] == sizes[-1]
    assert sizes[-1][-1] == (4, 4, soon.history_frames + 4 + 2)


def held(thing, seen=None) -> int:
    """Numbers in the storage of all tensors that a stream owns, the model's own left out."""
    seen = set() if seen is None else seen
    if isinstance(thing, torch.Tensor):
        key = thing.untyped_storage().data_ptr()
        new = key not in seen and not isinstance(thing, torch.nn.Parameter)
        seen.add(key)
        return thing.untyped_storage().nbytes() if new else 0
    if isinstance(thing, torch.nn.Module):
        return 0
    if isinstance(thing, (list, tuple)):
        return sum(held(part, seen) for part in thing)
    return sum(held(part, seen) for part in vars(thing).values()) if hasattr(thing, "__dict__") else 0


# -- approximate decoding ----------------------------------------------------------------------------------------------
def loudness_apart_db(whole: np.ndarray, streamed: np.ndarray) -> float:
    """By how much the magnitudes of 32 ms windows differ, mean over all bins."""
    window = torch.hann_window(512)
    levels = [
        20 * torch.log10(torch.stft(torch.as_tensor(x), 512, 128, window=window, return_complex=True).abs() + 1e-3)
        for x in (whole, streamed)
    ]
    return float((levels[0] - levels[1]).abs().mean())


def signal_to_difference_db(whole: np.ndarray, streamed: np.ndarray) -> float:
    return float(10 * np.log10((whole**2).sum() / ((streamed - whole) ** 2).sum()))


def test_whole_clip_attention_is_streamed_in_windows_that_come_close(unbounded_codec):
    tokens = ids(400)
    whole = unbounded_codec.decode(tokens)
    decoder = unbounded_codec.stream_decoder()
    assert (decoder.exact, decoder.lookahead_frames, decoder.history_frames) == (False, 64, 256)
    assert decoder.latency_s == pytest.approx((64 + 24) / 50)
    streamed = decoded(unbounded_codec, pieces(tokens, [1, 30, 31, 200]))
    assert streamed.shape == whole.shape
    np.testing.assert_array_equal(streamed, decoded(unbounded_codec, [tokens]))
    near, far = (
        signal_to_difference_db(whole, decoded(unbounded_codec, [tokens], lookahead_frames=n)) for n in (1, 64)
    )
    assert far > near > 10
    # What one window holds is the whole clip.
    short = tokens[: 25 + 63]
    np.testing.assert_allclose(decoded(unbounded_codec, [short]), unbounded_codec.decode(short), atol=1e-6)


def test_less_lookahead_is_sooner_and_asked_for_more_is_exact(tiny_codec):
    tokens = ids(200)
    whole = tiny_codec.decode(tokens)
    soon = tiny_codec.stream_decoder(lookahead_frames=2, chunk_frames=5)
    assert (soon.exact, soon.lookahead_frames) == (False, 2)
    assert soon.latency_s == pytest.approx(6 / 50)
    errors = [np.abs(decoded(tiny_codec, [tokens], lookahead_frames=n) - whole).max() for n in (1, 4, 8)]
    assert errors[0] > errors[1] > errors[2] > 0
    enough = tiny_codec.stream_decoder(lookahead_frames=1_000)
    assert (enough.exact, enough.lookahead_frames, enough.history_frames) == (True, TINY_LOOKAHEAD, None)


def test_a_seam_fades_from_one_window_into_the_next(tiny_codec):
    """The first frame after a seam begins as the window before has it and ends as the new one has it."""
    tokens = ids(9)
    streamed = decoded(tiny_codec, [tokens], lookahead_frames=1, chunk_frames=4)
    before, after = tiny_codec.decode(tokens[:5]), tiny_codec.decode(tokens)
    seam, faded = 4 * 320, 5 * 320
    np.testing.assert_allclose(streamed[:seam], before[:seam], atol=1e-6)
    np.testing.assert_allclose(streamed[faded:], after[faded:], atol=1e-6)
    apart = after[seam:faded] - before[seam:faded]
    share = (streamed[seam:faded] - before[seam:faded])[np.abs(apart) > 1e-3] / apart[np.abs(apart) > 1e-3]
    assert (np.diff(share) > 0).all()
    assert share[0] < 0.05
    assert share[-1] > 0.95


# -- what may be pushed ------------------------------------------------------------------------------------------------
def test_ids_in_every_form_and_amount(tiny_codec):
    tokens = ids(12).tolist()
    whole = decoded(tiny_codec, [tokens])
    text = token_text(tokens)
    forms = {
        "one by one": tokens,
        "numpy scalars": list(np.array(tokens, dtype=np.uint16)),
        "0-d tensors": list(torch.tensor(tokens)),
        "lists": [tokens[:5], [], tokens[5:]],
        "tuples": [tuple(tokens), ()],
        "arrays": [np.array(tokens[:3], dtype=np.int16), np.zeros(0, dtype=np.int64), np.array([tokens[3:]])],
        "tensors": [torch.tensor([tokens[:7]]), torch.tensor(tokens[7:]), torch.zeros(1, 0, dtype=torch.int64)],
        "text": ["", text, " \n"],
        "pieces of text": [[token_text(tokens[:2]), token_text(tokens[2:])]],
        "text cut anywhere": [text[i : i + 3] for i in range(0, len(text), 3)],
        "letters": list(text),
        "mixed": [tokens[0], token_text(tokens[1:4]), np.array(tokens[4:])],
    }
    for name, parts in forms.items():
        np.testing.assert_array_equal(decoded(tiny_codec, parts), whole, err_msg=name)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (512, r"512 at 0"),
        ([1, -3, 2], r"-3 at 1"),
        (np.array([0.5]), "whole numbers"),
        (True, "TokenError|bool"),
        ([True], "booleans"),
        (None, "NoneType"),
        ("<CODEC_512>", "512 at 0"),
        ("<CODEC_1> and", "and"),
        ("<TEXT_1>", "TEXT_1"),
        (np.zeros((2, 4), dtype=np.int64), r"\(2, 4\)"),
    ],
    ids=repr,
)
def test_a_refused_push_changes_nothing(tiny_codec, bad, message):
    tokens = ids(30)
    decoder = tiny_codec.stream_decoder(chunk_frames=2)
    parts = [decoder.push(tokens[:17])]
    with pytest.raises(TokenError, match=message):
        decoder.push(bad)
    assert decoder.pending_frames == 17 - len(parts[0]) // 320
    parts += [decoder.push(tokens[17:]), decoder.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), decoded(tiny_codec, [tokens], chunk_frames=2))


def test_half_a_token_of_text_is_waited_for(tiny_codec):
    decoder = tiny_codec.stream_decoder()
    decoder.push("<CODEC_1><CODEC_4")
    assert decoder.pending_frames == 1
    with pytest.raises(TokenError, match=r"inside a token.*<CODEC_4"):
        decoder.push([7])
    with pytest.raises(TokenError, match="ends inside a token"):
        decoder.flush()
    decoder.push("2>")
    np.testing.assert_array_equal(decoder.flush(), decoded(tiny_codec, [[1, 42]]))


def test_audio_in_every_form(tiny_codec, noise):
    clip = (noise(9_600).numpy() * 20_000).astype(np.int16)
    whole = tiny_codec.encode(clip, 16_000).unit
    stereo = np.stack([clip, clip])
    scaled = (clip / 32_768).astype(np.float32)
    empty = np.zeros(0, dtype=np.int16)
    for parts in (
        [clip[:4_000], empty, [], clip[4_000:]],
        [scaled[:1], scaled[1:].tolist()],
        [torch.from_numpy(scaled)[:5_000], torch.from_numpy(scaled)[5_000:]],
        [stereo[:, :3_000], stereo[:, 3_000:].T],
    ):
        assert torch.equal(encoded(tiny_codec, parts), whole)


@pytest.mark.parametrize(
    "bad", [np.array([0.0, np.nan]), np.zeros((2, 3)), np.zeros(5, dtype=complex), None, 3.5], ids=repr
)
def test_refused_audio_changes_nothing(tiny_codec, noise, bad):
    clip = noise(8_000).numpy()
    encoder = tiny_codec.stream_encoder(16_000, chunk_frames=2)
    parts = [encoder.push(clip[:5_000])]
    with pytest.raises(AudioError):
        encoder.push(bad)
    parts += [encoder.push(clip[5_000:]), encoder.flush()]
    assert torch.equal(torch.cat(parts), tiny_codec.encode(clip, 16_000).unit)


def test_what_is_pushed_is_neither_kept_nor_changed(tiny_codec, noise):
    tokens, clip = ids(30), noise(6_400)
    for stream, data in ((tiny_codec.stream_decoder(), tokens), (tiny_codec.stream_encoder(16_000), clip)):
        kept = data.copy() if isinstance(data, np.ndarray) else data.clone()
        first = stream.push(data)
        assert (data == kept).all()
        data[:] = 0
        rest = stream.flush()
        again = decoded(tiny_codec, [kept]) if data is tokens else encoded(tiny_codec, [kept])
        assert torch.equal(torch.as_tensor(np.concatenate([first, rest])), torch.as_tensor(again))


# -- begin, end, begin anew --------------------------------------------------------------------------------------------
@pytest.fixture(params=["decoder", "soon", "encoder"])
def stream_and_data(request, tiny_codec, noise):
    if request.param == "encoder":
        return tiny_codec.stream_encoder(44_100, chunk_frames=2), noise(30_000).numpy()
    lookahead = 2 if request.param == "soon" else None
    return tiny_codec.stream_decoder(chunk_frames=2, sampling_rate=44_100, lookahead_frames=lookahead), ids(40)


def test_reset_begins_anew_from_every_state_but_closed(stream_and_data):
    stream, data = stream_and_data
    expected = [stream.push(data), stream.flush()]
    for begin in (lambda: None, lambda: stream.push(data[:11]), lambda: (stream.push(data[:11]), stream.flush())):
        stream.reset()
        begin()
        stream.reset()
        assert stream.pending_frames == 0
        for got, wanted in zip([stream.push(data), stream.flush()], expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_nothing_can_be_pushed_after_the_end(stream_and_data):
    stream, data = stream_and_data
    stream.push(data)
    assert len(stream.flush())
    assert len(stream.flush()) == 0
    with pytest.raises(StreamError, match=r"reset\(\)"):
        stream.push(data)
    stream.close()
    stream.close()
    for call in (lambda: stream.push(data), stream.flush, stream.reset, stream.__enter__):
        with pytest.raises(StreamError, match="closed"):
            call()


def test_a_stream_without_pushes_gives_nothing(tiny_codec, unbounded_codec):
    for decoder in (tiny_codec.stream_decoder(sampling_rate=48_000), unbounded_codec.stream_decoder()):
        assert decoder.flush().shape == (0,)
    encoder = tiny_codec.stream_encoder(48_000)
    assert encoder.flush().shape == (0,)
    assert encoder.flush().dtype == torch.int64


def test_leaving_without_a_flush_warns_of_what_is_lost(tiny_codec):
    with pytest.warns(UserWarning, match="5 frames that never came out; call flush"), tiny_codec.stream_decoder() as d:
        d.push([1, 2, 3, 4, 5])
    with pytest.raises(StreamError, match="closed"):
        d.push(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tiny_codec.stream_decoder() as d:
            d.push([1, 2])
            d.flush()
        # The caller's own error is not covered by a warning.
        with pytest.raises(TokenError):
            decoded(tiny_codec, [[1, 2, 3], [-1]])


def test_modes_and_settings(tiny_codec, unbounded_codec):
    for wrong in (0, -1, 2.0, True, "5"):
        with pytest.raises(ValueError, match="chunk_frames must be a whole number"):
            tiny_codec.stream_decoder(chunk_frames=wrong)
    with pytest.raises(ValueError, match="lookahead_frames must be a whole number of frames above 0"):
        tiny_codec.stream_decoder(lookahead_frames=0)
    with pytest.raises(AudioError, match="8,000 to 192,000"):
        tiny_codec.stream_decoder(sampling_rate=4_000)
    with pytest.raises(AudioError, match="8,000 to 192,000"):
        tiny_codec.stream_encoder(4_000)
    with pytest.raises(ValueError, match=r"whole clip.*encode\(\) the whole clip"):
        unbounded_codec.stream_encoder(16_000)


def test_streams_run_in_eval_mode_without_gradients_and_side_by_side(noise):
    codec = LLMCodec.random(CodecConfig.preset("tiny"))
    whole = codec.decode(ids(40)), codec.decode(ids(40, seed=1))
    codec.model.train().requires_grad_(True)
    streams = [codec.stream_decoder(chunk_frames=3), codec.stream_decoder(chunk_frames=3)]
    outs: list[list[np.ndarray]] = [[], []]
    for part in range(0, 40, 5):
        for seed, (stream, out) in enumerate(zip(streams, outs, strict=True)):
            out.append(stream.push(ids(40, seed=seed)[part : part + 5]))
    assert codec.model.training
    for stream, out, expected in zip(streams, outs, whole, strict=True):
        np.testing.assert_allclose(np.concatenate([*out, stream.flush()]), expected, atol=1e-5, rtol=0)
