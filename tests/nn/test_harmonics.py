"""The decoder's harmonic source: pulses at the pitch, whose phase goes on whatever stretch of a clip is made."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError, HarmonicConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.harmonics import Anchor, HarmonicSource
from soundcodec_llmcodec.streaming.decoder import StreamDecoder

CONFIG = CodecConfig(hidden_size=64, harmonics=HarmonicConfig())
HOP_HZ = 50.0  # cycles a hop of 320 samples at 16 kHz are so many Hz


@pytest.fixture
def source() -> HarmonicSource:
    torch.manual_seed(0)
    assert CONFIG.harmonics is not None
    return HarmonicSource(CONFIG.harmonics, CONFIG)


def glide(frames: int = 40) -> torch.Tensor:
    """A rising and a falling pitch (2, F) in cycles a hop."""
    rising = torch.linspace(90.0, 260.0, frames, dtype=torch.float64) / HOP_HZ
    return torch.stack((rising, rising.flip(0)))


def together(stretches: torch.Tensor) -> np.ndarray:
    """Frames (F, N) whose overlaps are equal, as one wave."""
    hops = [stretch[:320] for stretch in stretches[:-1]]
    return torch.cat((*hops, stretches[-1])).numpy()


def test_a_steady_pitch_is_a_train_of_pulses_with_all_harmonics_up_to_the_highest(source):
    """Each harmonic of 125 Hz up to 7 kHz alike, nothing between them and nothing above; the root mean square is one
    level whatever the pitch."""
    stretches, _ = source.pulses(torch.full((1, 60), 125.0 / HOP_HZ, dtype=torch.float64))
    wave = together(stretches[0])[:16_000]
    lines = np.abs(np.fft.rfft(wave)) / 8_000  # bins of 1 Hz
    harmonics = np.arange(125, 7_001, 125)
    assert np.allclose(lines[harmonics], lines[125], rtol=1e-3)
    rest = np.delete(lines, harmonics)
    assert rest.max() < 1e-4 * lines[125]
    other, _ = source.pulses(torch.full((1, 60), 320.0 / HOP_HZ, dtype=torch.float64))
    levels = [np.sqrt(np.mean(x[:16_000] ** 2)) for x in (wave, together(other[0]))]
    assert levels[0] == pytest.approx(levels[1], rel=1e-3)


def test_its_spectrum_stands_for_unit_phasors(source):
    """A mean square of 1 over the band: a magnitude times this has the magnitude's energy."""
    stretches, _ = source.pulses(torch.full((1, 3), 110.0 / HOP_HZ, dtype=torch.float64))
    spectrum = torch.fft.rfft(stretches[0, 1] * torch.hann_window(1280))
    band = spectrum[: round(7_000 / 16_000 * 1280)].abs().square().mean()
    assert float(band) == pytest.approx(1.0, rel=0.03)


def test_windows_see_one_wave_whose_phase_is_the_sum_of_the_pitch(source):
    pitch = glide()
    stretches, cycles = source.pulses(pitch)
    assert torch.equal(stretches[:, :-1, 320:], stretches[:, 1:, :-320])
    passed = torch.cumsum((pitch[:, 1:] + pitch[:, :-1]) / 2, dim=1)
    assert torch.allclose(cycles[:, 1:], passed % 1.0, atol=1e-9)
    # A pulse stands wherever the phase passes a whole cycle: their number is the cycles passed.
    wave = together(stretches[0])[640:-640]
    peaks = (wave[1:-1] > 0.3 * wave.max()) & (wave[1:-1] >= wave[:-2]) & (wave[1:-1] > wave[2:])
    assert abs(int(peaks.sum()) - float(passed[0, -1])) <= 1


def test_a_stretch_of_a_clip_goes_on_where_the_clip_is(source):
    pitch = glide()
    whole, cycles = source.pulses(pitch)
    part, there = source.pulses(pitch[:, 10:30], None, Anchor(5, cycles[:, 15]))
    reach = source.reach
    assert torch.allclose(part[:, reach:-reach], whole[:, 10 + reach : 30 - reach], atol=1e-6)
    turned = (there - cycles[:, 10:30] + 0.5) % 1.0 - 0.5
    assert turned.abs().max() < 1e-9
    elsewhere, _ = source.pulses(pitch[:, 10:30])
    assert (elsewhere[:, reach:-reach] - whole[:, 10 + reach : 30 - reach]).abs().max() > 0.1


def test_padding_changes_nothing_of_an_item(source):
    pitch = glide()
    mask = torch.arange(40)[None] < torch.tensor([[40], [25]])
    padded, _ = source.pulses(pitch, mask)
    alone, _ = source.pulses(pitch[1:, :25])
    assert torch.equal(padded[1, :25], alone[0])


