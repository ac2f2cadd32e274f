"""Audio in every form a caller may have it, and out again."""

from __future__ import annotations

import io
import types
import warnings
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from soundcodec_llmcodec import audio_files, audio_writing
from soundcodec_llmcodec.audio import as_clip, fit_length, mono, read_mono, resample, resampled_length
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.audio_writing import write_audio

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 0.1).astype(np.float32)


# -- numbers -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int16, [-32_768, 0, 16_384, 32_767], [-1.0, 0.0, 0.5, 32_767 / 32_768]),
        (np.int32, [-(2**31), 0, 2**30, 0], [-1.0, 0.0, 0.5, 0.0]),
        (np.int8, [-128, 0, 64, 127], [-1.0, 0.0, 0.5, 127 / 128]),
        (np.uint8, [0, 128, 192, 255], [-1.0, 0.0, 0.5, 127 / 128]),
        (np.uint16, [0, 32_768, 49_152, 0], [-1.0, 0.0, 0.5, -1.0]),
        (np.float64, [-1.5, 0.0, 0.5, 2.0], [-1.5, 0.0, 0.5, 2.0]),
        (np.float16, [-1.0, 0.0, 0.5, 1.0], [-1.0, 0.0, 0.5, 1.0]),
    ],
)
def test_numbers_are_scaled_by_their_type(dtype, values, expected):
    clip = as_clip(np.array(values, dtype=dtype), 16_000)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == (1, 4)
    np.testing.assert_array_equal(clip.samples[0], np.float32(expected))


def test_tensors_of_every_kind():
    for tensor in (torch.tensor([0.5, -0.25], requires_grad=True), torch.tensor([0.5, -0.25]).bfloat16()):
        np.testing.assert_array_equal(as_clip(tensor, 16_000).samples, [[0.5, -0.25]])
    np.testing.assert_array_equal(as_clip(torch.tensor([16_384], dtype=torch.int16), 8_000).samples, [[0.5]])
    np.testing.assert_array_equal(as_clip([0.5, 0.25], 16_000).samples, [[0.5, 0.25]])


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(100, dtype=np.int64),
        [0, 1, 2],
        np.zeros(100, dtype=bool),
        np.zeros(100, dtype=complex),
        np.array([None, 1.0]),
        ["a", "b"],
        [[0.1, 0.2], [0.3]],
        [np.zeros(100), np.zeros(100)],
        [],
        np.zeros(0),
        np.zeros((2, 0)),
        np.float32(0.5) * np.ones(()),
        np.array([0.0, np.nan]),
        np.array([np.inf, 0.0]),
        np.array([1e300]),
        torch.zeros(100, dtype=torch.complex64),
        None,
        3.5,
        object(),
        {},
        {"array": None, "sampling_rate": 16_000},
    ],
    ids=repr,
)
def test_what_is_no_audio_is_refused(bad):
    with pytest.raises(AudioError):
        as_clip(bad, 16_000)


def test_nan_error_says_how_many_and_where():
    samples = np.zeros((2, 100), dtype=np.float32)
    samples[1, [40, 41]] = np.nan
    with pytest.raises(AudioError, match="2 samples, first at 40"):
        as_clip(samples, 16_000)


