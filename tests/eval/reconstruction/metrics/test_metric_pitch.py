"""Dynamic time warping against librosa, and the pitch metrics on sounds of known pitch."""

from __future__ import annotations

import librosa
import numpy as np
import parselmouth
import pytest

from eval.reconstruction.metrics import METRICS, Signal, dtw, pitch

RATE = 16_000


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2), (3, 5), (8, 3), (60, 41), (33, 120)])
@pytest.mark.parametrize("ties", [False, True])
def test_paths_are_librosas(shape, ties):
    rng = np.random.default_rng(sum(shape))
    first, second = (rng.normal(size=n) for n in shape)
    if ties:
        # Few different numbers: many paths of one cost, of which librosa's must be chosen.
        first, second = first.round(), second.round()
    _, expected = librosa.sequence.dtw(first, second)
    np.testing.assert_array_equal(dtw.path(first, second), expected[::-1])


def test_a_path_by_hand():
    # The 2 is met by both 2s, the first 0 by both 0s of the other.
    found = dtw.path(np.array([0.0, 2.0, 5.0]), np.array([0.0, 0.0, 2.0, 2.0, 5.0]))
    assert found.tolist() == [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4]]


def test_paths_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        dtw.path(np.array([]), np.array([1.0]))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_track_has_the_pitch_at_the_true_rate(rate, harmonics):
    f0 = np.full(rate, 220.0)
    track = pitch.track(Signal(harmonics(f0, rate), rate))
    np.testing.assert_allclose(track[5:-5], 220.0, rtol=1e-3)
    declared = pitch.track(Signal(harmonics(f0, rate), rate), declared_rate=2 * rate)
    np.testing.assert_allclose(declared[5:-5], 440.0, rtol=1e-3)


def test_contours_correlate_whatever_their_key_and_tempo(harmonics, score):
    t = np.arange(2 * RATE) / RATE
    rise_and_fall = 200 + 60 * np.sin(np.pi * t)
    reference = harmonics(rise_and_fall)
    slower_start = 200 + 60 * np.sin(np.pi * t**1.2 / 2**0.2)
    assert score("f0corr", reference, harmonics(1.5 * rise_and_fall)).value > 0.999
    assert score("f0corr", reference, harmonics(slower_start)).value > 0.99
    assert score("f0corr", reference, harmonics(400 - rise_and_fall)).value < 0.8


def test_f0corr_by_another_route(speech, hiss, score):
    clip = speech[2]
    noisy = clip.samples + hiss(len(clip.samples), scale=0.02)
    contours = []
    for samples in (clip.samples, noisy):
        sound = parselmouth.Sound(samples.astype(np.float64), clip.rate)
        track = sound.to_pitch_ac(256 / 22050, 50, voicing_threshold=0.6, pitch_ceiling=1100).selected_array[
            "frequency"
        ]
        cents = 1200 * np.log2(track[track > 0] / 440)
        contours.append(cents - np.median(cents))
    _, path = librosa.sequence.dtw(*contours)
    expected = np.corrcoef(contours[0][path[:, 0]], contours[1][path[:, 1]])[0, 1]
    assert score("f0corr", clip.samples, noisy, clip.rate).value == pytest.approx(expected, abs=1e-9)
    assert expected < 0.9999


def test_f0corr_without_voice_or_movement_gives_reasons(speech, hiss, harmonics, score):
    clip = speech[2]
    noise = hiss(len(clip.samples), scale=0.3)
    assert score("f0corr", clip.samples, noise, clip.rate).reason == "no voiced frames in the estimate"
    assert score("f0corr", noise, clip.samples, clip.rate).reason == "no voiced frames in the reference"


def test_f0corr_of_a_pitch_that_does_not_move(monkeypatch, hiss, score):
    monkeypatch.setattr(pitch, "_track", lambda samples, rate: np.full(50, 200.0))
    assert "does not move" in score("f0corr", hiss(RATE), hiss(RATE, 1)).reason
    monkeypatch.setattr(pitch, "_track", lambda samples, rate: np.array([0.0, 200.0, 0.0]))
    assert score("f0corr", hiss(RATE), hiss(RATE, 1)).reason == "only one voiced frame in the reference"


def test_voicing_error_is_the_share_of_frames_that_differ(monkeypatch, hiss, score):
    x, y = hiss(RATE), hiss(RATE, 1)
    tracks = {float(x[0]): [0, 100, 100, 0, 100], float(y[0]): [0, 200, 0, 90, 300]}
    monkeypatch.setattr(pitch, "_track", lambda samples, rate: np.array(tracks[float(samples[0])], float))
    assert score("voicing_error", x, y).value == pytest.approx(2 / 5)


def test_voicing_error_of_a_muted_half(harmonics, score):
    x = harmonics(np.full(RATE, 150.0))
    half = x.copy()
    half[RATE // 2 :] = 0
    assert score("voicing_error", x, half).value == pytest.approx(0.5, abs=0.03)
    assert score("voicing_error", half, half).value == 0.0


def test_f0_rmse_is_over_the_frames_that_are_voiced_in_both(monkeypatch, hiss, score):
    x, y, unvoiced = hiss(RATE), hiss(RATE, 1), hiss(RATE, 2)
    tracks = {
        float(x[0]): [0, 100, 100, 200, 100],
        float(y[0]): [90, 200, 0, 200, 50],
        float(unvoiced[0]): [1, 0, 0, 0, 0],
    }
    monkeypatch.setattr(pitch, "_track", lambda samples, rate: np.array(tracks[float(samples[0])], float))
    # An octave up, no difference, an octave down.
    assert score("f0_rmse", x, y).value == pytest.approx(1200 * np.sqrt(2 / 3))
    assert score("f0_rmse", x, unvoiced).reason == "no frame is voiced in both"


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_f0_rmse_of_a_semitone(rate, harmonics, score):
    x, y = (harmonics(np.full(rate, f0), rate) for f0 in (200.0, 200.0 * 2 ** (1 / 12)))
    assert score("f0_rmse", x, y, rate).value == pytest.approx(100.0, abs=1.0)


def test_pitch_is_tracked_once_for_all_metrics(monkeypatch, speech):
    clip = speech[2]
    calls = []
    track = pitch._track
    monkeypatch.setattr(pitch, "_track", lambda samples, rate: calls.append(rate) or track(samples, rate))
    reference, estimates = Signal(clip.samples, clip.rate), [Signal(clip.samples * g, clip.rate) for g in (0.5, 0.7)]
    for estimate in estimates:
        for name in ("f0corr", "f0_rmse", "voicing_error"):
            METRICS[name].score(reference, estimate)
    assert len(calls) == 3