def test_gradients_reach_the_filter_and_the_features_and_not_the_pitch(source):
    features = torch.randn(2, 6, 64, requires_grad=True)
    found = source(features, torch.hann_window(1280))
    (found.share.sum() + found.phasors.abs().sum() + found.phasors.real.sum()).backward()
    assert source.filter.weight.grad.abs().sum() > 0
    assert source.pitch.weight.grad is None
    assert features.grad.abs().sum() == 0  # an untrained filter is the same whatever it sees
    assert torch.equal(found.share[:, :, :480], torch.full((2, 6, 480), 0.5))
    assert not found.share[:, :, 480:].any()


def codes_of(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 512, (1, frames), generator=torch.Generator().manual_seed(seed))


def test_chunks_batches_and_streams_decode_as_the_whole_clip(harmonic_codec):
    model, codes = harmonic_codec.model, codes_of(300)
    whole = coding.decode(model, codes, 10**9)
    for chunk in (16, 64, 100):
        assert (coding.decode(model, codes, chunk) - whole).abs().max() < 1e-6
    short = codes_of(57, 1)
    batch = coding.decode_batch(model, [short, codes], 10**9)
    assert torch.allclose(batch[0], coding.decode(model, short, 10**9), atol=1e-6)
    assert torch.allclose(batch[1], whole, atol=1e-6)
    stream = StreamDecoder(model, chunk_frames=5)
    parts = [stream.push(codes[:, start : start + 7]) for start in range(0, 300, 7)]
    streamed = torch.from_numpy(np.concatenate([*parts, stream.flush()]))
    assert stream.exact
    assert (streamed - whole).abs().max() < 1e-6


def test_an_approximate_stream_keeps_the_phase(harmonic_codec):
    """At a pitch that does not move, pulses go on through its windows, each of which begins anew."""
    model, codes = copy.deepcopy(harmonic_codec.model), codes_of(300)
    with torch.no_grad():
        model.token2wav.harmonics.pitch.weight.zero_()
        model.token2wav.harmonics.pitch.bias[150] += 10.0
    whole = coding.decode(model, codes, 10**9)
    stream = StreamDecoder(model, chunk_frames=5, lookahead_frames=6)
    parts = [stream.push(codes[:, start : start + 7]) for start in range(0, 300, 7)]
    streamed = torch.from_numpy(np.concatenate([*parts, stream.flush()]))
    assert not stream.exact
    assert float((streamed - whole).std()) < 0.05 * float(whole.std())


def test_what_a_frame_decodes_to_depends_on_no_more_than_the_context(harmonic_codec):
    """Samples before the change less the context stay; the phase after it does not."""
    config, codes = harmonic_codec.config, codes_of(80)
    changed = codes.clone()
    changed[:, 40] = (changed[:, 40] + 1) % 512
    before, after = (coding.decode(harmonic_codec.model, x, 10**9).view(80, 320) for x in (codes, changed))
    moved = (before != after).any(dim=1).nonzero().flatten()
    assert 40 - int(moved.min()) <= (config.context_frames(config.decoder_layers) or 0)
    assert int(moved.min()) < 40


def test_a_codec_with_a_source_is_saved_and_read(harmonic_codec, tmp_path):
    harmonic_codec.save_pretrained(tmp_path / "codec")
    again = LLMCodec.from_pretrained(tmp_path / "codec")
    assert again.config == harmonic_codec.config
    assert again.weights_hash == harmonic_codec.weights_hash
    codes = codes_of(20)
    assert torch.equal(again.decode_codes(codes), harmonic_codec.decode_codes(codes))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lowest_hz": 0.0}, "above 0"),
        ({"lowest_hz": 5.0}, "between 10 Hz"),
        ({"highest_hz": 9_000.0}, "half of the sample rate 16000"),
        ({"highest_hz": 300.0}, "highest_hz 300"),
        ({"pitches": 2_000}, "must lie between"),
        ({"filter_bins": 642}, "641 bins"),
        ({"per_octave": 0}, "positive"),
        ({"pitch": 3}, "unknown keys"),
    ],
)
def test_impossible_sources_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        CodecConfig(harmonics=changed)


def test_pitches_are_a_scale(source):
    hertz = source.harmonics.hertz()
    assert float(hertz[0]) == pytest.approx(55.0)
    assert float(hertz[120] / hertz[0]) == pytest.approx(2.0)
    assert math.log2(float(hertz[1] / hertz[0])) == pytest.approx(1 / 120)