def test_floats_at_integer_scale_are_warned_of_and_passed_on(tmp_path):
    unscaled = np.array([0.0, -32_000.0, 100.0] * 10)
    soundfile.write(tmp_path / "a.wav", unscaled, 16_000, subtype="FLOAT")
    reads = (
        lambda: as_clip(unscaled, 16_000).samples[0],
        lambda: as_clip(tmp_path / "a.wav").samples[0],
        lambda: read_mono(tmp_path / "a.wav", 16_000).samples,
    )
    for read in reads:
        with pytest.warns(UserWarning, match="peak is 32000.*integer scale; divide .* by 32768") as caught:
            samples = read()
        assert len(caught) == 1
        np.testing.assert_array_equal(samples, unscaled.astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_clip(np.array([0.0, -10.0, 3.0]), 16_000)
        as_clip(np.array([-32_768, 32_767], dtype=np.int16), 16_000)


def test_empty_files_say_so(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    for read in (as_clip, lambda path: read_mono(path, 16_000)):
        with pytest.raises(AudioError, match=r"a\.wav is empty \(0 bytes\)"):
            read(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="empty"):
        as_clip(b"")


def test_a_rate_out_of_range_says_what_to_do():
    with pytest.raises(AudioError, match="8,000 to 192,000 Hz, got 6000; resample"):
        as_clip(noise(100), 6_000)


def test_text_is_taken_as_a_path_and_says_so():
    with pytest.raises(FileNotFoundError, match="text is taken as a path"):
        as_clip("hello world")


# -- shapes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_both_layouts_give_the_same_channels(channels):
    samples = noise(channels, 500)
    for given in (samples, samples.T, torch.from_numpy(samples), np.asfortranarray(samples)):
        clip = as_clip(given, 16_000)
        assert (clip.channels, clip.n_samples) == (channels, 500)
        assert clip.samples.flags.c_contiguous
        np.testing.assert_array_equal(clip.samples, samples)


@pytest.mark.parametrize(
    "shape", [(2, 2), (2, 8), (8, 8), (1, 3), (9, 9), (9, 500), (9, 9, 500), (1, 9, 9), (2, 1, 500)]
)
def test_unclear_shapes_are_refused_by_name(shape):
    with pytest.raises(AudioError, match=str(shape).replace("(", r"\(").replace(")", r"\)")):
        as_clip(np.zeros(shape, dtype=np.float32), 16_000)


def test_one_sample_is_audio():
    assert as_clip(np.ones(1), 16_000).n_samples == 1
    assert as_clip(np.ones((1, 1)), 16_000).n_samples == 1


def test_the_callers_array_is_neither_changed_nor_shared():
    for given in (noise(400), noise(2, 400), noise(400, 2)):
        before = given.copy()
        clip = as_clip(given, 48_000)
        clip.samples[:] = 7
        np.testing.assert_array_equal(given, before)
    tensor = torch.zeros(400)
    as_clip(tensor, 48_000).samples[:] = 7
    assert tensor.abs().max() == 0
    clip = as_clip(noise(400), 48_000)
    as_clip(clip).samples[:] = 7
    np.testing.assert_array_equal(clip.samples[0], noise(400))


def test_mono_is_the_mean_of_the_channels():
    samples = np.stack([np.full(100, 0.5), np.full(100, -0.25)]).astype(np.float32)
    np.testing.assert_array_equal(mono(as_clip(samples, 16_000)), np.full(100, 0.125, dtype=np.float32))


# -- rates -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rate", [24_000.0, np.int64(24_000), np.array([24_000]), torch.tensor(24_000)], ids=repr)
def test_rates_to_write_at_in_every_form(tmp_path, rate):
    write_audio(tmp_path / "a.wav", noise(100), rate)
    assert soundfile.info(tmp_path / "a.wav").samplerate == 24_000
    for bad in (24_000.5, "24000", None):
        with pytest.raises(AudioError, match="whole number of Hz"):
            write_audio(tmp_path / "b.wav", noise(100), bad)
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize(
    "rate", [None, 0, -16_000, 7_999, 192_001, 16_000.5, float("nan"), float("inf"), "16000", True]
)
def test_bad_rates_are_refused(rate):
    with pytest.raises(AudioError, match="rate"):
        as_clip(noise(100), rate)


def test_whole_numbers_of_any_type_are_rates():
    rates: list[Any] = [8_000, 16_000.0, np.int32(44_100), np.float32(48_000), 192_000]
    for rate in rates:
        clip = as_clip(noise(100), rate)
        assert clip.sampling_rate == rate
        assert type(clip.sampling_rate) is int


def test_contradicting_rates_are_refused(tmp_path):
    with pytest.raises(AudioError, match="44100"):
        as_clip({"array": noise(100), "sampling_rate": 44_100}, 16_000)
    soundfile.write(tmp_path / "a.wav", noise(100), 22_050)
    with pytest.raises(AudioError, match="22050"):
        as_clip(tmp_path / "a.wav", 16_000)
    with pytest.raises(AudioError, match="22050"):
        as_clip({"path": str(tmp_path / "a.wav"), "sampling_rate": 16_000})


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [1, 2, 319, 320, 321, 4_801])
def test_resampled_lengths_are_exact_both_ways(rate, n):
    up = resample(noise(n), rate, 16_000)
    assert len(up) == resampled_length(n, rate, 16_000) == int(np.ceil(n * 16_000 / rate))
    back = resample(up, 16_000, rate)
    assert n <= len(back) < n + np.ceil(rate / 16_000) + 1
    assert np.isfinite(back).all()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_resampling_keeps_a_tone_in_place(rate):
    time = np.arange(rate) / rate
    there = resample(np.sin(2 * np.pi * 440 * time).astype(np.float32), rate, 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(there - expected)[200:-200].max() < 2e-3


def test_the_last_sample_is_resampled_not_padded():
    ones = np.ones(48_001, dtype=np.float32)
    assert resample(ones, 48_000, 16_000)[-1] > 0.3


def test_resample_keeps_leading_axes_and_never_aliases():
    samples = noise(2, 3, 480)
    out = resample(samples, 48_000, 16_000)
    assert out.shape == (2, 3, 160)
    np.testing.assert_array_equal(out[1, 2], resample(samples[1, 2], 48_000, 16_000))
    same = resample(samples, 16_000, 16_000)
    same[:] = 0
    assert np.abs(samples).max() > 0


def test_fit_length():
    for samples in (noise(2, 10), torch.from_numpy(noise(2, 10))):
        assert tuple(fit_length(samples, 7).shape) == (2, 7)
        longer = fit_length(samples, 12)
        assert tuple(longer.shape) == (2, 12)
        assert not longer[:, 10:].any()
        assert (longer[:, :10] == samples).all()


# -- files and dicts ---------------------------------------------------------------------------------------------------
def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_every_container_of_the_same_audio_agrees(tmp_path):
    samples = noise(600, 2)
    encoded = wav_bytes(samples, 22_050)
    path = tmp_path / "a.wav"
    path.write_bytes(encoded)
    decoder = types.SimpleNamespace(
        get_all_samples=lambda: types.SimpleNamespace(data=torch.from_numpy(samples.T), sample_rate=22_050)
    )
    forms = [
        path,
        str(path),
        encoded,
        bytearray(encoded),
        io.BytesIO(encoded),
        {"path": str(path)},
        {"bytes": encoded, "path": "elsewhere.wav"},
        {"bytes": None, "path": str(path)},
        {"array": samples, "sampling_rate": 22_050},
        {"array": samples.T, "path": "elsewhere.wav", "sampling_rate": 22_050},
        {"id": "x", "audio": {"array": samples, "sampling_rate": 22_050}},
        {"id": "x", "audio": str(path)},
        {"audio": samples, "sampling_rate": 22_050},
        {"audio": decoder},
        decoder,
    ]
    for form in forms:
        clip = as_clip(form)
        assert clip.sampling_rate == 22_050
        np.testing.assert_array_equal(clip.samples, samples.T)


def test_file_layouts_are_known_and_never_guessed(tmp_path):
    soundfile.write(tmp_path / "short.wav", noise(5, 2), 16_000)
    assert as_clip(tmp_path / "short.wav").samples.shape == (2, 5)


def test_dict_error_names_the_keys():
    with pytest.raises(AudioError, match="waveform"):
        as_clip({"waveform": noise(100)})


def test_unreadable_files(tmp_path):
    text = tmp_path / "a.wav"
    text.write_text("not audio")
    for read in (as_clip, lambda path: read_mono(path, 16_000)):
        with pytest.raises(AudioError, match=r"a\.wav"):
            read(text)
        with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
            read(tmp_path / "missing.wav")
        with pytest.raises(AudioError, match="folder"):
            read(tmp_path)
        soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
        with pytest.raises(AudioError, match=r"empty.wav.*no samples"):
            read(tmp_path / "empty.wav")
        soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan, 0]), 16_000, subtype="FLOAT")
        with pytest.raises(AudioError, match=r"nan.wav.*first at 1"):
            read(tmp_path / "nan.wav")
        soundfile.write(tmp_path / "slow.wav", np.zeros(10), 4_000)
        with pytest.raises(AudioError, match=r"slow.wav.*4000"):
            read(tmp_path / "slow.wav")
        soundfile.write(tmp_path / "cut.flac", noise(50_000), 16_000)
        (tmp_path / "cut.flac").write_bytes((tmp_path / "cut.flac").read_bytes()[:20_000])
        with pytest.warns(UserWarning, match="cut short"):
            read(tmp_path / "cut.flac")
    with pytest.raises(AudioError):
        as_clip(b"not audio")


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_streamed_reading_equals_reading_at_once(tmp_path, monkeypatch, rate, channels):
    samples = noise(20_011, channels)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    expected = resample(mono(as_clip(tmp_path / "a.wav")), rate, 16_000)
    for block in (997, 1 << 18):
        monkeypatch.setattr(audio_files, "_BLOCK", block)
        read = read_mono(tmp_path / "a.wav", 16_000)
        assert (read.n_samples, read.sampling_rate, read.channels) == (20_011, rate, channels)
        assert read.samples.dtype == np.float32
        assert read.samples.shape == expected.shape
        np.testing.assert_allclose(read.samples, expected, atol=1e-6)
        read.samples[0] = 0.0


