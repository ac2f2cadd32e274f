"""Values of mini clips with noise on them: Codec-SUPERB's own metric code gave the first ones, this code the others."""

from __future__ import annotations

import numpy as np
import pytest

from eval.reconstruction.metrics import ALL, METRICS, SUPERB_NAMES, Signal

# (split, clip, the rate that it is taken to have) -> what get_metrics of Codec-SUPERB gave.
UPSTREAM = {
    ("Speech", "speech-03", 16_000): (2.804443, 4.069267, 0.007979, 1.722277, 0.976545, 0.998954),
    ("Speech", "speech-03", 44_100): (2.463645, 4.069267, 0.007979, 2.323496, 0.877883, 0.999996),
    ("Music", "music-01", 44_100): (0.880324, 3.274027, 0.007989, 4.427763, 0.996686, 1.0),
}
TOLERANCES = {"mel": 3e-4, "stft": 4e-4, "waveform": 2e-6, "pesq": 1e-3, "stoi": 1e-5, "f0corr": 1e-4}

OWN = {
    "mel": (2.804443, 3e-3),
    "stft": (4.069268, 4e-3),
    "waveform": (0.00797933, 1e-7),
    "mcd": (5.105656, 5e-3),
    "pesq": (1.722277, 5e-3),
    "pesq_nb": (2.432461, 5e-3),
    "stoi": (0.976544, 1e-4),
    "estoi": (0.941805, 1e-4),
    "f0corr": (0.998762, 1e-3),
    "f0_rmse": (3.88736, 5e-2),
    "voicing_error": (0.014085, 3e-3),
    "si_sdr": (22.36911, 1e-3),
}


def pair(clip, rate: int) -> tuple[Signal, Signal]:
    noise = (1.0 * np.random.default_rng(0).standard_normal(len(clip.samples))).astype(np.float32)
    return Signal(clip.samples, rate), Signal(clip.samples + noise * np.float32(0.01), rate)


@pytest.mark.parametrize("case", list(UPSTREAM), ids=str)
def test_upstreams_values_of_mini_clips(case, mini):
    split, clip_id, rate = case
    clip = next(clip for clip in mini.clips(split) if clip.clip_id == clip_id)
    reference, estimate = pair(clip, rate)
    for name, expected in zip(SUPERB_NAMES, UPSTREAM[case], strict=True):
        tolerance = TOLERANCES[name.removeprefix("superb:")]
        assert METRICS[name].score(reference, estimate).value == pytest.approx(expected, abs=tolerance), name


def test_own_values_of_a_noisy_clip(speech):
    assert set(OWN) == set(ALL)
    clip = next(clip for clip in speech if clip.clip_id == "speech-03")
    reference, estimate = pair(clip, clip.rate)
    for name, (expected, tolerance) in OWN.items():
        assert METRICS[name].score(reference, estimate).value == pytest.approx(expected, abs=tolerance), name