# -- writing -----------------------------------------------------------------------------------------------------------
def test_sixteen_bit_audio_comes_back_equal(tmp_path):
    every = np.arange(-32_768, 32_768, dtype=np.int16)
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, as_clip(every, 16_000).samples, 16_000)
        back, rate = soundfile.read(tmp_path / name, dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(back, every)


def test_out_of_range_values_are_clipped_but_not_in_float_files(tmp_path):
    loud = np.array([-3.0, -1.0, 0.0, 1.0, 3.0], dtype=np.float32)
    write_audio(tmp_path / "a.wav", loud, 16_000)
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "a.wav", dtype="int16")[0], [-32768, -32768, 0, 32767, 32767]
    )
    write_audio(tmp_path / "f.wav", loud, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "f.wav", dtype="float32")[0], loud)


def test_channels_are_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_writing, "_BLOCK", 64)
    samples = noise(2, 333)
    write_audio(tmp_path / "a.wav", torch.from_numpy(samples), 44_100, subtype="FLOAT")
    np.testing.assert_array_equal(as_clip(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.aiff", "a.mp3"])
def test_every_ending_writes_a_readable_file(tmp_path, name):
    write_audio(tmp_path / name, noise(2, 16_000), 16_000)
    clip = as_clip(tmp_path / name)
    assert (clip.channels, clip.sampling_rate) == (2, 16_000)
    assert clip.n_samples >= 16_000


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_writing, "_BLOCK", 100)
    path = tmp_path / "a.wav"
    path.write_bytes(b"before")
    samples = noise(1_000)
    samples[950] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        write_audio(path, samples, 16_000)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"\.wav"):
        write_audio(tmp_path / "a.xyz", noise(100), 16_000)
    with pytest.raises(AudioError, match="float"):
        write_audio(tmp_path / "a.wav", np.zeros(100, dtype=np.int16), 16_000)
    with pytest.raises(AudioError, match="44100"):
        write_audio(tmp_path / "a.opus", noise(100), 44_100)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_audio(tmp_path / "no" / "a.wav", noise(100), 16_000)
    assert not list(tmp_path.iterdir())
